//! Every key that the registry has of this station: whether its claim and proof verify again, whether the log knows of them, and why it
//! is trusted no more where it isn't.

use std::collections::{HashMap, HashSet};

use sha2::{Digest as _, Sha256};

use super::finding::Findings;
use super::witness::refused;
use super::{Code, Finding, Inputs, ReconcileError};
use crate::journal::{KeyFact, KeyLeaf, Replayed};
use crate::record::{OrderId, RunId, StationId};
use crate::registry::{
    AlarmSide, ClaimRecord, PinEventKind, Registry, RegistryError, StoredProof, check_claim,
    check_proof,
};

/// How many claims are looked at together.
const PAGE: u32 = 500;

/// How many alarms are remembered to tell the station's own from the registry's.
const ALARMS_MAX: usize = 100_000;

/// Looks at every claim and alarm of the station. Gives how many keys of each order the registry trusts; `None` where it was not asked to
/// the end.
pub(super) async fn check(
    log: &mut Replayed,
    inputs: &Inputs<'_>,
    snapshot_ms: u64,
    findings: &mut Findings<'_>,
) -> Result<Option<HashMap<OrderId, u64>>, ReconcileError> {
    let Some(registry) = inputs.registry else {
        return Ok(None);
    };
    let mut trusted = HashMap::new();
    let mut after = None;
    loop {
        let page = match registry
            .claims_of_station(inputs.station, after, PAGE)
            .await
        {
            Ok(page) => page,
            Err(error) => {
                findings.add(refused("the registry's claims", &error));
                return Ok(None);
            }
        };
        let Some(last) = page.last() else { break };
        after = Some(last.fingerprint);
        findings.report.claims += page.len() as u64;
        for record in &page {
            if state(record) == "active" {
                *trusted.entry(record.claim.order).or_default() += 1;
            }
        }
        check_page(log, inputs, registry, &page, snapshot_ms, findings).await?;
    }
    match alarms(log, inputs.station, registry, snapshot_ms, findings).await? {
        Ok(()) => Ok(Some(trusted)),
        Err(error) => {
            findings.add(refused("the registry's alarms", &error));
            Ok(Some(trusted))
        }
    }
}

fn state(record: &ClaimRecord) -> &str {
    &record.pin.state
}

fn place(record: &ClaimRecord) -> String {
    format!(
        "unit {}, key {} in the registry",
        record.claim.device_id.0,
        hex::encode(record.fingerprint)
    )
}

async fn check_page(
    log: &mut Replayed,
    inputs: &Inputs<'_>,
    registry: &Registry,
    page: &[ClaimRecord],
    snapshot_ms: u64,
    findings: &mut Findings<'_>,
) -> Result<(), ReconcileError> {
    let devices: Vec<_> = page.iter().map(|record| record.claim.device_id).collect();
    let mut of_devices: HashMap<_, Vec<KeyLeaf>> = HashMap::new();
    for leaf in log.leaves_of_units(&devices).await? {
        of_devices.entry(leaf.device_id).or_default().push(leaf);
    }
    let proven = proven_in(log, page).await?;
    for record in page {
        if record.claimed_at_ms >= snapshot_ms {
            let message = "claimed while this verification was running";
            findings.add(Code::AfterSnapshot.at(place(record), message));
            continue;
        }
        let leaves = of_devices.get(&record.claim.device_id);
        let leaves = leaves.map_or(&[][..], Vec::as_slice);
        findings.extend(check_claimed(record, leaves));
        let pinned_at_ms = record.pin.pinned_at_ms;
        if pinned_at_ms.is_some_and(|at| at >= snapshot_ms) {
            let message = "pinned while this verification was running";
            findings.add(Code::AfterSnapshot.at(place(record), message));
            continue;
        }
        match check_state(record, (leaves, &proven), inputs.station, registry).await {
            Ok(found) => findings.extend(found),
            Err(error) => findings.add(refused("the registry's history", &error)),
        }
    }
    Ok(())
}

