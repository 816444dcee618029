//! What reaches the writer.

use std::collections::BTreeSet;

use tokio::sync::oneshot;

use super::RegistryError;
use super::acts::{ActReceipt, TwoPersonAct};
use super::log::{CheckpointReceipt, LogCheckpoint};
use super::model::{ImportRow, ImportTerms, Revocation};
use crate::record::{Claim, ClaimReceipt, DeviceIdText, Label, Labelled, PinReceipt, Proof};

/// What is asked for. Signatures were verified before.
#[derive(Debug)]
pub(super) enum Act {
    Claim(Box<Labelled<Claim>>),
    Pin(Box<Labelled<Proof>>),
    /// A claim and its proof at once, and the unit's label.
    Enter(Box<(Claim, Proof, Option<Label>)>),
    Import(Box<(ImportTerms, Vec<ImportRow>)>),
    Revoke(Box<Revocation>),
    CarryOut(Box<TwoPersonAct>),
    Checkpoint(Box<LogCheckpoint>),
    /// Nothing after this is taken.
    Close,
}

impl Act {
    /// Adds what it names to what is to be read.
    pub(super) fn names(&self, names: &mut Names) {
        match self {
            Self::Claim(claim) => {
                names.claim(&claim.entry);
                names.label(claim.entry.device_id, claim.label.as_ref());
            }
            Self::Pin(proof) => {
                names.proof(&proof.entry);
                names.label(proof.entry.device_id, proof.label.as_ref());
            }
            Self::Enter(both) => {
                names.claim(&both.0);
                names.proof(&both.1);
                names.label(both.1.device_id, both.2.as_ref());
            }
            Self::Import(import) => {
                for row in &import.1 {
                    names.key(row.device_id, row.fingerprint());
                    names.products.extend(row.product.clone());
                    names.label(row.device_id, row.label().as_ref());
                }
            }
            Self::CarryOut(act) => {
                names.device(act.device_id);
                let new = act.new.as_ref().map(|new| new.fingerprint().to_vec());
                names.fingerprints.extend(new);
                names.labelled.push(act.device_id.0.as_bytes().to_vec());
                names.acts.push(act.id);
            }
            Self::Revoke(revocation) => names.device(revocation.device_id),
            Self::Checkpoint(_) | Self::Close => {}
        }
    }

    /// The proof that comes with it.
    pub(super) fn proof(&self) -> Option<&Proof> {
        match self {
            Self::Pin(proof) => Some(&proof.entry),
            Self::Enter(both) => Some(&both.1),
            _ => None,
        }
    }
}

/// What a batch names, and so has to read before it is decided.
#[derive(Debug, Default)]
pub(super) struct Names {
    pub(super) fingerprints: Vec<Vec<u8>>,
    pub(super) devices: Vec<Vec<u8>>,
    pub(super) nonces: Vec<Vec<u8>>,
    pub(super) products: BTreeSet<String>,
    pub(super) acts: Vec<[u8; 32]>,
    pub(super) labels: Vec<Label>,
    /// The devices whose serials matter.
    pub(super) labelled: Vec<Vec<u8>>,
}

impl Names {
    fn device(&mut self, device_id: DeviceIdText) {
        self.devices.push(device_id.0.as_bytes().to_vec());
    }

    fn key(&mut self, device_id: DeviceIdText, fingerprint: [u8; 32]) {
        self.device(device_id);
        self.fingerprints.push(fingerprint.to_vec());
    }

    fn claim(&mut self, claim: &Claim) {
        self.key(claim.device_id, claim.fingerprint());
    }

    fn label(&mut self, device_id: DeviceIdText, label: Option<&Label>) {
        if let Some(label) = label {
            self.labels.push(label.clone());
            self.labelled.push(device_id.0.as_bytes().to_vec());
        }
    }

    fn proof(&mut self, proof: &Proof) {
        self.key(proof.device_id, proof.fingerprint());
        self.nonces.push(proof.nonce.to_vec());
    }
}

/// What became of it.
#[derive(Debug)]
pub(super) enum Outcome {
    Claimed(ClaimReceipt),
    Pinned(PinReceipt),
    Imported(Vec<Result<PinReceipt, RegistryError>>),
    Revoked([u8; 32]),
    CarriedOut(ActReceipt),
    Entered(CheckpointReceipt),
    Closed,
}

impl Outcome {
    /// The answer to another question: the writer is at fault.
    pub(super) fn unexpected(self) -> RegistryError {
        RegistryError::Damaged {
            what: "the writer's answer",
            expected: "one to the question",
            found: format!("{self:?}"),
        }
    }
}

/// One request.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) act: Act,
    pub(super) reply: oneshot::Sender<Result<Outcome, RegistryError>>,
}
