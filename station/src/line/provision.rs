//! Runs an order over slots, side by side.

use std::panic::AssertUnwindSafe;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use super::error::LineError;
use super::slot::{Limits, conduct};
use super::source::UnitSource;
use super::verdict::Ended;
use super::{Line, Presented};
use crate::event::{Event, Summary};
use crate::exit::ExitCode;
use crate::record::{Failure, FailureCode};
use crate::stop::Stop;

/// A fixture position, and where its units come from.
pub struct Slot {
    /// Its number.
    pub number: u16,
    /// Its units.
    pub source: Box<dyn UnitSource>,
}

/// Runs at most `runs_max` units over the slots and stops after `failures_max` failed ones.
///
/// Blocks until every slot is done; call it from a thread that is not the runtime's. The summary counts what happened, whatever the
/// error says.
pub fn provision(
    line: &Line,
    slots: Vec<Slot>,
    runs_max: u32,
    failures_max: Option<u32>,
) -> (Summary, Result<(), LineError>) {
    let begun = Instant::now();
    line.events.emit(Event::Plan {
        slots: slots.iter().map(|slot| slot.number).collect(),
        units: Some(u64::from(runs_max)),
    });
    let summary = Mutex::new(Summary::without_units(ExitCode::Success, 0));
    let limits = Limits::new(runs_max, failures_max.unwrap_or(u32::MAX));
    let count = |ended: Ended| lock(&summary).count(ended.state);
    let first_error = Mutex::new(None);
    std::thread::scope(|scope| {
        for mut slot in slots {
            let (limits, count, first_error) = (&limits, &count, &first_error);
            scope.spawn(move || {
                let conducted = std::panic::catch_unwind(AssertUnwindSafe(|| {
                    conduct(line, slot.number, &mut *slot.source, limits, count)
                }))
                .unwrap_or(Err(LineError::SlotLost(slot.number)));
                if let Err(error) = conducted {
                    // What stops one slot is the station's trouble: the others finish the unit in hand.
                    line.halt.request();
                    lock(first_error).get_or_insert(error);
                }
            });
        }
    });
    let mut summary = summary.into_inner().unwrap_or_else(PoisonError::into_inner);
    let result = first_error
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner)
        .map_or(Ok(()), Err);
    summary.exit_code = match &result {
        Err(error) => error.exit_code(),
        Ok(()) if line.stop.requested() => ExitCode::Interrupted,
        Ok(()) => summary.exit_code_of_counts(),
    };
    summary.elapsed_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    summary.checkpoint = Some(line.journal.checkpoint().to_string());
    (summary, result)
}

/// Looks at each slot's unit and at the registry, and writes nothing.
///
/// # Errors
/// [`LineError::NotReady`] with the first thing that is not ready.
pub fn dry_run(line: &Line, slots: Vec<Slot>) -> Result<(), LineError> {
    line.wait(line.registry.ping())?;
    for mut slot in slots {
        let Some(Presented { mut target, .. }) = slot.source.next(&Stop::new()) else {
            continue;
        };
        let attached = target.attach(line.product.platform);
        target.detach();
        let facts = attached.map_err(|error| {
            let error = crate::steps::StepError::Link(error);
            LineError::NotReady(error.failure())
        })?;
        if let Some(facts) = facts.probe
            && facts.platform != line.product.platform
        {
            let message = format!(
                "expected a {} in slot {}, found a {}",
                line.product.platform.name(),
                slot.number,
                facts.platform.name()
            );
            return Err(LineError::NotReady(Failure::new(
                FailureCode::WrongChip,
                message,
            )));
        }
    }
    Ok(())
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
