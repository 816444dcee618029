//! What the registry's refusal of a key means for the unit on the bench.

use super::Line;
use super::error::{CloneFound, LineError, RunError};
use crate::outbox::other_party;
use crate::record::{DeviceIdText, Disposition, Failure, FailureCode, Pin};
use crate::registry::RegistryError;

/// Sorts a refusal: a clone alarm, a unit's failure, or a registry that can't be worked with.
pub(super) fn from_registry(error: RegistryError, fingerprint: [u8; 32]) -> RunError {
    let code = error.failure_code();
    match code.disposition() {
        Disposition::StopLine => RunError::Fatal(LineError::Registry(error)),
        Disposition::CloneAlarm => {
            let (other_device_id, other_fingerprint) = other_party(&error);
            RunError::Clone(Box::new(CloneFound {
                failure: Failure::new(code, error.to_string()),
                fingerprint,
                other_device_id,
                other_fingerprint,
            }))
        }
        Disposition::Retry | Disposition::Quarantine => {
            RunError::Failed(Box::new(Failure::new(code, error.to_string())))
        }
    }
}

/// A sealed unit whose device id is pinned with another key than the one it shows.
pub(super) fn another_key(device_id: DeviceIdText, pin: &Pin, shown: [u8; 32]) -> RunError {
    let message = format!(
        "expected the key {} of unit {}, it shows {}",
        hex::encode(pin.fingerprint),
        device_id.0,
        hex::encode(shown)
    );
    RunError::Clone(Box::new(CloneFound {
        failure: Failure::new(FailureCode::DeviceHasAnotherKey, message),
        fingerprint: shown,
        other_device_id: None,
        other_fingerprint: Some(hex::encode(pin.fingerprint)),
    }))
}

/// Whether the registry has this key for this very unit. Where it has it for another one, the alarm is raised.
pub(super) fn key_is_claimed_for(
    line: &Line,
    device_id: DeviceIdText,
    shown: [u8; 32],
) -> Result<bool, RunError> {
    let claimed = line
        .wait(line.registry.by_fingerprint(shown))
        .map_err(|error| from_registry(error, shown))?;
    let Some(owner) = claimed.map(|pin| pin.device_id) else {
        return Ok(false);
    };
    if owner == device_id {
        return Ok(true);
    }
    let message = format!(
        "expected a key of its own in unit {}, it shows the key {} of unit {}",
        device_id.0,
        hex::encode(shown),
        owner.0
    );
    Err(RunError::Clone(Box::new(CloneFound {
        failure: Failure::new(FailureCode::KeyBelongsToAnother, message),
        fingerprint: shown,
        other_device_id: Some(owner),
        other_fingerprint: None,
    })))
}
