//! What the line hands to the registry, and what it gets back.

use keyline_protocol::identity::{Digest, fingerprint};
use keyline_protocol::transcript::{ClaimTranscript, ProofTranscript};
use serde::{Deserialize, Serialize};

use super::{
    AlgorithmName, DeviceIdText, Evidence, KeyPolicyName, LockPolicyName, Order, OrderId,
    PlatformName, Product, ProductId, RunId, StationId, parse_proof_transcript,
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

/// For what, where and in which run a key is claimed.
#[derive(Clone, Copy, Debug)]
pub struct ClaimPlan<'p> {
    /// The station that claims.
    pub station: StationId,
    /// What is built.
    pub product: &'p Product,
    /// For which order.
    pub order: &'p Order,
    /// The run.
    pub run: RunId,
}

impl Claim {
    /// The claim that the evidence of a keyed unit stands for, if its public key has this fingerprint.
    #[must_use]
    pub fn of_evidence(
        evidence: Evidence,
        device_id: DeviceIdText,
        key: Digest,
        plan: ClaimPlan<'_>,
    ) -> Option<Self> {
        let Evidence::Keyed {
            algorithm,
            made,
            public_key,
            challenge,
            signature,
            ..
        } = evidence
        else {
            return None;
        };
        (fingerprint(&public_key) == key).then(|| Self {
            device_id,
            algorithm,
            made,
            public_key,
            challenge,
            signature,
            station: plan.station,
            customer: plan.product.customer.clone(),
            product: plan.product.id,
            order: plan.order.id,
            run: plan.run,
            rework: plan.order.rework,
        })
    }

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
    /// The proof that the evidence of a proven unit holds; `None` where it is none.
    #[must_use]
    pub fn of_evidence(evidence: &Evidence) -> Option<Self> {
        let Evidence::Proven {
            transcript,
            authenticator,
            weak,
            nonce_random,
            nonce_checkpoint_digest,
        } = evidence
        else {
            return None;
        };
        let fields = parse_proof_transcript(transcript)?;
        Some(Self {
            version: fields.version,
            algorithm: AlgorithmName(fields.algorithm),
            made: KeyPolicyName(fields.made),
            key_policy: KeyPolicyName(fields.key_policy),
            nonce: *fields.nonce,
            nonce_random: *nonce_random,
            nonce_checkpoint_digest: *nonce_checkpoint_digest,
            device_id: DeviceIdText(fields.device_id),
            platform: PlatformName(fields.platform),
            product: ProductId::from_bytes(*fields.product),
            order: OrderId::from_bytes(*fields.order),
            run: RunId::from_bytes(*fields.run),
            public_key: fields.public_key.to_vec(),
            cloud_key_fingerprint: *fields.cloud_key_fingerprint,
            cloud_address: fields.cloud_address.to_owned(),
            record_sequence: fields.record_sequence,
            record_digest: *fields.record_digest,
            agent_digest: *fields.agent_digest,
            lock_policy: LockPolicyName(fields.lock_policy),
            session_hash: fields.session_hash.copied(),
            station: StationId::from_bytes(*fields.station),
            authenticator: authenticator.clone(),
            weak: *weak,
        })
    }

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
