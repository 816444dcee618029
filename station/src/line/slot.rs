//! Conducts one slot: a unit, its run, the next unit.

use std::sync::atomic::{AtomicU32, Ordering};

use super::error::LineError;
use super::recorder::Recorder;
use super::source::{Presented, UnitSource};
use super::verdict::{Ended, conclude};
use super::walk::walk;
use super::{Line, serial_number};
use crate::record::{Failure, FailureCode, UnitState};

/// How much more the slots of one line may do.
pub(super) struct Limits {
    runs_left: AtomicU32,
    failures_left: AtomicU32,
}

impl Limits {
    pub(super) const fn new(runs: u32, failures: u32) -> Self {
        Self {
            runs_left: AtomicU32::new(runs),
            failures_left: AtomicU32::new(failures),
        }
    }

    fn take_run(&self) -> bool {
        take_one(&self.runs_left)
    }

    /// Counts a failed unit; `false` where it was the last that the line bears.
    fn bear_failure(&self) -> bool {
        take_one(&self.failures_left) && self.failures_left.load(Ordering::SeqCst) > 0
    }
}

fn take_one(left: &AtomicU32) -> bool {
    left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
        left.checked_sub(1)
    })
    .is_ok()
}

/// Conducts a slot until its units, the order's places or the line's limits are used up, or somebody asks to stop.
pub(super) fn conduct(
    line: &Line,
    slot: u16,
    source: &mut dyn UnitSource,
    limits: &Limits,
    ended: &dyn Fn(Ended),
) -> Result<(), LineError> {
    while let Some(place) = line.places.take(|| line.ending()) {
        if !limits.take_run() {
            break;
        }
        let Some(presented) = source.next(&line.stop) else {
            break;
        };
        let (outcome, device_id) = run(line, slot, presented)?;
        source.ended(device_id);
        if !outcome.already
            && matches!(
                outcome.state,
                UnitState::Passed | UnitState::Weak | UnitState::Held
            )
        {
            place.fill();
        }
        ended(outcome);
        let failed = matches!(
            outcome.state,
            UnitState::Failed | UnitState::Quarantined | UnitState::Scrapped
        );
        if failed && !limits.bear_failure() {
            line.halt.request();
            break;
        }
    }
    Ok(())
}

type DeviceIdIfKnown = Option<keyline_protocol::identity::DeviceId>;

fn run(
    line: &Line,
    slot: u16,
    presented: Presented,
) -> Result<(Ended, DeviceIdIfKnown), LineError> {
    let Presented { target, serial } = presented;
    let format = line.product.serial_format.as_deref();
    let scanned = serial_number::check(format, serial.as_deref());
    // A text that is no serial is told, but does not get into the journal.
    let sound_serial = serial.filter(|_| scanned.is_ok());
    let mut recorder = Recorder::begin(line, slot, sound_serial)?;
    let span = tracing::info_span!("run", run.id = %recorder.run, slot);
    let _entered = span.enter();
    let walked = match scanned {
        Ok(()) => walk(line, &mut recorder, target),
        Err(error) => Err(Failure::new(FailureCode::BadSerial, error.to_string()).into()),
    };
    let device_id = recorder.device_id().map(|id| id.0);
    conclude(line, recorder, walked).map(|ended| (ended, device_id))
}
