//! What a unit leaves in the journal, for the benches of the stores.

#![allow(dead_code, reason = "shared by benches; each uses a part")]

pub(crate) mod units;

use std::path::Path;
use std::time::Instant;

use keyline_protocol::identity::{Algorithm, DeviceId, KeyPolicy, LockPolicy, Platform};
use keyline_station::audit::{CheckpointSigner, FileSigner};
use keyline_station::journal::Journal;
use keyline_station::record::{
    AlgorithmName, Change, DeviceIdText, Evidence, KeyPolicyName, LockPolicyName, Order, OrderId,
    OrderState, PlatformName, Product, ProductId, RunId, RunResult, Step, WhenRegistryUnreachable,
};

/// As many as the widest line has slots.
pub(crate) const COMMITTERS: u32 = 64;

pub(crate) type Outcome<T = ()> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

pub(crate) fn device(n: u32) -> DeviceIdText {
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

/// Opens a new journal in `home`.
pub(crate) async fn open_journal(home: &Path) -> Outcome<Journal> {
    let signer = CheckpointSigner::File(FileSigner::generate(&home.join("audit.pem"))?);
    Ok(Journal::open(&home.join("journal.db"), signer, "bench.example/log").await?)
}

/// Commits every change of so many units, each alone, by so many committers: the number of changes and the seconds.
pub(crate) async fn commit_units(
    journal: &Journal,
    units: u32,
    committers: u32,
) -> Outcome<(u32, f64)> {
    let order = add_order(journal, units).await?;
    let begin = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for committer in 0..committers {
        let journal = journal.clone();
        tasks.spawn(async move {
            let mut count = 0;
            for unit in (committer..units).step_by(committers as usize) {
                for change in changes_of(order, unit) {
                    journal.commit(vec![change]).await?;
                    count += 1;
                }
            }
            Outcome::Ok(count)
        });
    }
    let mut changes = 0;
    while let Some(count) = tasks.join_next().await {
        changes += count??;
    }
    Ok((changes, begin.elapsed().as_secs_f64()))
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
