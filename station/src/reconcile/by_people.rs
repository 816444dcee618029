//! What did not come from a bench: acts of two people, imports, revocations and products that this station entered. Each leaf has its rows,
//! and each row that this station entered has its leaf. The rows of others are counted, and not judged: their logs are elsewhere.

use std::collections::HashMap;

use super::finding::Findings;
use super::proofs::Proofs;
use super::witness::refused;
use super::{Code, Finding, Inputs, ReconcileError};
use crate::error_text::counted;
use crate::journal::{KeyFact, KeyLeaf, Replayed};
use crate::record::{Change, DeviceIdText, RunId};
use crate::registry::{Registry, RegistryError};

/// How many revocations are looked at together.
const PAGE: u32 = 500;

/// An act of two people, as its leaf says.
#[derive(Debug)]
struct ActLeaf {
    index: u64,
    act: [u8; 32],
    kind: String,
    device_id: DeviceIdText,
    old: [u8; 32],
    /// In hexadecimal.
    new: Option<String>,
}

/// An import, as its leaves say.
#[derive(Debug)]
struct ImportLeaves {
    index: u64,
    /// How many keys were new in the registry, and whether every row was read; `None` where no leaf says that it ended.
    ended: Option<(u64, bool)>,
}

/// What the log says of acts and imports. Both are the work of people: there are few.
#[derive(Debug, Default)]
pub(super) struct ByPeople {
    acts: Vec<ActLeaf>,
    imports: HashMap<RunId, ImportLeaves>,
}

impl ByPeople {
    /// Takes the next change.
    pub(super) fn take(&mut self, index: u64, change: &Change) {
        match change {
            Change::ActCarriedOut {
                act,
                act_kind,
                device_id,
                old,
                new,
                ..
            } => self.acts.push(ActLeaf {
                index,
                act: *act,
                kind: act_kind.clone(),
                device_id: *device_id,
                old: *old,
                new: new.clone(),
            }),
            Change::FleetImportBegun { import, .. } => {
                self.imports
                    .insert(*import, ImportLeaves { index, ended: None });
            }
            Change::FleetImportEnded {
                import,
                imported,
                finished,
                ..
            } => {
                if let Some(leaves) = self.imports.get_mut(import) {
                    leaves.ended = Some((*imported, *finished));
                }
            }
            _ => {}
        }
    }
}

/// Holds acts, imports, revocations and products against the registry.
pub(super) async fn check(
    log: &mut Replayed,
    said: (&ByPeople, &Proofs),
    inputs: &Inputs<'_>,
    snapshot_ms: u64,
    findings: &mut Findings<'_>,
) -> Result<(), ReconcileError> {
    let Some(registry) = inputs.registry else {
        return Ok(());
    };
    let (by_people, proofs) = said;
    let mut tell = |place: &str, found: Result<Vec<Finding>, RegistryError>| match found {
        Ok(found) => {
            findings.extend(found);
            true
        }
        Err(error) => {
            findings.add(refused(place, &error));
            false
        }
    };
    let mut own = Own::default();
    let acts_read = tell(
        "the registry's acts",
        acts(registry, by_people, &mut own).await,
    );
    let imports_read = tell(
        "the registry's imports",
        imports(registry, by_people, &mut own).await,
    );
    tell(
        "the registry's products",
        builds(registry, proofs, inputs).await,
    );
    // Where this station's own could not be counted, nobody can say how many are others'.
    if acts_read && imports_read {
        tell("others", others(registry, by_people, &own).await);
    }
    let revoked = revocations(log, registry, inputs, snapshot_ms).await?;
    tell("the registry's revocations", revoked);
    Ok(())
}

/// What the registry has of this station's own.
#[derive(Debug, Default)]
struct Own {
    acts: u64,
    imported: u64,
}

async fn acts(
    registry: &Registry,
    said: &ByPeople,
    own: &mut Own,
) -> Result<Vec<Finding>, RegistryError> {
    let mut findings = Vec::new();
    for leaf in &said.acts {
        let place = format!("unit {}, act {}", leaf.device_id.0, hex::encode(leaf.act));
        let entered = registry.has_act(leaf.act).await?;
        own.acts += u64::from(entered);
        let old = registry.by_fingerprint(leaf.old).await?;
        let trusted = old.is_some_and(|pin| pin.is_active());
        let (index, kind, key) = (leaf.index, &leaf.kind, hex::encode(leaf.old));
        findings.push(match (entered, trusted) {
            (_, true) => {
                let message = format!(
                    "leaf {index} says that two people agreed on {kind}, the registry still trusts the key {key}"
                );
                Code::ActMissing.at(place, message)
            }
            (false, false) => {
                let message = format!(
                    "leaf {index} says that two people agreed on {kind}, the registry has no such act; it does not trust the key {key} either"
                );
                Code::ActNotEntered.at(place, message)
            }
            (true, false) => match new_key(registry, leaf).await? {
                Some(found) => Code::ActMissing.at(place, found),
                None => continue,
            },
        });
    }
    Ok(findings)
}

