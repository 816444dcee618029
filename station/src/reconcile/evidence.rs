//! What one leaf's evidence shows by itself, without any other leaf: signatures, nonces, and whose they are.

use keyline_protocol::identity::{Digest, fingerprint};
use keyline_protocol::transcript::{ClaimTranscript, ProofTranscript};
use sha2::{Digest as _, Sha256};

use super::{Code, Finding};
use crate::journal::{KeyFact, KeyLeaf};
use crate::record::{
    Change, DeviceIdText, Evidence, RunId, StationId, Step, parse_proof_transcript,
};
use crate::signature;

/// A step that was done, as its leaf says.
struct Done<'a> {
    place: String,
    run: RunId,
    device_id: Option<DeviceIdText>,
    step: Step,
    evidence: &'a Evidence,
}

/// What the leaf says of a unit's key, if anything.
pub(super) fn key_leaf(index: u64, change: &Change) -> Option<KeyLeaf> {
    let leaf = |fact, device_id, fingerprint| KeyLeaf {
        index,
        fact,
        device_id,
        fingerprint,
        run: change.run(),
        digest: None,
        weak: false,
    };
    match change {
        Change::StepDone {
            device_id: Some(device_id),
            evidence,
            ..
        } => match &**evidence {
            Evidence::Keyed { public_key, .. } => {
                Some(leaf(KeyFact::Keyed, *device_id, fingerprint(public_key)))
            }
            Evidence::Claimed { fingerprint, .. } => {
                Some(leaf(KeyFact::Claimed, *device_id, *fingerprint))
            }
            Evidence::Pinned { fingerprint, .. } => {
                Some(leaf(KeyFact::Pinned, *device_id, *fingerprint))
            }
            Evidence::Proven {
                transcript, weak, ..
            } => {
                let fields = parse_proof_transcript(transcript)?;
                Some(KeyLeaf {
                    digest: Some(Sha256::digest(transcript).into()),
                    weak: *weak,
                    ..leaf(KeyFact::Proven, *device_id, fingerprint(fields.public_key))
                })
            }
            _ => None,
        },
        Change::CloneAlarm {
            device_id,
            fingerprint,
            ..
        } => Some(leaf(KeyFact::Alarm, *device_id, *fingerprint)),
        Change::HeldReleased {
            device_id,
            fingerprint,
            ..
        } => Some(leaf(KeyFact::Pinned, *device_id, *fingerprint)),
        Change::PinRevoked {
            device_id,
            fingerprint,
            ..
        } => Some(leaf(KeyFact::Revoked, *device_id, *fingerprint)),
        Change::ActCarriedOut { device_id, old, .. } => {
            Some(leaf(KeyFact::Revoked, *device_id, *old))
        }
        Change::UnitReleased {
            device_id, reason, ..
        } if reason.starts_with("rework") => Some(leaf(KeyFact::Rework, *device_id, [0; 32])),
        _ => None,
    }
}

/// Checks the evidence of a leaf.
pub(super) fn check(index: u64, change: &Change, station: StationId) -> Vec<Finding> {
    let Change::StepDone {
        run,
        device_id,
        step,
        evidence,
    } = change
    else {
        return Vec::new();
    };
    let done = Done {
        place: format!("leaf {index}"),
        run: *run,
        device_id: *device_id,
        step: *step,
        evidence,
    };
    let mut findings = Vec::new();
    let other = done.step_of_evidence();
    if other != done.step {
        let message = format!(
            "expected evidence of the step {}, found that of {}",
            done.step.name(),
            other.name()
        );
        findings.push(Code::EnvelopeDiffers.at(&done.place, message));
    }
    match done.evidence {
        Evidence::Keyed { .. } => findings.extend(done.check_possession()),
        Evidence::Proven {
            transcript,
            authenticator,
            weak,
            nonce_random,
            nonce_checkpoint_digest,
        } => match parse_proof_transcript(transcript) {
            None => {
                let message = "expected the transcript of a proof, found bytes that are none";
                findings.push(Code::TranscriptUnreadable.at(&done.place, message));
            }
            Some(fields) => {
                findings.extend(done.check_names(&fields, station));
                let nonce: Digest = Sha256::new()
                    .chain_update(nonce_checkpoint_digest)
                    .chain_update(nonce_random)
                    .finalize()
                    .into();
                if nonce != *fields.nonce {
                    let message = format!(
                        "expected the nonce SHA-256(checkpoint digest ‖ random) {}, found {}",
                        hex::encode(nonce),
                        hex::encode(fields.nonce)
                    );
                    findings.push(Code::NonceWrong.at(&done.place, message));
                }
                findings.extend(done.check_authenticator(
                    &fields,
                    transcript,
                    authenticator,
                    *weak,
                ));
            }
        },
        _ => {}
    }
    findings
}

