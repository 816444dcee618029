//! How many changes a second the journal takes, and how many claims and pins the registry: everything durable, 64 at a time.
//!
//! `cargo bench --bench stores [-- UNITS]`

mod common;

use std::sync::Arc;
use std::time::Instant;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use common::{COMMITTERS, Outcome, commit_units, device, open_journal};
use keyline_protocol::identity::{Algorithm, KeyPolicy, LockPolicy, Platform};
use keyline_protocol::message::Point;
use keyline_station::record::{
    AlgorithmName, Claim, KeyPolicyName, LockPolicyName, OrderId, PlatformName, ProductId, Proof,
    RunId, StationId,
};
use keyline_station::registry::Registry;
use sha2::{Digest as _, Sha256};

#[allow(clippy::print_stdout, reason = "a benchmark reports")]
fn main() -> Outcome {
    let units = std::env::args().find_map(|argument| argument.parse().ok());
    let units: u32 = units.unwrap_or(6_400);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let home = tempfile::tempdir_in(std::env::current_dir()?)?;
        let (changes, seconds) = journal(home.path(), units).await?;
        println!(
            "journal: {changes} changes of {units} units in {seconds:.2} s: {:.0} changes/s, {:.0} units/s",
            f64::from(changes) / seconds,
            f64::from(units) / seconds
        );
        let seconds = registry(home.path(), units).await?;
        println!(
            "registry: {units} claims and pins in {seconds:.2} s: {:.0} units/s",
            f64::from(units) / seconds
        );
        Ok(())
    })
}

async fn journal(home: &std::path::Path, units: u32) -> Outcome<(u32, f64)> {
    let journal = open_journal(home).await?;
    let measured = commit_units(&journal, units, COMMITTERS).await?;
    journal.verify_log(&journal.verifier_keys()).await?;
    journal.close().await?;
    Ok(measured)
}

/// A claim and the proof that follows it. Keys are made before the clock runs.
fn claim_and_proof(unit: u32, random: &SystemRandom) -> Outcome<(Claim, Proof)> {
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
        station: StationId::generate(),
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

async fn registry(home: &std::path::Path, units: u32) -> Outcome<f64> {
    let random = SystemRandom::new();
    let made: Outcome<Vec<_>> = (0..units).map(|n| claim_and_proof(n, &random)).collect();
    let made = Arc::new(made?);
    let registry =
        Registry::connect(&format!("sqlite:{}", home.join("registry.db").display())).await?;
    let begin = Instant::now();
    let mut committers = tokio::task::JoinSet::new();
    for committer in 0..COMMITTERS {
        let (registry, made) = (registry.clone(), Arc::clone(&made));
        committers.spawn(async move {
            for unit in (committer..units).step_by(COMMITTERS as usize) {
                let (claim, proof) = &made[unit as usize];
                registry.claim(claim.clone()).await?;
                registry.pin(proof.clone()).await?;
            }
            Outcome::Ok(())
        });
    }
    while let Some(done) = committers.join_next().await {
        done??;
    }
    let seconds = begin.elapsed().as_secs_f64();
    registry.close().await;
    Ok(seconds)
}
