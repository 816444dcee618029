//! Whom a device trusts and where it finds it: the cloud's public key and address, read from what people have and refused with words
//! where it can't work.
//!
//! Holding a [`CloudKey`] proves that the bytes are one canonical SPKI of a key that can be pinned; holding a [`CloudAddress`] that it
//! is a host and a port, within the length of the identity record.

mod address;
mod parse;
mod private;
mod rsa;

use std::fmt;
use std::path::Path;

use keyline_protocol::identity::{Digest, fingerprint};
use serde::{Deserialize, Serialize};

pub use address::{AddressError, CloudAddress};
pub use parse::CloudKeyError;
pub(crate) use private::{Element, find as find_private_key};
pub(crate) use rsa::remainder;

/// The largest file that is looked at, in bytes: a certificate with a 16,384-bit key fits.
pub const FILE_LENGTH_MAX: u64 = 16 * 1024;

/// A public key: P-256, or RSA of at least 2,048 bits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct CloudKey {
    spki: Vec<u8>,
    kind: CloudKeyKind,
}

/// What kind of key it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloudKeyKind {
    /// ECDSA or ECDH over NIST P-256.
    P256,
    /// RSA.
    Rsa {
        /// The length of the modulus in bits.
        bits: usize,
    },
}

impl fmt::Display for CloudKeyKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::P256 => formatter.write_str("P-256"),
            Self::Rsa { bits } => write!(formatter, "RSA-{bits}"),
        }
    }
}

impl CloudKey {
    /// Reads a public key or certificate, PEM or DER, from a file's content.
    ///
    /// # Errors
    /// [`CloudKeyError`], a variant for each way to be wrong.
    pub fn parse(content: &[u8]) -> Result<Self, CloudKeyError> {
        parse::parse(content)
    }

    /// Reads a public key or certificate from a file.
    ///
    /// # Errors
    /// [`CloudKeyError`]; the file's name is the caller's to add.
    pub fn read(path: &Path) -> Result<Self, CloudKeyError> {
        parse::parse(&read_bounded(path)?)
    }

    /// The SPKI, DER.
    #[must_use]
    pub fn spki(&self) -> &[u8] {
        &self.spki
    }

    /// SHA-256 of the SPKI.
    #[must_use]
    pub fn fingerprint(&self) -> Digest {
        fingerprint(&self.spki)
    }

    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> CloudKeyKind {
        self.kind
    }
}

/// Reads a file that must be small.
fn read_bounded(path: &Path) -> Result<Vec<u8>, CloudKeyError> {
    use std::io::Read;
    let mut content = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(FILE_LENGTH_MAX + 1).read_to_end(&mut content))
        .map_err(|source| CloudKeyError::Unreadable { source })?;
    Ok(content)
}

impl From<CloudKey> for String {
    fn from(key: CloudKey) -> Self {
        hex::encode(key.spki)
    }
}

impl TryFrom<String> for CloudKey {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let der = hex::decode(text).map_err(|error| error.to_string())?;
        Self::parse(&der).map_err(|error| error.to_string())
    }
}
