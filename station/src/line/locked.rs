//! A unit whose read-back protection keeps the probe out: known by its scanned serial and the journalled intent to lock it, or not at
//! all. Nothing is erased to find out.

use super::Line;
use super::admission::admit;
use super::error::RunError;
use super::recorder::Recorder;
use super::walk::Finished;
use crate::journal::Unit;
use crate::record::{
    Evidence, Failure, FailureCode, LockPolicyName, ProtectionStrength, RunResult, Step, UnitState,
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
    let _admitted = admit(line, recorder, unit.device_id.0)?;
    if unit.state == UnitState::Held {
        return Ok(finished(RunResult::Held, true));
    }
    let weak = pinned_weakly(line, &unit)?;
    let result = if weak {
        RunResult::Weak
    } else {
        RunResult::Passed
    };
    let already = matches!(unit.state, UnitState::Passed | UnitState::Weak);
    if !already {
        // The run that was to lock this unit was interrupted. All that it had left to do has happened: the protection is there.
        recorder.done(
            Step::Locked,
            Evidence::Locked {
                lock_policy: LockPolicyName(line.product.lock_policy),
                seen_to_hold: Some(true),
                strength: Some(ProtectionStrength::of(line.product.platform)),
            },
        );
    }
    Ok(finished(result, already))
}

/// Whether the unit's pin stands on a MAC. Without an active pin nothing is known of the unit, whatever the journal says.
fn pinned_weakly(line: &Line, unit: &Unit) -> Result<bool, RunError> {
    line.wait(line.registry.pin_of(unit.device_id))
        .map_err(|error| super::clones::from_registry(error, [0; 32]))?
        .map(|pin| pin.weak)
        .ok_or_else(|| {
            unknown(
                "the unit is locked, and the registry has no active pin for the device id that its serial stands for",
            )
        })
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
