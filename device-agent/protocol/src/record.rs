//! The content of the identity record, and its digest.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::identity::{Digest, Id, KeyPolicy, LockPolicy};
use crate::message::Point;
use crate::transcript::Transcript;

/// The longest cloud key that a record holds, as SPKI DER: room for RSA with 4,096 bits (550 bytes).
pub const CLOUD_KEY_LENGTH_MAX: usize = 600;

/// The longest cloud address, `HOST:PORT`, in bytes.
pub const CLOUD_ADDRESS_LENGTH_MAX: usize = 128;

/// The longest network credentials, in bytes.
pub const CREDENTIALS_LENGTH_MAX: usize = 192;

/// What the agent keeps in flash for the application: whom to trust, where to find it, how to join the network.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(Debug))]
pub struct RecordContent<'a> {
    /// The product that the unit is built as.
    pub product: Id,
    /// Where the product says that the device key comes from.
    pub key_policy: KeyPolicy,
    /// How far the product says that a finished unit is closed.
    pub lock_policy: LockPolicy,
    /// The cloud's public key, SPKI DER.
    pub cloud_key: &'a [u8],
    /// `HOST:PORT`.
    pub cloud_address: &'a str,
    /// The key whose signature a sealed unit obeys; without one it obeys nobody.
    pub authority: Option<Point>,
    /// Opaque to the agent. Travels only in a session that the device key has signed.
    pub credentials: Option<&'a [u8]>,
}

/// What the record says in public of the credentials: SHA-256(salt ‖ credentials), where the 32-byte salt never leaves flash, so that
/// nothing guessable can be guessed from a log.
#[must_use]
pub fn credentials_commitment(salt: &[u8; 32], credentials: &[u8]) -> Digest {
    Sha256::new()
        .chain_update(salt)
        .chain_update(credentials)
        .finalize()
        .into()
}

/// The digest of a record: SHA-256 over its public content, its sequence and the commitment to its credentials (zeros without any).
#[must_use]
pub fn digest(
    content: &RecordContent<'_>,
    sequence: u32,
    credentials_commitment: &Digest,
) -> Digest {
    let mut transcript = Transcript::new("keyline/record/v1");
    transcript
        .field(&sequence.to_be_bytes())
        .field(&content.product)
        .field(&[content.key_policy.code()])
        .field(&[content.lock_policy.code()])
        .field(content.cloud_key)
        .field(content.cloud_address.as_bytes());
    match &content.authority {
        Some(authority) => transcript.field(&authority.to_sec1()),
        None => transcript.field(&[]),
    };
    transcript.field(credentials_commitment);
    transcript.digest()
}
