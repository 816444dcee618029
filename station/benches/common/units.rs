//! Units with real keys, made before the clock runs.

use std::ops::Range;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use keyline_protocol::identity::{Algorithm, KeyPolicy, LockPolicy, Platform};
use keyline_protocol::message::Point;
use keyline_station::record::{
    AlgorithmName, Claim, KeyPolicyName, LockPolicyName, OrderId, PlatformName, ProductId, Proof,
    RunId, StationId,
};
use sha2::{Digest as _, Sha256};

use super::{Outcome, device};

/// What units with these numbers leave at a station.
pub(crate) fn claims_and_proofs(
    units: Range<u32>,
    station: StationId,
) -> Outcome<Vec<(Claim, Proof)>> {
    let random = SystemRandom::new();
    units
        .map(|unit| claim_and_proof(unit, station, &random))
        .collect()
}

/// A claim and the proof that follows it, both signed by the unit's own key.
fn claim_and_proof(
    unit: u32,
    station: StationId,
    random: &SystemRandom,
) -> Outcome<(Claim, Proof)> {
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, random)?;
    let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref())?;
    let point = key.public_key().as_ref();
    let point = Point {
        x: point[1..33].try_into()?,
        y: point[33..].try_into()?,
    };
    let mut claim = Claim {
        device_id: device(unit),
        algorithm: AlgorithmName(Algorithm::P256),
        made: KeyPolicyName(KeyPolicy::OnDevice),
        public_key: keyline_protocol::spki::p256(&point).to_vec(),
        challenge: rand::random(),
        signature: Vec::new(),
        station,
        customer: "bench".to_owned(),
        product: ProductId::generate(),
        order: OrderId::generate(),
        run: RunId::generate(),
        rework: false,
    };
    let mut transcript = Vec::new();
    claim.transcript().write(|bytes| transcript.extend(bytes));
    claim.signature = key.sign(random, &transcript)?.as_ref().to_vec();
    let nonce_random: [u8; 32] = rand::random();
    let mut proof = Proof {
        version: 1,
        algorithm: claim.algorithm,
        made: claim.made,
        key_policy: claim.made,
        nonce: Sha256::digest([[0; 32], nonce_random].concat()).into(),
        nonce_random,
        nonce_checkpoint_digest: [0; 32],
        device_id: claim.device_id,
        platform: PlatformName(Platform::Nrf51822),
        product: claim.product,
        order: claim.order,
        run: claim.run,
        public_key: claim.public_key.clone(),
        cloud_key_fingerprint: [1; 32],
        cloud_address: "cloud.example:8883".to_owned(),
        record_sequence: 1,
        record_digest: [2; 32],
        agent_digest: [3; 32],
        lock_policy: LockPolicyName(LockPolicy::Sealed),
        session_hash: None,
        station: claim.station,
        authenticator: Vec::new(),
        weak: false,
    };
    transcript.clear();
    proof.transcript().write(|bytes| transcript.extend(bytes));
    proof.authenticator = key.sign(random, &transcript)?.as_ref().to_vec();
    Ok((claim, proof))
}
