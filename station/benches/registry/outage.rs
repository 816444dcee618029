//! Pins a second: one at a time, by a line, in bulk after an outage, and by an import.

use std::sync::Arc;
use std::time::Instant;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ParsedPublicKey};
use keyline_protocol::spki;
use keyline_station::record::{Claim, Proof, RunId};
use keyline_station::registry::{ImportRow, ImportTerms, Registry};

use crate::common::{COMMITTERS, Outcome};
use crate::copy::copy;
use crate::server::Server;
use crate::{IN_FLIGHT, Units, enter, rate, report};

/// How many units are entered one at a time, and by a line.
const SINGLY: usize = 500;
const BY_A_LINE: usize = 6_400;

/// How many rows an import takes at a time.
const IMPORT_ROWS: usize = 5_000;

const TABLES: [&str; 3] = ["key_claim", "proof", "pin"];

/// At most so many of the units, after the first ones.
pub(crate) fn some(units: &Units, after: usize, count: usize) -> Units {
    Arc::new(units.iter().skip(after).take(count).cloned().collect())
}

/// Measures everything on a server.
pub(crate) async fn run(server: &Server, units: &Units) -> Outcome {
    server.registry("line").await?;
    let registry = server.open("line").await?;
    let line = some(units, SINGLY, BY_A_LINE);
    for (units, at_a_time) in [(some(units, 0, SINGLY), 1), (line, COMMITTERS as usize)] {
        let seconds = claim_and_pin(&registry, &units, at_a_time).await?;
        let pins = rate(units.len(), seconds);
        report(&format!(
            "a claim, then its pin, {at_a_time} at a time: {pins:.0} pins/s"
        ));
    }
    registry.close().await;
    server.forget("line")?;

    let verifying = verify_all(units)?;
    report(&format!(
        "verifying a claim and a proof, two threads: {:.0} units/s",
        rate(units.len(), verifying)
    ));
    for in_flight in IN_FLIGHT {
        after_outage(server, units, in_flight, verifying).await?;
    }
    import(server, units).await
}

async fn claim_and_pin(registry: &Registry, units: &Units, at_a_time: usize) -> Outcome<f64> {
    let begin = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for first in 0..at_a_time {
        let (registry, units) = (registry.clone(), Arc::clone(units));
        tasks.spawn(async move {
            for (claim, proof) in units.iter().skip(first).step_by(at_a_time) {
                registry.claim(claim.clone()).await?;
                registry.pin(proof.clone()).await?;
            }
            Outcome::Ok(())
        });
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    Ok(begin.elapsed().as_secs_f64())
}

/// What a station does that has built all units while the registry was out of reach, and `COPY` of what it has entered.
async fn after_outage(server: &Server, units: &Units, in_flight: usize, verifying: f64) -> Outcome {
    server.registry("outage").await?;
    let registry = server.open("outage").await?;
    let entering = enter(&registry, units, in_flight).await?;
    registry.close().await;
    let copying = copy(server, "outage", "copied", &TABLES).await?;
    let count = units.len();
    report(&format!(
        "after an outage, {count} units, {in_flight} in flight: {:.0} pins/s; COPY of the same rows: {:.0} units/s; ratio {:.2}; \
         beside verifying first and then COPY: {:.2}",
        rate(count, entering),
        rate(count, copying),
        copying / entering,
        (verifying + copying) / entering,
    ));
    server.forget("outage")?;
    server.forget("copied")
}

/// The signatures of all units, checked as the registry checks them, by two threads; the seconds.
fn verify_all(units: &Units) -> Outcome<f64> {
    let begin = Instant::now();
    std::thread::scope(|scope| {
        let halves = units.chunks(units.len().div_ceil(2));
        let threads: Vec<_> = halves
            .map(|half| scope.spawn(|| half.iter().try_for_each(verify)))
            .collect();
        threads
            .into_iter()
            .try_for_each(|thread| thread.join().map_err(|_| "a thread has ended")?)
    })?;
    Ok(begin.elapsed().as_secs_f64())
}

fn verify((claim, proof): &(Claim, Proof)) -> Outcome {
    let mut transcript = Vec::with_capacity(1_024);
    claim.transcript().write(|bytes| transcript.extend(bytes));
    verify_one(&claim.public_key, &transcript, &claim.signature)?;
    transcript.clear();
    proof.transcript().write(|bytes| transcript.extend(bytes));
    verify_one(&proof.public_key, &transcript, &proof.authenticator)
}

fn verify_one(public_key: &[u8], transcript: &[u8], signature: &[u8]) -> Outcome {
    let point = spki::p256_point(public_key).ok_or("expected a P-256 key")?;
    let key = ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point.to_sec1())?;
    Ok(key.verify_sig(transcript, signature)?)
}

/// An import of as many devices, and `COPY` of what it has written. No signature is verified here: the keys are all there is.
async fn import(server: &Server, units: &Units) -> Outcome {
    server.registry("imported").await?;
    let registry = Registry::connect(&server.url("imported")).await?;
    registry.ping().await?;
    let row = |(claim, _): &(Claim, Proof)| ImportRow {
        device_id: claim.device_id,
        algorithm: claim.algorithm,
        public_key: claim.public_key.clone(),
        product: None,
        serial: None,
    };
    let rows: Vec<_> = units.iter().map(row).collect();
    let terms = ImportTerms {
        id: RunId::generate(),
        operator: "bench".to_owned(),
    };
    let begin = Instant::now();
    for rows in rows.chunks(IMPORT_ROWS) {
        let answers = registry.import(terms.clone(), rows.to_vec()).await?;
        answers
            .into_iter()
            .try_for_each(|answer| answer.map(drop))?;
    }
    let importing = begin.elapsed().as_secs_f64();
    registry.close().await;
    let copying = copy(server, "imported", "copied", &["key_claim", "pin"]).await?;
    report(&format!(
        "an import, {} devices, {IMPORT_ROWS} a transaction: {:.0} pins/s; COPY of the same rows: {:.0} devices/s; ratio {:.2}",
        units.len(),
        rate(units.len(), importing),
        rate(units.len(), copying),
        copying / importing,
    ));
    server.forget("imported")?;
    server.forget("copied")
}
