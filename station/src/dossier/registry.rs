//! What the registry said of the unit's keys, held against the log. Nobody signed that it did: the file says so, and whoever wrote the file
//! may have left out what the registry said later. So it can break a dossier, and never hold one up.

use keyline_protocol::identity::fingerprint;

use super::Dossier;
use super::finding::{Finding, broken, note};
use super::log::Told;
use crate::record::{Change, Evidence, Proof};
use crate::signature;

/// What the registry said: its proofs are verified again, the rest is its word.
pub(super) fn check(dossier: &Dossier, told: &[Told<'_>], findings: &mut Vec<Finding>) {
    let Some(record) = &dossier.registry else {
        let words = "the registry was not asked: whether the cloud trusts the unit is not shown";
        findings.push(note("registry", words));
        return;
    };
    for proof in &record.proofs {
        findings.push(registry_proof(dossier, proof));
    }
    let Some(active) = record.pins.iter().find(|pin| pin.is_active()) else {
        let words = "the file says that it has no active pin of this unit; nobody signed that";
        findings.push(note("registry", words));
        return;
    };
    let pinned = told.iter().any(|one| match &one.change {
        Change::StepDone { evidence, .. } => {
            matches!(**evidence, Evidence::Pinned { fingerprint, .. } if fingerprint == active.fingerprint)
        }
        Change::HeldReleased { fingerprint, .. } => *fingerprint == active.fingerprint,
        _ => false,
    });
    let key = hex::encode(active.fingerprint);
    let device = active.device_id == dossier.device_id
        && fingerprint(&active.public_key) == active.fingerprint;
    findings.push(if !device {
        broken(
            "registry",
            format!("the pin of key {key} is not one of this unit"),
        )
    } else if pinned {
        note(
            "registry",
            format!("the file says that it trusts key {key}, of which the log says so too; nobody signed that: ask it (`keyline pin show`)"),
        )
    } else {
        broken(
            "registry",
            format!("it trusts key {key}, of which this log knows nothing"),
        )
    });
}

fn registry_proof(dossier: &Dossier, proof: &Proof) -> Finding {
    let key = hex::encode(proof.fingerprint());
    if proof.device_id != dossier.device_id {
        return broken(
            "registry",
            format!("the proof of key {key} is another unit's"),
        );
    }
    if proof.weak {
        return note(
            "registry",
            format!("the file says that it accepted a weak proof of key {key}: a MAC"),
        );
    }
    let digest = proof.transcript().digest();
    let (algorithm, public_key) = (proof.algorithm.0, &proof.public_key);
    match signature::verify(algorithm, public_key, &digest, &proof.authenticator) {
        Ok(()) => note(
            "registry",
            format!(
                "a proof of key {key} verifies; that it accepted it is what the file says, nobody signed that"
            ),
        ),
        Err(error) => broken("registry", format!("the proof of key {key}: {error}")),
    }
}