/// The leaf of this fact about the record's key.
fn leaf_of<'l>(record: &ClaimRecord, leaves: &'l [KeyLeaf], fact: KeyFact) -> Option<&'l KeyLeaf> {
    leaves
        .iter()
        .rev()
        .find(|leaf| leaf.fact == fact && leaf.fingerprint == record.fingerprint)
}

/// The claim verifies, and the log knows of it.
fn check_claimed(record: &ClaimRecord, leaves: &[KeyLeaf]) -> Vec<Finding> {
    let mut findings = Vec::new();
    if record.fingerprint != record.claim.fingerprint() {
        let message = format!(
            "expected the public key of this fingerprint, found that of {}",
            hex::encode(record.claim.fingerprint())
        );
        findings.push(Code::RegistryClaimInvalid.at(place(record), message));
    } else if let Err(error) = check_claim(&record.claim) {
        findings.push(Code::RegistryClaimInvalid.at(place(record), error.to_string()));
    }
    // What was entered late, after its unit was held, has one leaf for claim and pin.
    let entered = [KeyFact::Claimed, KeyFact::Pinned];
    if entered
        .into_iter()
        .any(|fact| leaf_of(record, leaves, fact).is_some())
    {
        return findings;
    }
    let run = record.claim.run;
    let keyed = leaf_of(record, leaves, KeyFact::Keyed);
    findings.push(if let Some(keyed) = keyed {
        let message = format!(
            "leaf {} says that the unit holds the key, none that it was claimed: run {run} ended in between",
            keyed.index
        );
        Code::ClaimUnacknowledged.at(place(record), message)
    } else {
        let message = format!("claimed in run {run}; the log says nothing of this key");
        Code::ClaimNotInLog.at(place(record), message)
    });
    findings
}

/// What became of the claim is what the log says.
async fn check_state(
    record: &ClaimRecord,
    (leaves, proven): (&[KeyLeaf], &[KeyLeaf]),
    station: StationId,
    registry: &Registry,
) -> Result<Vec<Finding>, RegistryError> {
    let pinned = leaf_of(record, leaves, KeyFact::Pinned);
    let mut findings = Vec::new();
    match (state(record), pinned) {
        ("active", _) => findings.extend(check_pinned(record, (leaves, proven), station)),
        ("revoked", pinned) => {
            findings.extend(check_pinned(record, (leaves, proven), station));
            let ends = |leaf: &&KeyLeaf| match leaf.fact {
                KeyFact::Revoked => leaf.fingerprint == record.fingerprint,
                KeyFact::Rework => pinned.is_none_or(|pinned| leaf.index > pinned.index),
                _ => false,
            };
            let since = leaves.iter().find(ends).map(|leaf| leaf.index);
            findings.push(
                revocation(registry, record, since)
                    .await?
                    .unwrap_or_else(|| {
                        let message = "it is marked as revoked, and its history has no revocation";
                        Code::PinMissing.at(place(record), message)
                    }),
            );
        }
        (other, Some(pinned)) => {
            let message = format!(
                "leaf {} says that the registry trusts this key, the registry has it as {other}",
                pinned.index
            );
            findings.push(Code::PinMissing.at(place(record), message));
        }
        ("pending", None) => {
            let message = "entered and not trusted: its unit failed, was interrupted or is held before it was pinned";
            findings.push(Code::KeyPending.at(place(record), message));
        }
        ("superseded", None) => findings.push(superseded(record, leaves)),
        (other, None) => {
            let message = format!("expected a state of this claim, found {other}");
            findings.push(Code::PinMissing.at(place(record), message));
        }
    }
    Ok(findings)
}

