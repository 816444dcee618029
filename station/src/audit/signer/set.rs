//! The keys that a station has at hand. Which of them sign is not decided here but by the log.

use super::CheckpointSigner;
use crate::audit::{AuditError, Checkpoint, NoteSignature, SignedNote, VerifierKey};

/// The most keys of one log at a time: the old one and the new one of a roll-over.
const KEYS_MAX: usize = 2;

/// One key, or two during a roll-over. Holding one proves that they are different keys.
#[derive(Debug)]
pub struct CheckpointSigners {
    signers: Vec<CheckpointSigner>,
}

impl From<CheckpointSigner> for CheckpointSigners {
    fn from(signer: CheckpointSigner) -> Self {
        Self {
            signers: vec![signer],
        }
    }
}

impl CheckpointSigners {
    /// Takes one or two different keys. The first one signs where a log begins.
    ///
    /// # Errors
    /// [`AuditError::Format`] where there is none, there are more, or both are the same key.
    pub fn new(signers: Vec<CheckpointSigner>) -> Result<Self, AuditError> {
        let refuse = |got: String| AuditError::Format {
            expected: "one or two different keys that sign the audit log",
            got,
        };
        match signers.as_slice() {
            [first, second] if first.public_key() == second.public_key() => {
                Err(refuse("the same key twice".to_owned()))
            }
            some if (1..=KEYS_MAX).contains(&some.len()) => Ok(Self { signers }),
            other => Err(refuse(format!("{} keys", other.len()))),
        }
    }

    /// The keys.
    #[must_use]
    pub fn all(&self) -> &[CheckpointSigner] {
        &self.signers
    }

    /// Their verifier keys under the log's origin, in their order.
    ///
    /// # Errors
    /// [`AuditError::Format`] where the origin can't be a key's name.
    pub fn verifier_keys(&self, origin: &str) -> Result<Vec<VerifierKey>, AuditError> {
        self.signers
            .iter()
            .map(|signer| signer.verifier_key(origin))
            .collect()
    }

    /// Whether this key is at hand.
    #[must_use]
    pub fn has(&self, key: &VerifierKey) -> bool {
        self.signer(key).is_some()
    }

    fn signer(&self, key: &VerifierKey) -> Option<&CheckpointSigner> {
        self.signers
            .iter()
            .find(|signer| signer.public_key() == key.public_key())
    }

    /// Signs a checkpoint with each of `keys`, in their order: all of them, or there is no note.
    ///
    /// # Errors
    /// [`AuditError::KeyNotAtHand`] for a key that is not among these, or whatever its signer returns.
    pub async fn sign(
        &self,
        checkpoint: &Checkpoint,
        keys: &[VerifierKey],
    ) -> Result<SignedNote, AuditError> {
        self.sign_text(checkpoint.text(), keys).await
    }

    /// As [`sign`](Self::sign), any text: whether it may be signed is the caller's to check.
    pub(in crate::audit) async fn sign_text(
        &self,
        text: String,
        keys: &[VerifierKey],
    ) -> Result<SignedNote, AuditError> {
        let mut signatures = Vec::with_capacity(keys.len());
        for key in keys {
            let signer = self.signer(key).ok_or_else(|| AuditError::KeyNotAtHand {
                key: key.to_string(),
            })?;
            let signature = signer.sign(text.as_bytes()).await?;
            signatures.push(NoteSignature::by(key, signature));
        }
        Ok(SignedNote { text, signatures })
    }
}
