//! How fast a station is verified: the tree alone beside the machine's own SHA-256 over the same bytes, and everything.
//!
//! `cargo bench --package keyline-station --bench reconcile [-- UNITS [LEAVES]]`. UNITS are built in the simulator over 64 slots; LEAVES
//! are written in large batches, as the pure cost of the tree.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    missing_docs,
    reason = "a program that prints figures"
)]

#[path = "../tests/common/mod.rs"]
mod common;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use common::{Bench, Told, product};
use keyline_protocol::identity::{DeviceId, Platform};
use keyline_station::audit::{CheckpointSigner, FileSigner, VerifierKey};
use keyline_station::journal::{Journal, JournalReader};
use keyline_station::line::{Presented, Slot, UnitSource, provision};
use keyline_station::link::SimTarget;
use keyline_station::reconcile::{Inputs, Report, Scope, deep};
use keyline_station::record::{Change, OrderId, RunId, StationId, Step};
use keyline_station::registry::Registry;
use keyline_station::stop::Stop;
use keyline_virtual_unit::sim::{SimOptions, SimUnit};
use sha2::{Digest as _, Sha256};
use sqlx::ConnectOptions as _;

const ORIGIN: &str = "test.example/line-1";

fn main() {
    let mut numbers = std::env::args().filter_map(|argument| argument.parse().ok());
    let units: u32 = numbers.next().unwrap_or(2_000);
    let leaves: u32 = numbers.next().unwrap_or(200_000);
    built(units);
    written(leaves);
}

/// Units from a counter.
struct Fresh(Arc<AtomicU32>);

impl UnitSource for Fresh {
    fn next(&mut self, _: &Stop) -> Option<Presented> {
        let take = |left: u32| left.checked_sub(1);
        let number = self
            .0
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, take);
        let number = number.ok()?;
        let options = SimOptions::seeded(Platform::Nrf51822, (number, 1), u64::from(number));
        Some(Presented {
            target: Box::new(SimTarget::new(SimUnit::new(options))),
            serial: None,
        })
    }

    fn ended(&mut self, _: Option<DeviceId>) {}
}

/// A station that has built units, verified with its registry.
fn built(units: u32) {
    let mut bench = Bench::for_product(product());
    bench.another_order(|order| order.quantity = units);
    let left = Arc::new(AtomicU32::new(units));
    let slots = (1..=64).map(|number| Slot {
        number,
        source: Box::new(Fresh(Arc::clone(&left))),
    });
    let line = bench.line(Arc::new(Told::default()), Stop::new());
    provision(&line, slots.collect(), units, None).1.unwrap();
    drop(line);
    println!("\n== {units} units, built over 64 slots");
    let path = bench.home.path().join("journal.db");
    let key = bench.journal.verifier_keys()[0].clone();
    bench.runtime.block_on(async {
        for (name, scope, registry) in [
            ("tree", Scope::Tree, None),
            ("everything, without registry", Scope::Everything, None),
            ("everything", Scope::Everything, Some(&bench.registry)),
        ] {
            measure(name, &path, &key, bench.station, scope, registry).await;
        }
        hashed(&path).await;
    });
}

/// A log of small steps in the largest batches: few checkpoints, so that the tree itself is measured.
fn written(leaves: u32) {
    println!("\n== {leaves} leaves in batches of 256 changes");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let home = tempfile::tempdir().unwrap();
        let signer = FileSigner::generate(&home.path().join("audit.pem")).unwrap();
        let path = home.path().join("journal.db");
        let signer = CheckpointSigner::File(signer);
        let journal = Journal::open(&path, signer, ORIGIN).await.unwrap();
        let bench = product();
        let order = common::order(
            &bench,
            &keyline_station::link::AgentImage::simulated(bench.platform),
            1,
        );
        let id: OrderId = order.id;
        let operator = "op".to_owned();
        let added = vec![
            Change::ProductAdded {
                product: bench,
                operator: operator.clone(),
            },
            Change::OrderAdded {
                order,
                operator: operator.clone(),
            },
        ];
        journal.commit(added).await.unwrap();
        let run = RunId::generate();
        let started = Change::RunStarted {
            run,
            order: id,
            slot: 1,
            serial: None,
            operator,
        };
        journal.commit(vec![started]).await.unwrap();
        let step = Change::StepIntended {
            run,
            device_id: None,
            step: Step::Attached,
        };
        for _ in 0..leaves / 256 {
            journal.commit(vec![step.clone(); 256]).await.unwrap();
        }
        let key = journal.verifier_keys()[0].clone();
        let station = StationId::generate();
        for (name, scope) in [
            ("tree", Scope::Tree),
            ("everything, without registry", Scope::Everything),
        ] {
            measure(name, &path, &key, station, scope, None).await;
        }
        hashed(&path).await;
    });
}

async fn measure(
    name: &str,
    path: &Path,
    key: &VerifierKey,
    station: StationId,
    scope: Scope,
    registry: Option<&Registry>,
) {
    let journal = JournalReader::open(path).await.unwrap();
    let inputs = Inputs {
        journal: &journal,
        keys: std::slice::from_ref(key),
        origin: ORIGIN,
        station,
        registry,
        known: &[],
        scope,
        scratch: None,
    };
    let begun = Instant::now();
    let report: Report = deep(inputs, &mut |_| {}).await.unwrap();
    let seconds = begun.elapsed().as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    let rate = report.leaves as f64 / seconds;
    println!(
        "{name:30} {seconds:7.2} s  {rate:9.0} leaves/s  ({} leaves, {} checkpoints, {} violations)",
        report.leaves, report.checkpoints, report.violations
    );
}

/// What the machine's SHA-256 takes for the bytes of all leaves and bodies, once each, on one core, with nothing else around it.
async fn hashed(path: &Path) {
    let mut connection = sqlx::sqlite::SqliteConnectOptions::new()
        .filename(path)
        .connect()
        .await
        .unwrap();
    let rows: Vec<(Vec<u8>, Vec<u8>)> =
        sqlx::query_as("SELECT leaf, CAST(body AS BLOB) FROM entry")
            .fetch_all(&mut connection)
            .await
            .unwrap();
    let begun = Instant::now();
    let mut sum = 0_u8;
    for (leaf, body) in &rows {
        sum ^= Sha256::digest(leaf)[0]
            ^ Sha256::new()
                .chain_update([0; 32])
                .chain_update(body)
                .finalize()[0];
        // A tree has about as many nodes as leaves, of 65 bytes each.
        sum ^= Sha256::digest([0; 65])[0];
    }
    let seconds = begun.elapsed().as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    let rate = rows.len() as f64 / seconds;
    let bytes: usize = rows
        .iter()
        .map(|(leaf, body)| leaf.len() + body.len())
        .sum();
    println!(
        "{:30} {seconds:7.2} s  {rate:9.0} leaves/s  ({bytes} bytes of leaves and bodies, {sum:02x})",
        "SHA-256 alone, one core"
    );
}