impl Done<'_> {
    fn unit(&self) -> String {
        self.device_id.map_or_else(
            || "an unknown unit".to_owned(),
            |id| format!("unit {}", id.0),
        )
    }

    const fn step_of_evidence(&self) -> Step {
        match self.evidence {
            Evidence::Attached { .. } => Step::Attached,
            Evidence::Identified { .. } => Step::Identified,
            Evidence::Keyed { .. } => Step::Keyed,
            Evidence::Claimed { .. } => Step::Claimed,
            Evidence::Injected { .. } => Step::Injected,
            Evidence::Proven { .. } => Step::Proven,
            Evidence::Pinned { .. } => Step::Pinned,
            Evidence::Sealed { .. } => Step::Sealed,
            Evidence::Locked { .. } => Step::Locked,
        }
    }

    /// The signature over the claim is by the claimed key, for this unit.
    fn check_possession(&self) -> Option<Finding> {
        let Evidence::Keyed {
            algorithm,
            public_key,
            challenge,
            signature,
            ..
        } = self.evidence
        else {
            return None;
        };
        let Some(device_id) = self.device_id else {
            let message = "a key was seen, and the leaf does not say in which unit";
            return Some(Code::EvidenceWithoutUnit.at(&self.place, message));
        };
        let digest = ClaimTranscript {
            challenge,
            device_id: device_id.0,
            algorithm: algorithm.0,
            public_key,
        }
        .digest();
        let error = signature::verify(algorithm.0, public_key, &digest, signature).err()?;
        let message = format!(
            "{} is said to hold the key {}: {error}",
            self.unit(),
            hex::encode(fingerprint(public_key))
        );
        Some(Code::PossessionInvalid.at(&self.place, message))
    }

    /// The proof speaks of this run, this unit and this station.
    fn check_names(&self, fields: &ProofTranscript<'_>, station: StationId) -> Vec<Finding> {
        let unit = self.device_id.map(|id| hex::encode(id.0.as_bytes()));
        let said = [
            ("run", Some(self.run.to_string()), hex::encode(fields.run)),
            ("unit", unit, hex::encode(fields.device_id.as_bytes())),
            (
                "station",
                Some(station.to_string()),
                hex::encode(fields.station),
            ),
        ];
        let differs = said
            .into_iter()
            .filter_map(|(what, expected, found)| Some((what, expected?, found)))
            .filter(|(_, expected, found)| expected != found);
        differs
            .map(|(what, expected, found)| {
                let message =
                    format!("expected a proof of the {what} {expected}, found one of {found}");
                Code::ProofDiffersFromRun.at(&self.place, message)
            })
            .collect()
    }

    fn check_authenticator(
        &self,
        fields: &ProofTranscript<'_>,
        transcript: &[u8],
        authenticator: &[u8],
        weak: bool,
    ) -> Option<Finding> {
        if weak {
            let message = format!(
                "{} proved itself with a MAC, which only the station could check",
                self.unit()
            );
            return Some(Code::ProofWeak.at(&self.place, message));
        }
        let digest = Sha256::digest(transcript).into();
        let verdict =
            signature::verify(fields.algorithm, fields.public_key, &digest, authenticator);
        let error = verdict.err()?;
        let message = format!(
            "{} is said to have proven itself with the key {}: {error}",
            self.unit(),
            hex::encode(fingerprint(fields.public_key))
        );
        Some(Code::ProofInvalid.at(&self.place, message))
    }
}