/// The key that an act gave is the unit's, whatever became of it since.
async fn new_key(registry: &Registry, leaf: &ActLeaf) -> Result<Option<String>, RegistryError> {
    let Some(new) = &leaf.new else {
        return Ok(None);
    };
    let mut fingerprint = [0; 32];
    let owner = match hex::decode_to_slice(new, &mut fingerprint) {
        Ok(()) => registry.by_fingerprint(fingerprint).await?,
        Err(_) => None,
    };
    if owner.is_some_and(|pin| pin.device_id == leaf.device_id) {
        return Ok(None);
    }
    Ok(Some(format!(
        "leaf {} says that the unit was given the key {new}, the registry does not have it as the unit's",
        leaf.index
    )))
}

async fn imports(
    registry: &Registry,
    said: &ByPeople,
    own: &mut Own,
) -> Result<Vec<Finding>, RegistryError> {
    let mut imports: Vec<_> = said.imports.iter().collect();
    imports.sort_unstable_by_key(|(_, leaves)| leaves.index);
    let mut findings = Vec::new();
    for (import, leaves) in imports {
        let found = registry.import_count(*import).await?;
        own.imported += found;
        let place = format!("import {import}, leaf {}", leaves.index);
        let words = counted(found, "key", "keys");
        findings.extend(match leaves.ended {
            None => {
                let message = format!("no leaf says that it ended; the registry has {words} of it");
                Some(Code::ImportUnended.at(place, message))
            }
            Some((expected, _)) if found < expected => {
                let message =
                    format!("expected {expected} keys of it, as its last leaf says, found {words}");
                Some(Code::ImportRowsMissing.at(place, message))
            }
            Some((expected, true)) if found > expected => {
                let message =
                    format!("expected {expected} keys of it, as its last leaf says, found {words}");
                Some(Code::ImportRowsAdded.at(place, message))
            }
            Some((expected, false)) if found > expected => {
                let message = format!(
                    "it was cut off after {expected} keys, the registry has {words}: the answer to the last of them was lost"
                );
                Some(Code::ImportUnended.at(place, message))
            }
            Some(_) => None,
        });
    }
    Ok(findings)
}

async fn builds(
    registry: &Registry,
    proofs: &Proofs,
    inputs: &Inputs<'_>,
) -> Result<Vec<Finding>, RegistryError> {
    let entered = registry.builds_of(inputs.station).await?;
    let unknown = entered.into_iter().filter(|id| !proofs.knows_product(*id));
    let mut unknown: Vec<_> = unknown.map(|id| id.to_string()).collect();
    unknown.sort_unstable();
    let mut findings = Vec::new();
    for id in unknown {
        // It may have been added since the verification began.
        let added = match id.parse() {
            Ok(id) => inputs.journal.product(id).await,
            Err(_) => Ok(None),
        };
        let place = format!("product {id} in the registry");
        findings.push(if matches!(added, Ok(Some(_))) {
            Code::AfterSnapshot.at(place, "added while this verification was running")
        } else {
            let message = "entered in this station's name; the log says nothing of it";
            Code::BuildNotInLog.at(place, message)
        });
    }
    Ok(findings)
}

/// What others entered, as far as this role sees it.
async fn others(
    registry: &Registry,
    said: &ByPeople,
    own: &Own,
) -> Result<Vec<Finding>, RegistryError> {
    let imported = registry.all_imports_count().await?;
    let imported = imported.saturating_sub(own.imported);
    // A station sees no acts, and has none.
    let acts = match registry.act_count().await {
        Err(RegistryError::NotAllowed { .. }) if said.acts.is_empty() => 0,
        count => count?,
    };
    let acts = acts.saturating_sub(own.acts);
    if imported + acts == 0 {
        return Ok(Vec::new());
    }
    let message = format!(
        "{} of imports and {} of two people stand in no leaf of this log: others entered them",
        counted(imported, "key", "keys"),
        counted(acts, "act", "acts")
    );
    Ok(vec![Code::EnteredByOthers.at("the registry", message)])
}

/// The revocations that stand in this station's name have their leaves.
async fn revocations(
    log: &mut Replayed,
    registry: &Registry,
    inputs: &Inputs<'_>,
    snapshot_ms: u64,
) -> Result<Result<Vec<Finding>, RegistryError>, ReconcileError> {
    let mut findings = Vec::new();
    let mut after = None;
    loop {
        let page = registry.revocations_of_station(inputs.station, after, PAGE);
        let page = match page.await {
            Ok(page) => page,
            Err(error) => return Ok(Err(error)),
        };
        let Some(last) = page.last() else {
            return Ok(Ok(findings));
        };
        after = Some((last.device_id, last.generation));
        let devices: Vec<_> = page.iter().map(|row| row.device_id).collect();
        let leaves = log.leaves_of_units(&devices).await?;
        for row in page {
            let says = |leaf: &KeyLeaf| match leaf.fact {
                KeyFact::Revoked => leaf.fingerprint == row.fingerprint,
                KeyFact::Rework => true,
                _ => false,
            };
            let mut of_unit = leaves.iter().filter(|leaf| leaf.device_id == row.device_id);
            if of_unit.any(says) || row.revoked_at_ms >= snapshot_ms {
                continue;
            }
            let place = format!(
                "unit {}, key {} in the registry",
                row.device_id.0,
                hex::encode(row.fingerprint)
            );
            let message = format!(
                "revoked at {} in this station's name; the log says nothing of it",
                row.revoked_at_ms
            );
            findings.push(Code::RevocationNotInLog.at(place, message));
        }
    }
}
