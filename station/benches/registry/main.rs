//! The registry: pins a second, singly, by a line, and in bulk after an outage, beside plain `COPY` of the same rows in the same run;
//! look-ups, and what a device takes, as it grows.
//!
//! `cargo bench --bench registry [-- [outage] [growth] [sqlite] [--units N] [--rows N]]`
//!
//! PostgreSQL is a server of the bench's own on this machine, with durable settings; whatever it costs is taken from the same cores as
//! the station's own work.

#[path = "../common/mod.rs"]
mod common;
mod copy;
mod growth;
mod outage;
#[path = "../../tests/common/postgres.rs"]
#[allow(
    dead_code,
    unreachable_pub,
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "shared with tests; a bench that can't go on fails"
)]
mod postgres;
mod server;

use std::sync::Arc;
use std::time::Instant;

use common::Outcome;
use common::units::claims_and_proofs;
use keyline_station::record::{Claim, Proof, StationId};
use keyline_station::registry::Registry;
use server::Server;

/// How many requests wait at a time after an outage: as many as a transaction takes, and four times as many.
const IN_FLIGHT: [usize; 2] = [512, 2_048];

/// Claims with the proofs that follow them.
type Units = Arc<Vec<(Claim, Proof)>>;

fn argument(name: &str, default: u32) -> u32 {
    let mut arguments = std::env::args().skip_while(|argument| argument != name);
    let value = arguments.nth(1).and_then(|value| value.parse().ok());
    value.unwrap_or(default)
}

fn main() -> Outcome {
    let units = argument("--units", 20_000);
    let rows = argument("--rows", 1_000_000);
    let parts = ["outage", "growth", "sqlite"];
    let named = |part: &str| std::env::args().any(|argument| argument == part);
    let wanted = |part: &str| named(part) || !parts.into_iter().any(named);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    // The server ends with the thread that starts it.
    let server = Server::start();
    let made = Arc::new(claims_and_proofs(0..units, server.station)?);
    runtime.block_on(async {
        if wanted("outage") {
            report(&format!("-- {}", server.described()?));
            outage::run(&server, &made).await?;
        }
        if wanted("sqlite") {
            report("-- SQLite, one file, synchronous FULL");
            sqlite(&made).await?;
        }
        if wanted("growth") {
            report(&format!("-- growth, {}", server.described()?));
            growth::run(&server, &made, rows).await?;
        }
        Ok(())
    })
}

#[allow(clippy::print_stdout, reason = "a benchmark reports")]
fn report(text: &str) {
    println!("{text}");
}

#[allow(clippy::cast_precision_loss, reason = "figures for people")]
fn rate(count: usize, seconds: f64) -> f64 {
    count as f64 / seconds
}

/// Enters all units, so many at a time, and gives the seconds.
async fn enter(registry: &Registry, units: &Units, in_flight: usize) -> Outcome<f64> {
    let begin = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for first in 0..in_flight {
        let (registry, units) = (registry.clone(), Arc::clone(units));
        tasks.spawn(async move {
            for (claim, proof) in units.iter().skip(first).step_by(in_flight) {
                let receipt = registry.enter(claim.clone(), proof.clone(), None).await?;
                if receipt.already {
                    return Err("expected a unit that is new, got one that was entered".into());
                }
            }
            Outcome::Ok(())
        });
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    Ok(begin.elapsed().as_secs_f64())
}

/// The rates of a file, for comparison.
async fn sqlite(units: &Units) -> Outcome {
    for in_flight in [1].into_iter().chain(IN_FLIGHT) {
        let home = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
        let url = format!("sqlite:{}", home.path().join("registry.db").display());
        let registry = Registry::connect(&url).await?;
        let some = outage::some(units, 0, if in_flight == 1 { 2_000 } else { units.len() });
        let seconds = enter(&registry, &some, in_flight).await?;
        registry.close().await;
        let pins = rate(some.len(), seconds);
        report(&format!(
            "{} units entered, {in_flight} in flight: {pins:.0} pins/s",
            some.len()
        ));
    }
    Ok(())
}

/// The station of the bench, always the same.
const fn station() -> StationId {
    StationId::from_bytes([9; 16])
}
