//! The person to whom something is sealed: a public key that can bear it.

use std::path::Path;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use keyline_protocol::identity::Digest;
use serde::{Deserialize, Serialize};
use x509_cert::der::Decode as _;
use x509_cert::spki::SubjectPublicKeyInfoRef;

use crate::cloud_key::{CloudKey, CloudKeyError, CloudKeyKind};

/// A public key to seal to: P-256, or RSA of 2,048 to 4,096 bits. Holding one proves that it is such a key and no weak one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Recipient(CloudKey);

/// Why nothing is sealed to what a file holds.
#[derive(Debug, thiserror::Error)]
pub enum RecipientError {
    /// The file can't be read.
    #[error("expected a readable file with the recipient's public key")]
    Unreadable {
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A private key: who seals must not have it.
    #[error(
        "expected the recipient's public key, got a private key ({kind}); give its public half (`openssl pkey -in FILE -pubout`), and keep the private key off this machine"
    )]
    PrivateKey {
        /// Its format.
        kind: &'static str,
    },
    /// A key of another kind, or a weak one.
    #[error("expected a P-256 key or an RSA key of 2048 to 4096 bits to seal to, got {got}")]
    Unsuitable {
        /// What it is.
        got: String,
    },
    /// No key.
    #[error(
        "expected one public key or X.509 certificate, PEM or DER, to seal to, got {got} (export it: `openssl pkey -in FILE -pubout`)"
    )]
    NoKey {
        /// What stands there.
        got: String,
    },
}

impl From<CloudKeyError> for RecipientError {
    fn from(error: CloudKeyError) -> Self {
        let unsuitable = |got: &str| Self::Unsuitable {
            got: got.to_owned(),
        };
        let no_key = |got: &str| Self::NoKey {
            got: got.to_owned(),
        };
        match error {
            CloudKeyError::Unreadable { source } => Self::Unreadable { source },
            CloudKeyError::PrivateKey { kind } => Self::PrivateKey { kind },
            CloudKeyError::Algorithm { got } => Self::Unsuitable { got },
            CloudKeyError::Curve { got } => unsuitable(&format!("a key on the curve {got}")),
            CloudKeyError::PointForm { .. } => unsuitable("a compressed point"),
            CloudKeyError::PointInvalid => unsuitable("a point that is not on the curve P-256"),
            CloudKeyError::ModulusShort { got } => unsuitable(&format!("an RSA key of {got} bits")),
            CloudKeyError::TooLong { got } => unsuitable(&format!("a key of {got} bytes")),
            CloudKeyError::ModulusWeak { divisor } => {
                unsuitable(&format!("an RSA modulus that {divisor} divides"))
            }
            CloudKeyError::Exponent { got } => unsuitable(&format!("the RSA exponent {got}")),
            CloudKeyError::Format { got, .. } => Self::NoKey { got },
            CloudKeyError::Several { got } => no_key(&format!("{got} PEM blocks")),
            CloudKeyError::Empty => no_key("an empty file"),
            CloudKeyError::TooBig => no_key("a larger file"),
            CloudKeyError::Armour => no_key("a damaged PEM block"),
            CloudKeyError::Truncated { .. }
            | CloudKeyError::Trailing { .. }
            | CloudKeyError::Structure { .. } => no_key("other or damaged DER"),
        }
    }
}

impl Recipient {
    /// Reads a public key (SPKI) or X.509 certificate, PEM or DER. Of a certificate only the key counts: neither its issuer nor its
    /// dates say whether the person may have the data; whoever seals decides that.
    ///
    /// # Errors
    /// [`RecipientError`], in words for whoever named the file.
    pub fn parse(content: &[u8]) -> Result<Self, RecipientError> {
        Ok(Self(CloudKey::parse(content)?))
    }

    /// Reads a file; see [`parse`](Self::parse).
    ///
    /// # Errors
    /// [`RecipientError`]; the file's name is the caller's to add.
    pub fn read(path: &Path) -> Result<Self, RecipientError> {
        Ok(Self(CloudKey::read(path)?))
    }

    /// SHA-256 of the key's SPKI DER: what the audit log calls the recipient.
    #[must_use]
    pub fn fingerprint(&self) -> Digest {
        self.0.fingerprint()
    }

    /// The kind of the key.
    #[must_use]
    pub const fn kind(&self) -> CloudKeyKind {
        self.0.kind()
    }

    /// The SPKI, DER.
    #[must_use]
    pub fn spki(&self) -> &[u8] {
        self.0.spki()
    }

    /// The content of the SPKI's bit string: an uncompressed point, or an `RSAPublicKey`.
    pub(super) fn key_bits(&self) -> Result<&[u8], x509_cert::der::Error> {
        let spki = SubjectPublicKeyInfoRef::from_der(self.spki())?;
        Ok(spki.subject_public_key.as_bytes().unwrap_or_default())
    }

    /// The subject key identifier (RFC 5280, 4.2.1.2, method 1). It only names the key, so that SHA-1 is no weakness here.
    pub(super) fn key_identifier(&self) -> Result<Vec<u8>, x509_cert::der::Error> {
        let bits = self.key_bits()?;
        Ok(digest(&SHA1_FOR_LEGACY_USE_ONLY, bits).as_ref().to_vec())
    }
}
