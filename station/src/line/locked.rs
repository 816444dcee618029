//! A unit whose read-back protection keeps the probe out: known by its scanned serial and the journalled intent to lock it, or not at
//! all. Nothing is erased to find out.

use super::Line;
use super::error::RunError;
use super::recorder::Recorder;
use super::walk::Finished;
use crate::journal::Unit;
use crate::record::{
    Evidence, Failure, FailureCode, LockPolicyName, Pin, ProtectionStrength, RunResult, Step,
    UnitState,
};
use crate::steps::Attached;

/// Recognises a locked unit by its serial, or sets it apart.
pub(super) fn recognise_by_serial(
    line: &Line,
    recorder: &mut Recorder<'_>,
    attached: Attached<'_>,
) -> Result<Finished, RunError> {
    let mut target = attached.release();
    target.detach();
    let Some(serial) = recorder.serial().map(str::to_owned) else {
        return Err(unknown(
            "the unit is locked, and no serial was scanned for it",
        ));
    };
    let unit = line.wait(line.journal.unit_by_serial(line.product.id, &serial))?;
    let Some(unit) = unit.filter(|unit| unit.lock_intended.is_some()) else {
        return Err(unknown(&format!(
            "the unit is locked, and the journal has no unit with the serial {serial} that was to be locked"
        )));
    };
    recorder.identified(unit.device_id.0);
    match unit.state {
        UnitState::Quarantined => {
            Err(Failure::new(FailureCode::Quarantined, "the unit is in quarantine").into())
        }
        UnitState::Scrapped => {
            Err(Failure::new(FailureCode::Scrapped, "the unit was scrapped").into())
        }
        UnitState::Passed => Ok(finished(RunResult::Passed, true)),
        UnitState::Weak => Ok(finished(RunResult::Weak, true)),
        UnitState::Held => Ok(finished(RunResult::Held, true)),
        UnitState::InProgress | UnitState::Failed => complete(line, recorder, &unit),
    }
}

/// The run that was to lock this unit was interrupted. All that it had left to do has happened: the protection is there.
fn complete(line: &Line, recorder: &mut Recorder<'_>, unit: &Unit) -> Result<Finished, RunError> {
    let pin = line
        .wait(line.registry.pin_of(unit.device_id))
        .map_err(|error| super::clones::from_registry(error, [0; 32]))?;
    let Some(pin) = pin.filter(Pin::is_active) else {
        return Err(unknown(
            "the unit is locked, and the registry has no active pin for the device id that its serial stands for",
        ));
    };
    recorder.done(
        Step::Locked,
        Evidence::Locked {
            lock_policy: LockPolicyName(line.product.lock_policy),
            seen_to_hold: Some(true),
            strength: Some(ProtectionStrength::of(line.product.platform)),
        },
    );
    Ok(finished(
        if pin.weak {
            RunResult::Weak
        } else {
            RunResult::Passed
        },
        false,
    ))
}

fn finished(result: RunResult, already: bool) -> Finished {
    Finished {
        result,
        already,
        target: None,
    }
}

fn unknown(message: &str) -> RunError {
    Failure::new(FailureCode::LockedUnknown, message).into()
}