fn superseded(record: &ClaimRecord, leaves: &[KeyLeaf]) -> Finding {
    // The key may come back later, and is then refused: what counts is when it was claimed.
    let own = leaf_of(record, leaves, KeyFact::Claimed).map(|leaf| leaf.index);
    let newer = |leaf: &&KeyLeaf| {
        leaf.fact == KeyFact::Keyed
            && leaf.fingerprint != record.fingerprint
            && own.is_none_or(|own| leaf.index > own)
    };
    if let Some(newer) = leaves.iter().find(newer) {
        let message = format!(
            "it never proved itself; leaf {} has the unit's next key {}",
            newer.index,
            hex::encode(newer.fingerprint)
        );
        return Code::KeySuperseded.at(place(record), message);
    }
    let message = "another key took its place, of which this log says nothing";
    Code::SupersededElsewhere.at(place(record), message)
}

/// A key that is or was trusted: by a proof that verifies again, and that the log knows.
fn check_pinned(
    record: &ClaimRecord,
    (leaves, proven): (&[KeyLeaf], &[KeyLeaf]),
    station: StationId,
) -> Vec<Finding> {
    let mut findings = check_stored(record, proven, station);
    let by_station = |proof: &StoredProof| match proof {
        StoredProof::Readable(proof) => proof.station == station,
        StoredProof::Unreadable(_) => false,
    };
    let ours = record.proof.as_ref().is_some_and(by_station);
    if ours && leaf_of(record, leaves, KeyFact::Pinned).is_none() {
        let proven = leaf_of(record, leaves, KeyFact::Proven);
        findings.push(if let Some(proven) = proven {
            let message = format!(
                "leaf {} has the proof, none says that the registry accepted it: the run ended in between",
                proven.index
            );
            Code::PinUnacknowledged.at(place(record), message)
        } else {
            let message = "trusted by a proof in this station's name; the log says nothing of it";
            Code::PinNotInLog.at(place(record), message)
        });
    }
    findings
}

/// The proofs that the log has of the runs which the stored proofs name.
pub(super) async fn proven_in(
    log: &mut Replayed,
    records: &[ClaimRecord],
) -> Result<Vec<KeyLeaf>, ReconcileError> {
    let run = |record: &ClaimRecord| match &record.proof {
        Some(StoredProof::Readable(proof)) => Some(proof.run),
        _ => None,
    };
    let runs: Vec<_> = records.iter().filter_map(run).collect();
    let mut leaves = log.leaves_of_runs(&runs).await?;
    leaves.retain(|leaf| leaf.fact == KeyFact::Proven);
    leaves.sort_by_key(|leaf| leaf.run);
    Ok(leaves)
}

/// The stored proof verifies, and is the one in the log: among `proven`, by run.
pub(super) fn check_stored(
    record: &ClaimRecord,
    proven: &[KeyLeaf],
    station: StationId,
) -> Vec<Finding> {
    let proof = match &record.proof {
        None => {
            let message = "trusted, and the registry has no proof of it";
            return vec![Code::PinWithoutProof.at(place(record), message)];
        }
        Some(StoredProof::Unreadable(why)) => {
            let message = format!("expected a proof, found bytes that are none: {why}");
            return vec![Code::RegistryProofInvalid.at(place(record), message)];
        }
        Some(StoredProof::Readable(proof)) => proof,
    };
    if let Err(error) = check_proof(proof) {
        return vec![Code::RegistryProofInvalid.at(place(record), error.to_string())];
    }
    let same =
        proof.fingerprint() == record.fingerprint && proof.device_id == record.claim.device_id;
    if !same || proof.product != record.claim.product {
        let message = format!(
            "expected a proof of this unit, key and product, found one of unit {}, key {}, product {}",
            proof.device_id.0,
            hex::encode(proof.fingerprint()),
            proof.product
        );
        return vec![Code::RegistryProofDiffers.at(place(record), message)];
    }
    if proof.station != station {
        return Vec::new();
    }
    let mut transcript = Sha256::new();
    proof.transcript().write(|bytes| transcript.update(bytes));
    let digest: [u8; 32] = transcript.finalize().into();
    let of_run = proven.partition_point(|leaf| leaf.run < Some(proof.run));
    let of_run = proven[of_run..]
        .iter()
        .take_while(|leaf| leaf.run == Some(proof.run));
    if of_run.into_iter().any(|leaf| leaf.digest == Some(digest)) {
        return Vec::new();
    }
    let message = format!(
        "trusted by a proof of run {} and order {}; the log has no such proof",
        proof.run, proof.order
    );
    vec![Code::RegistryProofDiffers.at(place(record), message)]
}

