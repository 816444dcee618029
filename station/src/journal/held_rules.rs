//! The outbox: runs that ended held wait there for the registry, and leave it by what the registry made of them.

use super::JournalError;
use super::row::to_json;
use super::rules::count;
use super::state::{HeldRun, OpenRun, Settled, UnitRow};
use super::unit_rules::give_up_refused_serial;
use super::view::View;
use crate::record::{DeviceIdText, Failure, RunId, RunResult, Step, UnitState};

/// What the end of a run means for the outbox: a held one comes in, one that passed makes all earlier ones of its unit needless.
pub(super) fn hold(
    view: &mut View<'_>,
    id: RunId,
    run: &OpenRun,
    row: &mut UnitRow,
    result: RunResult,
) {
    match result {
        RunResult::Held => {
            // A locked unit can't be asked again: such a run has no proof, and the one that its unit is held by waits already.
            if run.reached < Some(Step::Proven) && !row.held.is_empty() {
                return;
            }
            let held = HeldRun {
                leaf_index: view.leaf_index,
                run: id,
            };
            row.held.push(held);
            let device_id = row.unit.device_id;
            view.draft.outbox.entered.push((device_id, held));
        }
        RunResult::Passed | RunResult::Weak => forget(view, row),
        RunResult::Failed => {}
    }
}

/// Takes all runs of a unit out of the outbox.
pub(super) fn forget(view: &mut View<'_>, row: &mut UnitRow) {
    let left = row.held.drain(..).map(|held| held.leaf_index);
    view.draft.outbox.left.extend(left);
}

/// The registry has acknowledged a held run. The unit is fit when none of its runs waits any more, unless something else befell it.
pub(super) fn release_held(
    view: &mut View<'_>,
    run: RunId,
    device_id: DeviceIdText,
    weak: bool,
) -> Result<(), JournalError> {
    let (mut row, at) = held_unit(view, run, device_id)?;
    let held = row.held.remove(at);
    view.draft.outbox.left.push(held.leaf_index);
    let (result, state) = if weak {
        (RunResult::Weak, UnitState::Weak)
    } else {
        (RunResult::Passed, UnitState::Passed)
    };
    if row.held.is_empty() && row.unit.state == UnitState::Held {
        recount(view, &mut row, result)?;
        row.unit.state = state;
    }
    let settled = Settled {
        result,
        failure: None,
    };
    view.draft.outbox.settled.push((run, settled));
    view.put_unit(row);
    Ok(())
}

/// The registry will never acknowledge a held run: nor those that the unit made after it, because they stand on the same key.
pub(super) fn refuse_held(
    view: &mut View<'_>,
    run: RunId,
    device_id: DeviceIdText,
    failure: &Failure,
) -> Result<(), JournalError> {
    let (mut row, _) = held_unit(view, run, device_id)?;
    forget(view, &mut row);
    give_up_refused_serial(&mut row, failure.code);
    if row.unit.state == UnitState::Held {
        recount(view, &mut row, RunResult::Failed)?;
        row.unit.state = UnitState::Failed;
    }
    let settled = Settled {
        result: RunResult::Failed,
        failure: Some(to_json("a failure", failure)?),
    };
    view.draft.outbox.settled.push((run, settled));
    view.put_unit(row);
    Ok(())
}

/// The unit, and which of its runs in the outbox this one is.
fn held_unit(
    view: &View<'_>,
    run: RunId,
    device_id: DeviceIdText,
) -> Result<(UnitRow, usize), JournalError> {
    let row = view.known_unit(device_id)?;
    let at = row.held.iter().position(|held| held.run == run);
    at.map(|at| (row, at))
        .ok_or(JournalError::NotHeld { run, device_id })
}

/// Moves the unit from its order's held ones to others.
fn recount(view: &mut View<'_>, row: &mut UnitRow, result: RunResult) -> Result<(), JournalError> {
    if let Some(order) = row.unit.order
        && row.counted == Some(RunResult::Held)
    {
        count(view, order, row.counted, result)?;
        row.counted = Some(result);
    }
    Ok(())
}
