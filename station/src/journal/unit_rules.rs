//! What changes do to a unit: a run takes it, somebody sets it apart, releases or scraps it.

use super::JournalError;
use super::held_rules::forget;
use super::state::{OpenRun, UnitRow};
use super::view::View;
use crate::record::{DeviceIdText, FailureCode, RunId, UnitState};

/// Takes the unit into the run, or checks that it is the run's.
pub(super) fn bind(
    view: &mut View<'_>,
    id: RunId,
    run: &mut OpenRun,
    device_id: DeviceIdText,
) -> Result<(), JournalError> {
    match run.device_id {
        Some(known) if known == device_id => return Ok(()),
        Some(expected) => {
            return Err(JournalError::OtherDevice {
                run: id,
                expected,
                got: device_id,
            });
        }
        None => {}
    }
    let mut row = view
        .unit(device_id)
        .cloned()
        .unwrap_or_else(|| UnitRow::new(device_id));
    refuse_busy(view, Some(id), &row)?;
    if let Some(serial) = &run.serial {
        refuse_other_serial(view, run, serial, &row)?;
        row.unit.serial = Some(serial.clone());
    }
    row.unit.product = Some(run.product);
    if row.unit.order != Some(run.order) {
        row.unit.order = Some(run.order);
        row.counted = view.facts.counted.get(&(run.order, device_id)).copied();
    }
    row.unit.last_run = Some(id);
    if !row.set_apart() {
        row.unit.state = UnitState::InProgress;
    }
    row.whole = true;
    view.put_unit(row);
    run.device_id = Some(device_id);
    Ok(())
}

/// An interrupted run lets go of its unit; one that is running now does not.
pub(super) fn refuse_busy(
    view: &View<'_>,
    id: Option<RunId>,
    row: &UnitRow,
) -> Result<(), JournalError> {
    let busy = |other: &RunId| {
        Some(*other) != id
            && view
                .run(*other)
                .is_some_and(|run| run.live && run.end.is_none())
    };
    match row.unit.last_run.filter(busy) {
        Some(other) => Err(JournalError::UnitBusy {
            device_id: row.unit.device_id,
            other,
        }),
        None => Ok(()),
    }
}

fn refuse_other_serial(
    view: &View<'_>,
    run: &OpenRun,
    serial: &str,
    row: &UnitRow,
) -> Result<(), JournalError> {
    let device_id = row.unit.device_id;
    let mismatch = |known| JournalError::SerialMismatch {
        device_id,
        serial: serial.to_owned(),
        known,
    };
    if let Some(known) = &row.unit.serial
        && row.unit.product == Some(run.product)
        && known != serial
    {
        return Err(mismatch(format!("the unit's serial is \"{known}\"")));
    }
    match view.serial_owner(run.product, serial) {
        Some(owner) if owner != device_id => {
            Err(mismatch(format!("it belongs to unit {}", owner.0)))
        }
        _ => Ok(()),
    }
}

/// Whether the registry knows that the serial which was scanned is not this unit's: the unit gives it up, so that it can be labelled anew.
pub(super) fn give_up_refused_serial(row: &mut UnitRow, code: FailureCode) {
    if matches!(
        code,
        FailureCode::SerialInUse | FailureCode::UnitHasAnotherSerial
    ) {
        row.unit.serial = None;
        row.whole = true;
    }
}

/// Quarantines a unit, also one that was never seen before. A scrapped one stays scrapped. What it has in the outbox is never entered.
pub(super) fn set_apart(view: &mut View<'_>, device_id: DeviceIdText, run: Option<RunId>) {
    let mut row = view
        .unit(device_id)
        .cloned()
        .unwrap_or_else(|| UnitRow::new(device_id));
    if row.unit.state != UnitState::Scrapped {
        row.unit.state = UnitState::Quarantined;
    }
    forget(view, &mut row);
    if row.unit.order.is_none()
        && let Some(run) = run.and_then(|run| view.run(run))
    {
        row.unit.order = Some(run.order);
        row.unit.product = Some(run.product);
        row.whole = true;
    }
    view.put_unit(row);
}

/// Lets runs go on with a unit; its failures are forgotten.
pub(super) fn release(view: &mut View<'_>, device_id: DeviceIdText) -> Result<(), JournalError> {
    let mut row = view.known_unit(device_id)?;
    match row.unit.state {
        UnitState::Scrapped => return Err(JournalError::ScrappedForGood(device_id)),
        UnitState::Quarantined => row.unit.state = UnitState::Failed,
        _ => {}
    }
    row.unit.consecutive_failures = 0;
    view.put_unit(row);
    Ok(())
}

/// Takes a unit out for good.
pub(super) fn scrap(view: &mut View<'_>, device_id: DeviceIdText) -> Result<(), JournalError> {
    let mut row = view.known_unit(device_id)?;
    if row.unit.state == UnitState::Scrapped {
        return Err(JournalError::ScrappedForGood(device_id));
    }
    row.unit.state = UnitState::Scrapped;
    forget(view, &mut row);
    view.put_unit(row);
    Ok(())
}
