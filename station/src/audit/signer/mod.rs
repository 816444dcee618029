//! Who signs checkpoints: a key in a PKCS #11 token, or in a file for demonstrations; two of them during a roll-over.

mod file;
mod private;
mod set;
mod token;

pub use file::FileSigner;
pub use set::CheckpointSigners;
pub use token::{ModuleError, TokenError, TokenKey, TokenSigner};

use super::{AuditError, VerifierKey};

/// Signs checkpoints with Ed25519.
#[derive(Debug)]
pub enum CheckpointSigner {
    /// A key in a file: for demonstrations. `doctor` warns of it.
    File(FileSigner),
    /// A key that never leaves its token.
    Token(TokenSigner),
}

impl CheckpointSigner {
    /// Signs the text of a note. Waits for a token, but not for ever, and never blocks the runtime.
    ///
    /// # Errors
    /// [`AuditError::Token`] where the key is out of reach: it may be back for the next call. A file's key never is.
    pub async fn sign(&self, text: &[u8]) -> Result<[u8; 64], AuditError> {
        match self {
            Self::File(signer) => Ok(signer.sign(text)),
            Self::Token(signer) => signer.sign(text).await,
        }
    }

    /// The public key.
    #[must_use]
    pub fn public_key(&self) -> [u8; 32] {
        match self {
            Self::File(signer) => signer.public_key(),
            Self::Token(signer) => *signer.public_key(),
        }
    }

    /// The public key under the log's origin: what an auditor is given.
    ///
    /// # Errors
    /// [`AuditError::Format`] where the origin can't be a key's name.
    pub fn verifier_key(&self, origin: &str) -> Result<VerifierKey, AuditError> {
        VerifierKey::new(origin, &self.public_key())
    }
}
