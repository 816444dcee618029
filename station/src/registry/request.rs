//! What reaches the writer.

use tokio::sync::oneshot;

use super::RegistryError;
use super::log::{CheckpointReceipt, LogCheckpoint};
use super::model::Revocation;
use crate::record::{Claim, ClaimReceipt, DeviceIdText, PinReceipt, Proof};

/// What is asked for. Signatures were verified before.
#[derive(Debug)]
pub(super) enum Act {
    Claim(Box<Claim>),
    Pin(Box<Proof>),
    Revoke(Box<Revocation>),
    Checkpoint(Box<LogCheckpoint>),
    /// Nothing after this is taken.
    Close,
}

impl Act {
    /// The device that it names.
    pub(super) const fn device_id(&self) -> Option<DeviceIdText> {
        match self {
            Self::Claim(claim) => Some(claim.device_id),
            Self::Pin(proof) => Some(proof.device_id),
            Self::Revoke(revocation) => Some(revocation.device_id),
            Self::Checkpoint(_) | Self::Close => None,
        }
    }
}

/// What became of it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Outcome {
    Claimed(ClaimReceipt),
    Pinned(PinReceipt),
    Revoked([u8; 32]),
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
