//! What is signed, byte by byte, each purpose in a domain of its own.
//!
//! A transcript is `domain ‖ 0x00` and then each field as a 4-byte big-endian length and its bytes. Two different lists of fields
//! therefore never give the same bytes, and a signature for one purpose is never one for another. Signatures are over the SHA-256 of
//! the transcript.

use sha2::{Digest as _, Sha256};

use crate::identity::{Algorithm, DeviceId, Digest, Id, KeyPolicy, LockPolicy, Platform};
use crate::message::{AuthorisedCommand, Point};

/// Takes in the fields of a transcript. The station can tap the bytes; the unit only hashes them.
#[derive(Clone)]
pub struct Transcript<F: FnMut(&[u8]) = fn(&[u8])> {
    hash: Sha256,
    tap: F,
}

fn no_tap(_: &[u8]) {}

impl Transcript {
    /// An empty transcript in `domain`.
    #[must_use]
    pub fn new(domain: &str) -> Self {
        Self::with_tap(domain, no_tap)
    }
}

impl<F: FnMut(&[u8])> Transcript<F> {
    /// An empty transcript in `domain` that hands each of its bytes to `tap` as well.
    pub fn with_tap(domain: &str, tap: F) -> Self {
        let mut transcript = Self {
            hash: Sha256::new(),
            tap,
        };
        transcript.take(domain.as_bytes());
        transcript.take(&[0]);
        transcript
    }

    fn take(&mut self, bytes: &[u8]) {
        self.hash.update(bytes);
        (self.tap)(bytes);
    }

    /// Appends one field. Fields longer than 4 GiB do not occur: the longest is a frame's payload.
    pub fn field(&mut self, bytes: &[u8]) -> &mut Self {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "fields are bounded by a frame's payload"
        )]
        let length = bytes.len() as u32;
        self.take(&length.to_be_bytes());
        self.take(bytes);
        self
    }

    /// SHA-256 of all that was taken in.
    #[must_use]
    pub fn digest(self) -> Digest {
        self.hash.finalize().into()
    }
}

/// What the device key signs to show that the unit holds it, before its public key is entered anywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClaimTranscript<'a> {
    /// Fresh bytes of the station.
    pub challenge: &'a [u8; 32],
    /// The device id for which the key is claimed.
    pub device_id: DeviceId,
    /// The key's algorithm.
    pub algorithm: Algorithm,
    /// The public key, SPKI DER.
    pub public_key: &'a [u8],
}

impl ClaimTranscript<'_> {
    /// Hands the transcript's bytes to `tap` and gives their SHA-256.
    pub fn write(&self, tap: impl FnMut(&[u8])) -> Digest {
        let mut transcript = Transcript::with_tap("keyline/claim/v1", tap);
        transcript
            .field(self.challenge)
            .field(self.device_id.as_bytes())
            .field(&[self.algorithm.code()])
            .field(self.public_key);
        transcript.digest()
    }

    /// The digest that is signed.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.write(no_tap)
    }
}

/// What the device key signs after a reset: everything that a pin stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProofTranscript<'a> {
    /// The protocol version under which the proof was made.
    pub version: u16,
    /// The device key's algorithm.
    pub algorithm: Algorithm,
    /// How the device key was made, as the unit has it on record.
    pub made: KeyPolicy,
    /// The product's key policy, from the record.
    pub key_policy: KeyPolicy,
    /// Drawn by the station after the reset.
    pub nonce: &'a [u8; 32],
    /// The unit's device id, as it reads it from its chip.
    pub device_id: DeviceId,
    /// The chip.
    pub platform: Platform,
    /// The product, from the record.
    pub product: &'a Id,
    /// The work order of this run.
    pub order: &'a Id,
    /// This run.
    pub run: &'a Id,
    /// The device's public key, SPKI DER.
    pub public_key: &'a [u8],
    /// SHA-256 of the cloud key in the record.
    pub cloud_key_fingerprint: &'a Digest,
    /// The cloud address in the record.
    pub cloud_address: &'a str,
    /// The record's sequence.
    pub record_sequence: u32,
    /// The record's digest.
    pub record_digest: &'a Digest,
    /// SHA-256 of the agent's image.
    pub agent_digest: &'a Digest,
    /// The lock policy in the record.
    pub lock_policy: LockPolicy,
    /// The hash of the open session, if one is open.
    pub session_hash: Option<&'a Digest>,
    /// The station that asks.
    pub station: &'a Id,
}

impl ProofTranscript<'_> {
    /// Hands the transcript's bytes to `tap` and gives their SHA-256.
    pub fn write(&self, tap: impl FnMut(&[u8])) -> Digest {
        let mut transcript = Transcript::with_tap("keyline/proof/v1", tap);
        transcript
            .field(&self.version.to_be_bytes())
            .field(&[self.algorithm.code()])
            .field(&[self.made.code()])
            .field(&[self.key_policy.code()])
            .field(self.nonce)
            .field(self.device_id.as_bytes())
            .field(&[self.platform.code()])
            .field(self.product)
            .field(self.order)
            .field(self.run)
            .field(self.public_key)
            .field(self.cloud_key_fingerprint)
            .field(self.cloud_address.as_bytes())
            .field(&self.record_sequence.to_be_bytes())
            .field(self.record_digest)
            .field(self.agent_digest)
            .field(&[self.lock_policy.code()])
            .field(self.session_hash.map_or(&[][..], |hash| &hash[..]))
            .field(self.station);
        transcript.digest()
    }

    /// The digest that is signed.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.write(no_tap)
    }
}

/// What the device key signs to vouch for a session: that its hash was computed by the unit that holds the key.
#[must_use]
pub fn session_authentication_digest(session_hash: &Digest) -> Digest {
    let mut transcript = Transcript::new("keyline/session-authentication/v1");
    transcript.field(session_hash);
    transcript.digest()
}

/// What a product authority signs to permit one command on one sealed unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuthorityTranscript<'a> {
    /// The unit.
    pub device_id: DeviceId,
    /// The unit's nonce.
    pub nonce: &'a [u8; 32],
    /// What is permitted.
    pub command: AuthorisedCommand,
}

impl AuthorityTranscript<'_> {
    /// The digest that is signed.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let mut transcript = Transcript::new("keyline/authority/v1");
        transcript
            .field(self.device_id.as_bytes())
            .field(self.nonce)
            .field(&[self.command.code()]);
        transcript.digest()
    }
}

/// What both sides of a session saw: its hash binds everything that follows to these two ephemeral keys and this unit.
#[must_use]
pub fn session_hash(version: u16, device_id: DeviceId, station: &Point, unit: &Point) -> Digest {
    let mut transcript = Transcript::new("keyline/session/v1");
    transcript
        .field(&version.to_be_bytes())
        .field(device_id.as_bytes())
        .field(&station.to_sec1())
        .field(&unit.to_sec1());
    transcript.digest()
}
