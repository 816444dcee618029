//! Commits what happens in a run, and tells it once it is on disk.

use std::time::{Duration, Instant};

use keyline_protocol::identity::DeviceId;

use super::Line;
use super::error::RunError;
use crate::event::{Event, UnitEvent};
use crate::journal::{JournalError, RunInHand};
use crate::record::{
    Change, DeviceIdText, Evidence, Failure, FailureCode, Label, RunId, RunResult, Step, UnitState,
};

/// How long a run waits to begin where the log has run too far ahead of its witnesses: a line that is faster than they are is slowed down
/// before it is stopped. A round of questions to those that answer takes less than a second.
const WITNESS_PATIENCE: Duration = Duration::from_secs(5);

/// How often it tries.
const WITNESS_LOOK_PERIOD: Duration = Duration::from_millis(50);

/// Commits the beginning of a run, as soon as the log is near enough to what its witnesses have seen of it.
fn commit_within_reach(line: &Line, started: &Change) -> Result<(), JournalError> {
    let asked = Instant::now();
    loop {
        match line.wait(line.journal.commit(vec![started.clone()])) {
            Err(JournalError::AheadOfWitnesses { .. } | JournalError::NeverWitnessed)
                if asked.elapsed() < WITNESS_PATIENCE && !line.ending() =>
            {
                std::thread::sleep(WITNESS_LOOK_PERIOD);
            }
            committed => return committed.map(|_| ()),
        }
    }
}

/// A run that was begun. Steps are noted as they are done and committed with the next intent.
pub(super) struct Recorder<'l> {
    line: &'l Line,
    pub(super) run: RunId,
    slot: u16,
    serial: Option<String>,
    /// The serial that the journal has of the unit, scanned for an earlier run.
    known_serial: Option<String>,
    device_id: Option<DeviceIdText>,
    bound: bool,
    begun: Instant,
    noted: Vec<Change>,
    reached: Option<Step>,
    /// Nobody concludes the run while this goes on with it.
    _in_hand: RunInHand,
}

impl<'l> Recorder<'l> {
    /// Begins a run: it is on disk when this returns.
    pub(super) fn begin(
        line: &'l Line,
        slot: u16,
        serial: Option<String>,
    ) -> Result<Self, JournalError> {
        let run = RunId::generate();
        let in_hand = line.journal.conduct(run);
        let started = Change::RunStarted {
            run,
            order: line.order.id,
            slot,
            serial: serial.clone(),
            operator: line.operator.clone(),
        };
        commit_within_reach(line, &started)?;
        Ok(Self {
            line,
            run,
            slot,
            serial,
            known_serial: None,
            device_id: None,
            bound: true,
            begun: Instant::now(),
            noted: Vec::new(),
            reached: None,
            _in_hand: in_hand,
        })
    }

    /// The unit's name is known from here on.
    pub(super) fn identified(&mut self, device_id: DeviceId) {
        self.device_id = Some(DeviceIdText(device_id));
    }

    /// What was scanned and what is in the fixture don't belong together: the journal must not bind one to the other, so the run stays
    /// without a unit. Its message and its evidence name it.
    pub(super) fn unbind(&mut self) {
        self.bound = false;
        for change in &mut self.noted {
            if let Change::StepDone { device_id, .. } = change {
                *device_id = None;
            }
        }
    }

    /// The unit as the journal is to have it.
    fn journalled(&self) -> Option<DeviceIdText> {
        self.device_id.filter(|_| self.bound)
    }

    /// The unit, once it was identified.
    pub(super) const fn device_id(&self) -> Option<DeviceIdText> {
        self.device_id
    }

    /// The serial that was scanned.
    pub(super) fn serial(&self) -> Option<&str> {
        self.serial.as_deref()
    }

    /// The unit was here before, under this serial.
    pub(super) fn known_as(&mut self, serial: Option<&str>) {
        self.known_serial = serial.map(str::to_owned);
    }

    /// What the unit's label says: by this run's scan, or by an earlier one.
    pub(super) fn label(&self) -> Option<Label> {
        let serial = self.serial.as_ref().or(self.known_serial.as_ref());
        serial.map(|serial| Label {
            product: self.line.product.name.clone(),
            serial: serial.clone(),
        })
    }

    /// A step was done. It is committed with the next intent, or with the end of the run.
    pub(super) fn done(&mut self, step: Step, evidence: Evidence) {
        self.noted.push(Change::StepDone {
            run: self.run,
            device_id: self.journalled(),
            step,
            evidence: Box::new(evidence),
        });
    }

    /// Commits what was done and that `step` is about to have its effect. When this returns it may.
    ///
    /// Between two steps is also where a line stops that was asked to.
    pub(super) fn intend(&mut self, step: Step) -> Result<(), RunError> {
        if self.line.stop.requested() {
            let message = format!(
                "the line was asked to stop before this unit was {}",
                step.name()
            );
            return Err(Failure::new(FailureCode::Stopped, message).into());
        }
        self.noted.push(Change::StepIntended {
            run: self.run,
            device_id: self.journalled(),
            step,
        });
        self.commit()?;
        self.tell(UnitState::InProgress, false, None);
        Ok(())
    }

    /// Ends the run: it is on disk, under a checkpoint, when this returns, and only then is it told.
    pub(super) fn end(
        mut self,
        result: RunResult,
        state: UnitState,
        already: bool,
        failure: Option<Failure>,
        consequences: Vec<Change>,
    ) -> Result<(), JournalError> {
        self.noted.push(Change::RunEnded {
            run: self.run,
            device_id: self.journalled(),
            result,
            failure: failure.clone(),
            elapsed_ms: self.elapsed_ms(),
        });
        self.noted.extend(consequences);
        self.commit()?;
        self.tell(state, already, failure);
        Ok(())
    }

    fn commit(&mut self) -> Result<(), JournalError> {
        let changes = std::mem::take(&mut self.noted);
        let reached = changes.iter().rev().find_map(|change| match change {
            Change::StepDone { step, .. } => Some(*step),
            _ => None,
        });
        self.line.wait(self.line.journal.commit(changes))?;
        self.reached = reached.or(self.reached);
        Ok(())
    }

    fn tell(&self, state: UnitState, already: bool, error: Option<Failure>) {
        self.line.events.emit(Event::Unit(Box::new(UnitEvent {
            run: Some(self.run),
            order: Some(self.line.order.id),
            device_id: self.device_id,
            serial: self.serial.clone(),
            slot: self.slot,
            step: self.reached,
            state,
            already,
            late: false,
            elapsed_ms: self.elapsed_ms(),
            error,
        })));
    }

    fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}
