//! What the line hands to the registry, and what it gets back.

use keyline_protocol::identity::Digest;
use keyline_protocol::transcript::{ClaimTranscript, ProofTranscript};
use serde::{Deserialize, Serialize};

use super::{
    AlgorithmName, DeviceIdText, KeyPolicyName, LockPolicyName, OrderId, PlatformName, ProductId,
    RunId, StationId,
};

/// A public key entered for a device id, not yet trusted, with the signature that shows possession of the private key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// The unit.
    pub device_id: DeviceIdText,
    /// The key's algorithm.
    pub algorithm: AlgorithmName,
    /// How the key was made.
    pub made: KeyPolicyName,
    /// SPKI DER.
    #[serde(with = "hex::serde")]
    pub public_key: Vec<u8>,
    /// The station's challenge.
    #[serde(with = "hex::serde")]
    pub challenge: [u8; 32],
    /// Over [`ClaimTranscript`], by the private key of `public_key`.
    #[serde(with = "hex::serde")]
    pub signature: Vec<u8>,
    /// The station that claims.
    pub station: StationId,
    /// The customer whose product it is.
    pub customer: String,
    /// The product.
    pub product: ProductId,
    /// The work order.
    pub order: OrderId,
    /// The run.
    pub run: RunId,
    /// The order is a rework: a device whose old pin is revoked may get a new key.
    pub rework: bool,
}

impl Claim {
    /// SHA-256 of the public key's SPKI DER.
    #[must_use]
    pub fn fingerprint(&self) -> Digest {
        keyline_protocol::identity::fingerprint(&self.public_key)
    }

    /// What the signature is over.
    #[must_use]
    pub fn transcript(&self) -> ClaimTranscript<'_> {
        ClaimTranscript {
            challenge: &self.challenge,
            device_id: self.device_id.0,
            algorithm: self.algorithm.0,
            public_key: &self.public_key,
        }
    }
}

/// The registry has the claim on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimReceipt {
    /// The registry had this very claim, or an active pin of this very key and device, before.
    pub already: bool,
    /// The key is the device's active pin already.
    pub pinned: bool,
}

/// A unit's proof, with everything that was signed: the registry verifies it by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// The protocol version.
    pub version: u16,
    /// The key's algorithm.
    pub algorithm: AlgorithmName,
    /// How the key was made.
    pub made: KeyPolicyName,
    /// The product's key policy.
    pub key_policy: KeyPolicyName,
    /// SHA-256(checkpoint ‖ `nonce_random`).
    #[serde(with = "hex::serde")]
    pub nonce: [u8; 32],
    /// The random half of the nonce.
    #[serde(with = "hex::serde")]
    pub nonce_random: [u8; 32],
    /// SHA-256 of the checkpoint text that stands in the nonce.
    #[serde(with = "hex::serde")]
    pub nonce_checkpoint_digest: [u8; 32],
    /// The unit.
    pub device_id: DeviceIdText,
    /// The chip.
    pub platform: PlatformName,
    /// The product.
    pub product: ProductId,
    /// The work order.
    pub order: OrderId,
    /// The run.
    pub run: RunId,
    /// SPKI DER.
    #[serde(with = "hex::serde")]
    pub public_key: Vec<u8>,
    /// SHA-256 of the cloud key.
    #[serde(with = "hex::serde")]
    pub cloud_key_fingerprint: [u8; 32],
    /// `HOST:PORT`.
    pub cloud_address: String,
    /// The record's sequence.
    pub record_sequence: u32,
    /// The record's digest.
    #[serde(with = "hex::serde")]
    pub record_digest: [u8; 32],
    /// SHA-256 of the agent's image, by the agent.
    #[serde(with = "hex::serde")]
    pub agent_digest: [u8; 32],
    /// The product's lock policy.
    pub lock_policy: LockPolicyName,
    /// The hash of the open session, if one was open.
    pub session_hash: Option<[u8; 32]>,
    /// The station.
    pub station: StationId,
    /// The signature, or the MAC where `weak`.
    #[serde(with = "hex::serde")]
    pub authenticator: Vec<u8>,
    /// The authenticator is a MAC under a session that only the station can check.
    pub weak: bool,
}

impl Proof {
    /// What was signed.
    #[must_use]
    pub fn transcript(&self) -> ProofTranscript<'_> {
        ProofTranscript {
            version: self.version,
            algorithm: self.algorithm.0,
            made: self.made.0,
            key_policy: self.key_policy.0,
            nonce: &self.nonce,
            device_id: self.device_id.0,
            platform: self.platform.0,
            product: self.product.as_bytes(),
            order: self.order.as_bytes(),
            run: self.run.as_bytes(),
            public_key: &self.public_key,
            cloud_key_fingerprint: &self.cloud_key_fingerprint,
            cloud_address: &self.cloud_address,
            record_sequence: self.record_sequence,
            record_digest: &self.record_digest,
            agent_digest: &self.agent_digest,
            lock_policy: self.lock_policy.0,
            session_hash: self.session_hash.as_ref(),
            station: self.station.as_bytes(),
        }
    }

    /// SHA-256 of the public key's SPKI DER.
    #[must_use]
    pub fn fingerprint(&self) -> Digest {
        keyline_protocol::identity::fingerprint(&self.public_key)
    }
}

/// The registry has verified the proof and trusts the key, on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PinReceipt {
    /// The pin was active before.
    pub already: bool,
}

/// A pin, as the registry shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pin {
    /// The unit.
    pub device_id: DeviceIdText,
    /// The key's algorithm.
    pub algorithm: AlgorithmName,
    /// SPKI DER.
    #[serde(with = "hex::serde")]
    pub public_key: Vec<u8>,
    /// SHA-256 of it.
    #[serde(with = "hex::serde")]
    pub fingerprint: [u8; 32],
    /// `pending`, `active`, `superseded` or `revoked`.
    pub state: String,
    /// Whether the proof was a MAC.
    pub weak: bool,
    /// The product, where the key was claimed on a bench.
    pub product: Option<ProductId>,
    /// The station, where the key was claimed on a bench.
    pub station: Option<StationId>,
    /// When it was claimed, in milliseconds since 1970.
    pub claimed_at_ms: u64,
    /// When it became active.
    pub pinned_at_ms: Option<u64>,
}

impl Pin {
    /// Whether the cloud trusts this key at this moment.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.state == "active"
    }
}
