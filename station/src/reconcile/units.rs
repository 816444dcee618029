//! Every unit of the log: how it stands, and whether the registry trusts the very key that the log says.

use std::collections::HashMap;

use super::claims::revocation;
use super::finding::{Findings, TOLD_MAX};
use super::witness::refused;
use super::{Code, Finding, Inputs, ReconcileError};
use crate::journal::{KeyLeaf, Replayed, ReplayedUnit};
use crate::record::{DeviceIdText, UnitState};
use crate::registry::{ActivePin, Registry, RegistryError};

/// How many units are looked at together.
const PAGE: u32 = 500;

/// Leaves about keys to which nothing led.
pub(super) async fn check_causes(
    log: &mut Replayed,
    findings: &mut Findings<'_>,
) -> Result<(), ReconcileError> {
    let limit = u32::try_from(TOLD_MAX).unwrap_or(u32::MAX);
    for mismatch in log.mismatches(limit).await? {
        let leaf = mismatch.leaf;
        let message = format!(
            "unit {} and key {}: expected {}, found none",
            leaf.device_id.0,
            hex::encode(leaf.fingerprint),
            mismatch.missing
        );
        findings.add(Code::KeyWithoutCause.at(format!("leaf {}", leaf.index), message));
    }
    Ok(())
}

/// Looks at every unit.
pub(super) async fn check(
    log: &mut Replayed,
    inputs: &Inputs<'_>,
    snapshot_ms: u64,
    findings: &mut Findings<'_>,
) -> Result<(), ReconcileError> {
    let mut registry = inputs.registry;
    let mut after = None;
    loop {
        let units = log.units(after, PAGE).await?;
        let Some(last) = units.last() else {
            return Ok(());
        };
        after = Some(last.device_id);
        findings.report.units += units.len() as u64;
        findings.extend(units.iter().filter_map(standing));
        let Some(asked) = registry else { continue };
        let active = trusted(asked, &units).await;
        let held = match active {
            Ok(active) => all(asked, &units, &active, snapshot_ms, findings).await,
            Err(error) => Err(error),
        };
        if let Err(error) = held {
            findings.add(refused("the registry's pins", &error));
            registry = None;
        }
    }
}

async fn all(
    registry: &Registry,
    units: &[ReplayedUnit],
    active: &HashMap<DeviceIdText, ActivePin>,
    snapshot_ms: u64,
    findings: &mut Findings<'_>,
) -> Result<(), RegistryError> {
    for unit in units {
        let active = active.get(&unit.device_id);
        findings.extend(hold(registry, unit, active, snapshot_ms).await?);
    }
    Ok(())
}

fn place(unit: &ReplayedUnit) -> String {
    match &unit.serial {
        Some(serial) => format!("unit {}, serial {serial}", unit.device_id.0),
        None => format!("unit {}", unit.device_id.0),
    }
}

/// How a unit stands by the log alone.
fn standing(unit: &ReplayedUnit) -> Option<Finding> {
    let (code, message) = match unit.state {
        UnitState::Passed | UnitState::Weak => {
            if unit.pinned.is_some() {
                return None;
            }
            (
                Code::PassedWithoutPin,
                "expected a leaf that says that the registry trusts its key, found none",
            )
        }
        UnitState::Held => (
            Code::UnitHeld,
            "finished while the registry was out of reach: not trusted, and not to be shipped",
        ),
        UnitState::InProgress => (Code::UnitInterrupted, "its last run has no end"),
        UnitState::Quarantined => (Code::UnitQuarantined, "set apart, as the log says"),
        UnitState::Failed => (
            Code::UnitFailed,
            "its last run failed, its pin was revoked, or it was released",
        ),
        UnitState::Scrapped => (Code::UnitScrapped, "taken out for good, as the log says"),
    };
    Some(code.at(place(unit), message))
}

async fn trusted(
    registry: &Registry,
    units: &[ReplayedUnit],
) -> Result<HashMap<DeviceIdText, ActivePin>, RegistryError> {
    let devices: Vec<_> = units.iter().map(|unit| unit.device_id).collect();
    let active = registry.active_pins(&devices).await?;
    Ok(active.into_iter().map(|pin| (pin.device_id, pin)).collect())
}

/// Holds a unit against its active pin.
async fn hold(
    registry: &Registry,
    unit: &ReplayedUnit,
    active: Option<&ActivePin>,
    snapshot_ms: u64,
) -> Result<Option<Finding>, RegistryError> {
    let passed = matches!(unit.state, UnitState::Passed | UnitState::Weak);
    let Some(pinned) = unit.pinned.as_ref().filter(|_| passed) else {
        return Ok(unfinished(unit, active, snapshot_ms));
    };
    match active {
        Some(active) if active.fingerprint == pinned.fingerprint => Ok(strength(unit, active)),
        _ => not_trusted(registry, unit, pinned, active).await,
    }
}

/// The proof was as strong as the log says.
fn strength(unit: &ReplayedUnit, active: &ActivePin) -> Option<Finding> {
    let weak = unit.state == UnitState::Weak;
    (active.weak != weak).then(|| {
        let word = |weak| if weak { "a MAC" } else { "a signature" };
        let message = format!(
            "expected a pin by {}, the registry has one by {}",
            word(weak),
            word(active.weak)
        );
        Code::PinWeakDiffers.at(place(unit), message)
    })
}

/// A unit that passed, and whose key the registry does not trust.
async fn not_trusted(
    registry: &Registry,
    unit: &ReplayedUnit,
    pinned: &KeyLeaf,
    active: Option<&ActivePin>,
) -> Result<Option<Finding>, RegistryError> {
    let mut claims = registry.claims_of_keys(&[pinned.fingerprint]).await?;
    let Some(claim) = claims.pop() else {
        // Told where the log's keys are looked for in the registry.
        return Ok(None);
    };
    let state = claim.pin.state.as_str();
    if state == "revoked" {
        let since = unit.revoked.filter(|leaf| *leaf > pinned.index);
        if revocation(registry, &claim, since).await?.is_some() {
            // Told where the claim is looked at.
            return Ok(None);
        }
    }
    let expected = hex::encode(pinned.fingerprint);
    if let Some(active) = active {
        let message = format!(
            "leaf {} says that the registry trusts the key {expected}, the registry trusts {}",
            pinned.index,
            hex::encode(active.fingerprint)
        );
        return Ok(Some(Code::PinDiffers.at(place(unit), message)));
    }
    let message = format!(
        "leaf {} says that the registry trusts the key {expected}, the registry has it as {state}",
        pinned.index,
    );
    Ok(Some(Code::PinMissing.at(place(unit), message)))
}

/// A unit that is not a finished one, and that the cloud trusts.
fn unfinished(
    unit: &ReplayedUnit,
    active: Option<&ActivePin>,
    snapshot_ms: u64,
) -> Option<Finding> {
    let active = active?;
    if active.pinned_at_ms.is_some_and(|at| at >= snapshot_ms) {
        let message = "pinned while this verification was running";
        return Some(Code::AfterSnapshot.at(place(unit), message));
    }
    let message = format!(
        "the log has it as {}, the registry trusts its key {}",
        unit.state.name(),
        hex::encode(active.fingerprint)
    );
    Some(Code::TrustedUnfinished.at(place(unit), message))
}
