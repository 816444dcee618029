//! Every unit of the log: how it stands, and whether the registry trusts the very key that the log says.

use std::collections::HashMap;

use super::claims::{check_stored, revocation};
use super::finding::{Findings, TOLD_MAX};
use super::witness::refused;
use super::{Code, Finding, Inputs, ReconcileError};
use crate::journal::{KeyLeaf, Replayed, ReplayedUnit};
use crate::record::{DeviceIdText, UnitState};
use crate::registry::{ActivePin, ClaimRecord, Registry, RegistryError};

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
        match trusted(asked, &units).await {
            Ok(trusted) => hold(log, inputs, asked, &units, &trusted, findings).await?,
            Err(error) => {
                findings.add(refused("the registry's pins", &error));
                registry = None;
            }
        }
    }
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
        UnitState::Failed => (Code::UnitFailed, "its last run failed, or it was released"),
        UnitState::Scrapped => (Code::UnitScrapped, "taken out for good, as the log says"),
    };
    Some(code.at(place(unit), message))
}

/// What the registry says of a page of units.
struct Trusted {
    active: HashMap<DeviceIdText, ActivePin>,
    claims: HashMap<[u8; 32], ClaimRecord>,
}

async fn trusted(registry: &Registry, units: &[ReplayedUnit]) -> Result<Trusted, RegistryError> {
    let devices: Vec<_> = units.iter().map(|unit| unit.device_id).collect();
    let pinned = units.iter().filter_map(|unit| unit.pinned.as_ref());
    let keys: Vec<_> = pinned.map(|leaf| leaf.fingerprint).collect();
    let active = registry.active_pins(&devices).await?;
    let claims = registry.claims_of_keys(&keys).await?;
    Ok(Trusted {
        active: active.into_iter().map(|pin| (pin.device_id, pin)).collect(),
        claims: claims
            .into_iter()
            .map(|claim| (claim.fingerprint, claim))
            .collect(),
    })
}

async fn hold(
    log: &mut Replayed,
    inputs: &Inputs<'_>,
    registry: &Registry,
    units: &[ReplayedUnit],
    trusted: &Trusted,
    findings: &mut Findings<'_>,
) -> Result<(), ReconcileError> {
    for unit in units {
        let active = trusted.active.get(&unit.device_id);
        let passed = matches!(unit.state, UnitState::Passed | UnitState::Weak);
        let Some(pinned) = unit.pinned.as_ref().filter(|_| passed) else {
            findings.extend(unfinished(unit, active));
            continue;
        };
        let claim = trusted.claims.get(&pinned.fingerprint);
        let found = match (claim, active) {
            (None, _) => {
                let message = format!(
                    "leaf {} says that the registry trusts the key {}, the registry has no claim of it",
                    pinned.index,
                    hex::encode(pinned.fingerprint)
                );
                vec![Code::ClaimMissing.at(place(unit), message)]
            }
            (Some(claim), Some(active)) if active.fingerprint == pinned.fingerprint => {
                let mut found: Vec<_> = strength(unit, active).into_iter().collect();
                // Claims of this station are all looked at by themselves.
                if claim.claim.station != inputs.station {
                    let leaves = log.leaves_of_keys(&[pinned.fingerprint]).await?;
                    found.extend(check_stored(claim, &leaves, inputs.station));
                }
                found
            }
            (Some(claim), active) => not_trusted(registry, unit, pinned, claim, active).await,
        };
        findings.extend(found);
    }
    Ok(())
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
    claim: &ClaimRecord,
    active: Option<&ActivePin>,
) -> Vec<Finding> {
    let state = claim.pin.as_ref().map(|pin| pin.state.as_str());
    if state == Some("revoked") {
        let since = unit.revoked.filter(|leaf| *leaf > pinned.index);
        match revocation(registry, claim, since).await {
            // Told once, where the claim is looked at.
            Ok(Some(_)) => return Vec::new(),
            Ok(None) => {}
            Err(error) => return vec![refused("the registry's history", &error)],
        }
    }
    let expected = hex::encode(pinned.fingerprint);
    if let Some(active) = active {
        let message = format!(
            "leaf {} says that the registry trusts the key {expected}, the registry trusts {}",
            pinned.index,
            hex::encode(active.fingerprint)
        );
        return vec![Code::PinDiffers.at(place(unit), message)];
    }
    let message = format!(
        "leaf {} says that the registry trusts the key {expected}, the registry has {}",
        pinned.index,
        state.map_or_else(
            || "no pin of it".to_owned(),
            |state| format!("it as {state}")
        )
    );
    vec![Code::PinMissing.at(place(unit), message)]
}

/// A unit that is not a finished one, and that the cloud trusts.
fn unfinished(unit: &ReplayedUnit, active: Option<&ActivePin>) -> Option<Finding> {
    let active = active?;
    let message = format!(
        "the log has it as {}, the registry trusts its key {}",
        unit.state.name(),
        hex::encode(active.fingerprint)
    );
    Some(Code::TrustedUnfinished.at(place(unit), message))
}
