//! The serials of this station's units: whether the registry has those with which its units passed, and whether the log knows of those
//! that were entered in the station's name. When a serial became free again follows from its unit's pin, which is looked at by itself.

use std::collections::HashSet;

use super::finding::Findings;
use super::witness::refused;
use super::{Code, Finding, Inputs, ReconcileError};
use crate::journal::{Replayed, ReplayedUnit};
use crate::record::{Label, UnitState};
use crate::registry::{Registry, RegistryError, SerialUse};

/// How many units or uses are looked at together.
const PAGE: u32 = 500;

/// Holds the serials of the log against those of the registry.
pub(super) async fn check(
    log: &mut Replayed,
    inputs: &Inputs<'_>,
    snapshot_ms: u64,
    findings: &mut Findings<'_>,
) -> Result<(), ReconcileError> {
    let Some(registry) = inputs.registry else {
        return Ok(());
    };
    let mut after = None;
    loop {
        let units = log.units(after, PAGE).await?;
        let Some(last) = units.last() else { break };
        after = Some(last.device_id);
        match of_units(registry, &units).await {
            Ok(found) => findings.extend(found),
            Err(error) => {
                findings.add(refused("the registry's serials", &error));
                return Ok(());
            }
        }
    }
    let mut after: Option<SerialUse> = None;
    loop {
        let page = registry
            .uses_of_station(inputs.station, after.as_ref(), PAGE)
            .await;
        let page = match page {
            Ok(page) => page,
            Err(error) => {
                findings.add(refused("the registry's serials", &error));
                return Ok(());
            }
        };
        let labelled: Vec<_> = page.iter().map(|one| (one.device_id, &one.label)).collect();
        let unknown = log.unknown_labels(&labelled).await?.into_iter();
        let unknown = unknown.filter_map(|place| page.get(place));
        findings.extend(unknown.map(|one| not_in_log(one, snapshot_ms)));
        after = page.into_iter().next_back();
        if after.is_none() {
            return Ok(());
        }
    }
}

/// Units that passed with a serial which the registry does not have for them.
async fn of_units(
    registry: &Registry,
    units: &[ReplayedUnit],
) -> Result<Vec<Finding>, RegistryError> {
    let labelled: Vec<_> = units.iter().filter_map(passed_with).collect();
    let devices: Vec<_> = labelled.iter().map(|(unit, _)| unit.device_id).collect();
    let uses = registry.serials_of(&devices).await?;
    let known: HashSet<_> = uses
        .into_iter()
        .map(|one| (one.device_id, one.label))
        .collect();
    let missing = labelled.into_iter().filter_map(|(unit, label)| {
        let message = format!(
            "the log says that it passed with this serial of product {}, the registry has no such use of the serial",
            label.product
        );
        let place = format!("unit {}, serial {}", unit.device_id.0, label.serial);
        let is_known = known.contains(&(unit.device_id, label));
        (!is_known).then(|| Code::SerialMissing.at(place, message))
    });
    Ok(missing.collect())
}

/// A unit that is finished, and its label.
fn passed_with(unit: &ReplayedUnit) -> Option<(&ReplayedUnit, Label)> {
    let passed = matches!(unit.state, UnitState::Passed | UnitState::Weak);
    let (product, serial) = (unit.product.clone()?, unit.serial.clone()?);
    (passed && unit.pinned.is_some()).then_some((unit, Label { product, serial }))
}

fn not_in_log(one: &SerialUse, snapshot_ms: u64) -> Finding {
    let place = format!(
        "unit {}, serial {} of product {} in the registry",
        one.device_id.0, one.label.serial, one.label.product
    );
    if one.used_at_ms >= snapshot_ms {
        let message = "entered while this verification was running";
        return Code::AfterSnapshot.at(place, message);
    }
    let message = format!(
        "entered at {} in this station's name; the log has no run of this unit with this serial",
        one.used_at_ms
    );
    Code::SerialNotInLog.at(place, message)
}
