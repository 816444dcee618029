//! How many changes a second the journal takes, and how many claims and pins the registry: everything durable, 64 at a time.
//!
//! `cargo bench --bench stores [-- UNITS]`

mod common;

use std::sync::Arc;
use std::time::Instant;

use common::units::claims_and_proofs;
use common::{COMMITTERS, Outcome, commit_units, open_journal};
use keyline_station::record::StationId;
use keyline_station::registry::Registry;

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

async fn registry(home: &std::path::Path, units: u32) -> Outcome<f64> {
    let made = Arc::new(claims_and_proofs(0..units, StationId::generate())?);
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
