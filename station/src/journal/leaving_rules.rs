//! What changes do to a unit that is finished: it leaves the building, or the cloud stops trusting it.

use super::JournalError;
use super::held_rules::forget;
use super::rules::count;
use super::unit_rules::refuse_busy;
use super::view::View;
use crate::record::{DeviceIdText, OrderId, RunResult, UnitState};

/// Its pin is revoked: a unit that had passed has not any more, and its order needs another one.
pub(super) fn revoke(view: &mut View<'_>, device_id: DeviceIdText) -> Result<(), JournalError> {
    // The pin of a unit that another station built may be revoked here too.
    let Some(mut row) = view.unit(device_id).cloned() else {
        return Ok(());
    };
    // A run that goes on would end as passed, on a key that the cloud no longer trusts.
    refuse_busy(view, None, &row)?;
    if !row.unit.state.is_finished() {
        return Ok(());
    }
    // What waits for the registry is entered no more.
    forget(view, &mut row);
    row.unit.state = UnitState::Failed;
    if let Some(order) = row.unit.order
        && row
            .counted
            .is_some_and(|before| before != RunResult::Failed)
    {
        count(view, order, row.counted, RunResult::Failed)?;
        row.counted = Some(RunResult::Failed);
        view.draft.revoked_runs.extend(row.unit.last_run);
    }
    view.put_unit(row);
    Ok(())
}

/// Units leave the building: each is one of this order, has passed, and leaves once.
pub(super) fn ship(
    view: &mut View<'_>,
    order: OrderId,
    device_ids: &[DeviceIdText],
) -> Result<(), JournalError> {
    if view.order(order).is_none() {
        return Err(JournalError::NoOrder(order));
    }
    for device_id in device_ids {
        let unit = view.known_unit(*device_id)?.unit;
        let expected = if unit.order != Some(order) {
            Some("a unit that was last built for this order")
        } else if !matches!(unit.state, UnitState::Passed | UnitState::Weak) {
            Some("a unit that has passed")
        } else if view.is_shipped(*device_id, order) {
            Some("a unit that has not left before")
        } else {
            None
        };
        if let Some(expected) = expected {
            return Err(JournalError::NotShippable {
                device_id: *device_id,
                order,
                expected,
                state: unit.state,
            });
        }
        let leaf_index = view.leaf_index;
        view.draft.shipped.insert((*device_id, order), leaf_index);
    }
    Ok(())
}