/// Why a key is revoked: by the log from leaf `since` on, or by somebody else. `None` where the registry's own history says nothing.
pub(super) async fn revocation(
    registry: &Registry,
    record: &ClaimRecord,
    since: Option<u64>,
) -> Result<Option<Finding>, RegistryError> {
    let history = registry.history(record.claim.device_id).await?;
    let event = history.into_iter().find(|event| {
        event.kind == PinEventKind::Revoked && event.fingerprint == record.fingerprint
    });
    Ok(event.map(|event| {
        if let Some(leaf) = since {
            let message = format!("revoked at {}, as leaf {leaf} says", event.at_ms);
            return Code::KeyRevoked.at(place(record), message);
        }
        let message = format!(
            "revoked at {} by operator {}, of which this log says nothing: {}",
            event.at_ms,
            event.operator.as_deref().unwrap_or("unknown"),
            event.reason.as_deref().unwrap_or("no reason given")
        );
        Code::RevokedElsewhere.at(place(record), message)
    }))
}

/// The registry's alarms have their leaves; the log's alarms that the registry does not have were the station's own.
async fn alarms(
    log: &mut Replayed,
    station: StationId,
    registry: &Registry,
    snapshot_ms: u64,
    findings: &mut Findings<'_>,
) -> Result<Result<(), RegistryError>, ReconcileError> {
    let mut runs: HashSet<RunId> = HashSet::new();
    let mut after = None;
    loop {
        let page = match registry.alarms_of_station(station, after, PAGE).await {
            Ok(page) => page,
            Err(error) => return Ok(Err(error)),
        };
        let of_runs: Vec<_> = page.alarms.iter().map(|alarm| alarm.run).collect();
        let leaves = log.leaves_of_runs(&of_runs).await?;
        for alarm in &page.alarms {
            if runs.len() < ALARMS_MAX {
                runs.insert(alarm.run);
            }
            let said = leaves.iter().any(|leaf| {
                leaf.fact == KeyFact::Alarm
                    && leaf.run == Some(alarm.run)
                    && leaf.device_id == alarm.device_id
            });
            // The other side's view of a conflict is a leaf of the other side's log.
            let elsewhere = alarm.side == AlarmSide::Holder;
            if said || elsewhere || alarm.at_ms >= snapshot_ms {
                continue;
            }
            let place = format!(
                "unit {}, alarm {} in the registry",
                alarm.device_id.0,
                alarm.kind.name()
            );
            let key = hex::encode(alarm.fingerprint);
            findings.add(if log.has_run(alarm.run).await? {
                let message = format!(
                    "raised in run {} over the key {key}; the run ended before the log said so",
                    alarm.run
                );
                Code::AlarmUnacknowledged.at(place, message)
            } else {
                let message = format!(
                    "raised in run {} over the key {key}; the log has no such run",
                    alarm.run
                );
                Code::AlarmNotInLog.at(place, message)
            });
        }
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    own_alarms(log, &runs, findings).await?;
    Ok(Ok(()))
}

async fn own_alarms(
    log: &mut Replayed,
    known: &HashSet<RunId>,
    findings: &mut Findings<'_>,
) -> Result<(), ReconcileError> {
    let mut after = None;
    loop {
        let page = log.alarms(after, PAGE).await?;
        let Some(last) = page.last() else {
            return Ok(());
        };
        after = Some(last.index);
        for leaf in page {
            if leaf.run.is_some_and(|run| known.contains(&run)) {
                continue;
            }
            let message = format!(
                "clone alarm over unit {} and key {}, which the registry was not asked to enter",
                leaf.device_id.0,
                hex::encode(leaf.fingerprint)
            );
            findings.add(Code::AlarmByStation.at(format!("leaf {}", leaf.index), message));
        }
    }
}
