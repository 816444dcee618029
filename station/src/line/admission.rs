//! Which units a run may take: none that another slot has in hand, that was set apart, or that the scanned serial does not belong to.

use keyline_protocol::identity::DeviceId;

use super::Line;
use super::error::RunError;
use super::places::UnitInHand;
use super::recorder::Recorder;
use crate::journal::Unit;
use crate::record::{DeviceIdText, Failure, FailureCode, UnitState};

/// A unit that a run may take.
pub(super) struct Admitted {
    /// What the journal knows of it, if it has been here before.
    pub(super) known: Option<Unit>,
    /// Keeps other slots off it for as long as this lives.
    _in_hand: UnitInHand,
}

/// Takes the unit in hand and checks that it may be built.
pub(super) fn admit(
    line: &Line,
    recorder: &Recorder<'_>,
    device_id: DeviceId,
) -> Result<Admitted, RunError> {
    let in_hand = take_in_hand(line, device_id)?;
    Ok(Admitted {
        known: check_unit(line, recorder, device_id)?,
        _in_hand: in_hand,
    })
}

/// Takes the unit in hand, for as long as what is returned lives.
fn take_in_hand(line: &Line, device_id: DeviceId) -> Result<UnitInHand, RunError> {
    line.units_in_hand.take(device_id).ok_or_else(|| {
        let message = format!(
            "expected a unit of its own in each slot, {device_id} is in another slot at this moment"
        );
        Failure::new(FailureCode::UnitBusy, message).into()
    })
}

/// Refuses a unit that was set apart, and one that the scanned serial does not belong to.
fn check_unit(
    line: &Line,
    recorder: &Recorder<'_>,
    device_id: DeviceId,
) -> Result<Option<Unit>, RunError> {
    let device_id = DeviceIdText(device_id);
    let unit = line.wait(line.journal.unit(device_id))?;
    match unit.as_ref().map(|unit| unit.state) {
        Some(UnitState::Quarantined) => {
            let message = format!(
                "expected a unit that may be built, {} is in quarantine",
                device_id.0
            );
            return Err(Failure::new(FailureCode::Quarantined, message).into());
        }
        Some(UnitState::Scrapped) => {
            let message = format!(
                "expected a unit that may be built, {} was scrapped",
                device_id.0
            );
            return Err(Failure::new(FailureCode::Scrapped, message).into());
        }
        Some(UnitState::Passed | UnitState::Weak | UnitState::Held) if !line.order.rework => {
            let order = unit.as_ref().and_then(|unit| unit.order);
            if order.is_some_and(|order| order != line.order.id) {
                let message = format!(
                    "expected a unit of order {}, {} was finished for another order",
                    line.order.name, device_id.0
                );
                return Err(Failure::new(FailureCode::UnitOfAnotherOrder, message).into());
            }
        }
        _ => {}
    }
    if let Some(serial) = recorder.serial() {
        let owner = line.wait(line.journal.unit_by_serial(line.product.id, serial))?;
        let labelled = unit.as_ref().and_then(|unit| unit.serial.as_deref());
        let other_owner = owner.filter(|owner| owner.device_id != device_id);
        if let Some(owner) = other_owner {
            let message = format!(
                "expected the unit {} behind the serial {serial}, got {}",
                owner.device_id.0, device_id.0
            );
            return Err(Failure::new(FailureCode::SerialMismatch, message).into());
        }
        if let Some(labelled) = labelled
            && labelled != serial
        {
            let message = format!(
                "expected the serial {labelled} of unit {}, got {serial}",
                device_id.0
            );
            return Err(Failure::new(FailureCode::SerialMismatch, message).into());
        }
    }
    Ok(unit)
}
