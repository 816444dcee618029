//! Every key of which the log says that the registry has it: whether it still has, and for the same unit.

use std::collections::HashMap;

use super::claims::{check_stored, proven_in};
use super::finding::Findings;
use super::witness::refused;
use super::{Code, Inputs, ReconcileError};
use crate::journal::{KeyLeaf, Replayed};
use crate::registry::{Registry, RegistryError};

/// How many keys are looked at together.
const PAGE: u32 = 500;

/// Looks for the log's keys in the registry.
pub(super) async fn check(
    log: &mut Replayed,
    inputs: &Inputs<'_>,
    findings: &mut Findings<'_>,
) -> Result<(), ReconcileError> {
    let Some(registry) = inputs.registry else {
        return Ok(());
    };
    let mut after = None;
    loop {
        let keys = log.entered_keys(after, PAGE).await?;
        let Some(last) = keys.last() else {
            return Ok(());
        };
        after = Some(last.fingerprint);
        let foreign = match owners(registry, inputs, &keys, findings).await {
            Ok(foreign) => foreign,
            Err(error) => {
                findings.add(refused("the registry's claims", &error));
                return Ok(());
            }
        };
        // Claims of this station are all looked at by themselves; a unit that another one has claimed may have been pinned here.
        match registry.claims_of_keys(&foreign).await {
            Ok(mut records) => {
                records.retain(|record| record.pin.state == "active");
                let proven = proven_in(log, &records).await?;
                for record in &records {
                    findings.extend(check_stored(record, &proven, inputs.station));
                }
            }
            Err(error) => findings.add(refused("the registry's claims", &error)),
        }
    }
}

/// Holds the keys against their owners. Gives those that another station has claimed.
async fn owners(
    registry: &Registry,
    inputs: &Inputs<'_>,
    keys: &[KeyLeaf],
    findings: &mut Findings<'_>,
) -> Result<Vec<[u8; 32]>, RegistryError> {
    let asked: Vec<_> = keys.iter().map(|leaf| leaf.fingerprint).collect();
    let owners = registry.owners_of_keys(&asked).await?;
    let owners: HashMap<_, _> = owners
        .into_iter()
        .map(|owner| (owner.fingerprint, owner))
        .collect();
    let mut foreign = Vec::new();
    for leaf in keys {
        let key = hex::encode(leaf.fingerprint);
        let place = format!("unit {}, key {key}", leaf.device_id.0);
        match owners.get(&leaf.fingerprint) {
            None => {
                let message = format!(
                    "leaf {} says that the registry has this key, the registry has no claim of it",
                    leaf.index
                );
                findings.add(Code::ClaimMissing.at(place, message));
            }
            Some(owner) if owner.device_id != leaf.device_id => {
                let message = format!(
                    "leaf {} says that it is this unit's, the registry has it as that of unit {}",
                    leaf.index, owner.device_id.0
                );
                findings.add(Code::RegistryClaimInvalid.at(place, message));
            }
            Some(owner) if owner.station != Some(inputs.station) => foreign.push(leaf.fingerprint),
            Some(_) => {}
        }
    }
    Ok(foreign)
}
