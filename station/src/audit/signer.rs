//! Who signs checkpoints: one enum, so that a token can stand where a file stands.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use ed25519_dalek::{Signer as _, SigningKey};
use pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _, LineEnding};
use rand::TryRng as _;
use rand::rngs::SysRng;
use zeroize::Zeroizing;

use super::{AuditError, VerifierKey};

/// Signs checkpoints with Ed25519.
#[derive(Debug)]
pub enum CheckpointSigner {
    /// A key in a file: for demonstrations. `doctor` warns of it.
    File(FileSigner),
}

impl CheckpointSigner {
    /// Signs the text of a note.
    ///
    /// # Errors
    /// [`AuditError`] where the key is out of reach. A file's key never is.
    pub fn sign(&self, text: &[u8]) -> Result<[u8; 64], AuditError> {
        match self {
            Self::File(signer) => Ok(signer.sign(text)),
        }
    }

    /// The public key.
    #[must_use]
    pub fn public_key(&self) -> [u8; 32] {
        match self {
            Self::File(signer) => signer.public_key(),
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

/// An Ed25519 key from a PKCS#8 PEM file that only its owner can read.
pub struct FileSigner {
    key: SigningKey,
}

impl std::fmt::Debug for FileSigner {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("FileSigner")
    }
}

impl FileSigner {
    /// Signs a message.
    pub(super) fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.key.sign(message).to_bytes()
    }

    /// The public key.
    pub(super) fn public_key(&self) -> [u8; 32] {
        self.key.verifying_key().to_bytes()
    }

    /// Makes a key and its file, with permissions 0600. A file that is there already is never overwritten.
    ///
    /// # Errors
    /// [`AuditError`] where the file exists or can't be written, or the system has no random numbers.
    pub fn generate(path: &Path) -> Result<Self, AuditError> {
        let mut seed = Zeroizing::new([0; 32]);
        SysRng
            .try_fill_bytes(&mut seed[..])
            .map_err(|_| AuditError::Randomness {
                doing: "making a signing key",
            })?;
        let key = SigningKey::from_bytes(&seed);
        let pem = key
            .to_pkcs8_pem(LineEnding::LF)
            .map_err(|_| AuditError::KeyFormat {
                path: path.to_owned(),
            })?;
        let made = |source| AuditError::KeyFile {
            path: path.to_owned(),
            doing: "made",
            source,
        };
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .map_err(made)?;
        file.write_all(pem.as_bytes()).map_err(made)?;
        file.sync_all().map_err(made)?;
        Ok(Self { key })
    }

    /// Reads the key.
    ///
    /// # Errors
    /// [`AuditError`] where the file can't be read, others can reach it, or it holds no Ed25519 key.
    pub fn open(path: &Path) -> Result<Self, AuditError> {
        let read = |source| AuditError::KeyFile {
            path: path.to_owned(),
            doing: "read",
            source,
        };
        let mode = fs::metadata(path).map_err(read)?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(AuditError::KeyFileOpenToOthers {
                path: path.to_owned(),
                mode,
            });
        }
        let pem = Zeroizing::new(fs::read_to_string(path).map_err(read)?);
        let key = SigningKey::from_pkcs8_pem(&pem).map_err(|_| AuditError::KeyFormat {
            path: path.to_owned(),
        })?;
        Ok(Self { key })
    }
}
