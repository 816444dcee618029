//! What a refusal of the registry means for the unit that was held.

use crate::journal::WaitingRun;
use crate::record::{Change, DeviceIdText, Disposition, Failure, FailureCode};
use crate::registry::RegistryError;

/// Who else has the key, or which other key the unit has, where the registry refused for that.
pub(crate) fn other_party(error: &RegistryError) -> (Option<DeviceIdText>, Option<String>) {
    match error {
        RegistryError::KeyBelongsToAnother { owner, .. } => (Some(*owner), None),
        RegistryError::DeviceHasAnotherKey { active, .. } => (None, Some(hex::encode(active))),
        _ => (None, None),
    }
}

/// Whether the registry will never take this run, whatever happens to the registry: the refusal is about the unit.
pub(super) const fn is_final(error: &RegistryError) -> bool {
    matches!(
        error,
        RegistryError::NotClaimed { .. }
            | RegistryError::SerialInUse { .. }
            | RegistryError::UnitHasAnotherSerial { .. }
    ) || matches!(
        error.failure_code().disposition(),
        Disposition::CloneAlarm | Disposition::Quarantine
    )
}

/// The failure of a unit that the registry refused after it was held.
pub(super) fn failure(error: &RegistryError) -> Failure {
    Failure::new(error.failure_code(), error.to_string())
}

/// The failure of a unit whose run can't be entered, because what it left behind makes no claim and no proof.
pub(super) fn unreadable(message: String) -> Failure {
    Failure::new(FailureCode::ProofInvalid, message)
}

/// Sets the unit apart, with an alarm where it may be a clone.
pub(super) fn consequences(
    waiting: &WaitingRun,
    failure: &Failure,
    conflict: Option<([u8; 32], &RegistryError)>,
) -> Vec<Change> {
    let WaitingRun { device_id, run, .. } = *waiting;
    let mut changes = Vec::new();
    if let Some((fingerprint, error)) = conflict
        && failure.code.disposition() == Disposition::CloneAlarm
    {
        let (other_device_id, other_fingerprint) = other_party(error);
        changes.push(Change::CloneAlarm {
            run,
            device_id,
            fingerprint,
            other_device_id,
            other_fingerprint,
        });
    }
    changes.push(Change::HeldRefused {
        run,
        device_id,
        failure: failure.clone(),
    });
    changes.push(Change::UnitQuarantined {
        device_id,
        run: Some(run),
        failure: failure.clone(),
    });
    changes
}
