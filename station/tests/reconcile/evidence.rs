//! Evidence that was changed by somebody who has the log's key: the signatures of the units are not his.

use keyline_station::reconcile::Code;

use crate::forged::{Entry, forge};
use crate::story::{Station, told};
use crate::verify::{Asked, Found};

/// Flips one hexadecimal digit of a field in the first body that has it.
fn flip(body: &mut String, field: &str, at: usize) {
    let start = body.find(&format!("\"{field}\":\"")).unwrap() + field.len() + 4 + at;
    let digit = if &body[start..=start] == "0" {
        "1"
    } else {
        "0"
    };
    body.replace_range(start..=start, digit);
}

/// Verifies a copy in which the evidence of a step was changed everywhere, without the registry: by the log alone.
async fn with(station: &Station, step: &str, change: impl Fn(&mut String)) -> Found {
    let copy = station.copy();
    let marker = format!("\"evidence\":{{\"step\":\"{step}\"");
    forge(&copy, |entry: &mut Entry| {
        if entry.body.contains(&marker) {
            entry.forge(|_, body| change(body));
        }
    })
    .await;
    let mut asked = Asked::everything(&copy);
    asked.with_registry = false;
    asked.verify(&copy).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changed_evidence_is_found_though_the_log_was_signed_again() {
    let station = tokio::task::spawn_blocking(told).await.unwrap();
    let found = with(&station, "keyed", |body| flip(body, "signature", 0)).await;
    found.expect(Code::PossessionInvalid, "is said to hold the key");
    let found = with(&station, "keyed", |body| flip(body, "challenge", 5)).await;
    found.expect(Code::PossessionInvalid, "is said to hold the key");
    let found = with(&station, "proven", |body| flip(body, "authenticator", 0)).await;
    found.expect(Code::ProofInvalid, "is said to have proven itself");
    let found = with(&station, "proven", |body| flip(body, "nonce_random", 0)).await;
    found.expect(Code::NonceWrong, "expected the nonce");
    let found = with(&station, "proven", |body| flip(body, "transcript", 0)).await;
    found.expect(Code::TranscriptUnreadable, "bytes that are none");
    let found = with(&station, "injected", |body| flip(body, "record_digest", 0)).await;
    found.expect(Code::ProofDiffersFromRun, "expected a proof of the record");
    let found = with(&station, "claimed", |body| flip(body, "fingerprint", 0)).await;
    found.expect(Code::KeyWithoutCause, "says that the unit holds this key");
    let found = with(&station, "pinned", |body| flip(body, "fingerprint", 0)).await;
    found.expect(
        Code::KeyWithoutCause,
        "expected a proof of this key in the same run",
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proof_of_another_unit_or_product_is_found() {
    let station = tokio::task::spawn_blocking(told).await.unwrap();
    let copy = station.copy();
    // The product's cloud is moved in the log: the units' proofs still name the old one.
    forge(&copy, |entry: &mut Entry| {
        if entry.body.contains("product-added") {
            entry.forge(|_, body| *body = body.replace("cloud.example", "evil.example.x"));
        }
    })
    .await;
    let mut asked = Asked::everything(&copy);
    asked.with_registry = false;
    let found = asked.verify(&copy).await;
    found.expect(Code::ProofDiffersFromRun, "cloud address");
    assert!(!found.all(Code::RowChanged).is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_station_s_proofs_are_not_another_one_s() {
    let mut station = tokio::task::spawn_blocking(told).await.unwrap();
    station.id = keyline_station::record::StationId::generate();
    let mut asked = Asked::everything(&station);
    asked.with_registry = false;
    let found = asked.verify(&station).await;
    found.expect(Code::ProofDiffersFromRun, "expected a proof of the station");
}
