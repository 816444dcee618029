//! A signing key in a file: for demonstrations.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use ed25519_dalek::{Signer as _, SigningKey};
use pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _, LineEnding};
use rand::TryRng as _;
use rand::rngs::SysRng;
use zeroize::Zeroizing;

use super::private::exposed_mode;
use crate::audit::AuditError;

/// The longest key file that is read, in bytes: an Ed25519 key as PKCS #8 PEM has about 120, comments may stand around it.
const FILE_LENGTH_MAX: u64 = 16_384;

/// An Ed25519 key from a PKCS#8 PEM file that only its owner can read.
pub struct FileSigner {
    key: SigningKey,
    path: PathBuf,
}

impl std::fmt::Debug for FileSigner {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("FileSigner")
    }
}

impl FileSigner {
    /// Signs a message.
    pub(in crate::audit) fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.key.sign(message).to_bytes()
    }

    /// The public key.
    pub(in crate::audit) fn public_key(&self) -> [u8; 32] {
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
        Ok(Self {
            key,
            path: path.to_owned(),
        })
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
        let file = File::open(path).map_err(read)?;
        if let Some(mode) = exposed_mode(&file).map_err(read)? {
            return Err(AuditError::KeyFileOpenToOthers {
                path: path.to_owned(),
                mode,
            });
        }
        let mut pem = Zeroizing::new(String::new());
        file.take(FILE_LENGTH_MAX)
            .read_to_string(&mut pem)
            .map_err(read)?;
        let key = SigningKey::from_pkcs8_pem(&pem).map_err(|_| AuditError::KeyFormat {
            path: path.to_owned(),
        })?;
        Ok(Self {
            key,
            path: path.to_owned(),
        })
    }

    /// Where the key lies.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}
