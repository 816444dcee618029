//! How many changes a second the journal takes, and how many claims and pins the registry: everything durable, 64 at a time.
//!
//! `cargo bench --bench stores [-- UNITS]`

use std::sync::Arc;
use std::time::Instant;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use keyline_protocol::identity::{Algorithm, DeviceId, KeyPolicy, LockPolicy, Platform};
use keyline_protocol::message::Point;
use keyline_station::audit::{CheckpointSigner, FileSigner};
use keyline_station::journal::Journal;
use keyline_station::record::{
    AlgorithmName, Change, Claim, DeviceIdText, Evidence, KeyPolicyName, LockPolicyName, Order,
    OrderId, OrderState, PlatformName, Product, ProductId, Proof, RunId, RunResult, StationId,
    Step, WhenRegistryUnreachable,
};
use keyline_station::registry::Registry;
use sha2::{Digest as _, Sha256};

/// As many as the widest line has slots.
const COMMITTERS: u32 = 64;

type Outcome<T = ()> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

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

fn device(n: u32) -> DeviceIdText {
    // Chips' ids are not in any order.
    DeviceIdText(DeviceId::from_words(
        Platform::Nrf51822,
        n.wrapping_mul(0x9e37_79b1),
        n,
    ))
}

/// The steps of a unit, with evidence of the usual size.
fn evidence(step: Step, device_id: DeviceIdText) -> Evidence {
    match step {
        Step::Attached => Evidence::Attached {
            link: "sim 3".to_owned(),
            probe: None,
        },
        Step::Identified => Evidence::Identified {
            device_id,
            platform: PlatformName(Platform::Nrf51822),
            agent_version: 1,
            agent_digest: [1; 32],
            agent_digest_source: keyline_station::record::AgentDigestSource::Measured,
            protocol_version: 1,
        },
        Step::Keyed => Evidence::Keyed {
            algorithm: AlgorithmName(Algorithm::P256),
            made: KeyPolicyName(KeyPolicy::OnDevice),
            public_key: vec![2; 91],
            challenge: [3; 32],
            signature: vec![4; 64],
            signed_by_unit: true,
            first_contact: false,
        },
        Step::Claimed => Evidence::Claimed {
            fingerprint: [5; 32],
            already: false,
        },
        Step::Injected => Evidence::Injected {
            sequence: 1,
            record_digest: [6; 32],
            credentials_commitment: [0; 32],
            already: false,
        },
        Step::Proven => Evidence::Proven {
            transcript: vec![7; 560],
            authenticator: vec![8; 64],
            weak: false,
            nonce_random: [9; 32],
            nonce_checkpoint_digest: [10; 32],
        },
        Step::Pinned => Evidence::Pinned {
            fingerprint: [5; 32],
            already: false,
        },
        Step::Sealed => Evidence::Sealed { already: false },
        Step::Locked => Evidence::Locked {
            lock_policy: LockPolicyName(LockPolicy::Sealed),
            seen_to_hold: None,
            strength: None,
        },
    }
}

/// Every change of a unit that passes; each is committed alone.
fn changes_of(order: OrderId, unit: u32) -> Vec<Change> {
    let (run, device_id) = (RunId::generate(), device(unit));
    let mut changes = vec![Change::RunStarted {
        run,
        order,
        slot: 1,
        serial: Some(format!("AB{unit:08}")),
        operator: "0123456789abcdef".to_owned(),
    }];
    for step in Step::ALL {
        if step > Step::Claimed && step < Step::Locked {
            changes.push(Change::StepIntended {
                run,
                device_id: Some(device_id),
                step,
            });
        }
        changes.push(Change::StepDone {
            run,
            device_id: (step > Step::Attached).then_some(device_id),
            step,
            evidence: Box::new(evidence(step, device_id)),
        });
    }
    changes.push(Change::RunEnded {
        run,
        device_id: Some(device_id),
        result: RunResult::Passed,
        failure: None,
        elapsed_ms: 5_000,
    });
    changes
}

async fn journal(home: &std::path::Path, units: u32) -> Outcome<(u32, f64)> {
    let signer = CheckpointSigner::File(FileSigner::generate(&home.join("audit.pem"))?);
    let journal = Journal::open(&home.join("journal.db"), signer, "bench.example/log").await?;
    let order = add_order(&journal, units).await?;
    let begin = Instant::now();
    let mut committers = tokio::task::JoinSet::new();
    for committer in 0..COMMITTERS {
        let journal = journal.clone();
        committers.spawn(async move {
            let mut count = 0;
            for unit in (committer..units).step_by(COMMITTERS as usize) {
                for change in changes_of(order, unit) {
                    journal.commit(vec![change]).await?;
                    count += 1;
                }
            }
            Outcome::Ok(count)
        });
    }
    let mut changes = 0;
    while let Some(count) = committers.join_next().await {
        changes += count??;
    }
    let seconds = begin.elapsed().as_secs_f64();
    journal.verify_log(&journal.verifier_keys()).await?;
    journal.close().await?;
    Ok((changes, seconds))
}

async fn add_order(journal: &Journal, units: u32) -> Outcome<OrderId> {
    let product = Product {
        id: ProductId::generate(),
        name: "sensor".to_owned(),
        customer: "bench".to_owned(),
        platform: Platform::Nrf51822,
        key_policy: KeyPolicy::OnDevice,
        algorithm: Algorithm::P256,
        lock_policy: LockPolicy::Sealed,
        cloud_key: vec![0; 91],
        cloud_address: "cloud.example:8883".to_owned(),
        authority_key: None,
        credentials_file: None,
        when_registry_unreachable: WhenRegistryUnreachable::Stop,
        serial_format: None,
        added_at_ms: 0,
        retired_at_ms: None,
    };
    let order = Order {
        id: OrderId::generate(),
        name: "WO-1".to_owned(),
        product: product.id,
        quantity: units,
        rework: false,
        agent_digest: [1; 32],
        state: OrderState::Open,
        added_at_ms: 0,
    };
    let id = order.id;
    let operator = "0123456789abcdef".to_owned();
    journal
        .commit(vec![
            Change::ProductAdded {
                product,
                operator: operator.clone(),
            },
            Change::OrderAdded { order, operator },
        ])
        .await?;
    Ok(id)
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
