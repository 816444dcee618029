//! The log's side, against the real witness and against servers that answer whatever they like.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::thread;

use keyline_station::audit::CosignatureSigner;
use keyline_station::home::WitnessConfig;
use keyline_station::witness::{WitnessClient, WitnessError};

use crate::log::{Log, LogKey, witness};
use crate::process::{Store, Witness};

const ORIGIN: &str = "log.example/1";

fn config(key: &impl ToString, address: &str, path: &str) -> WitnessConfig {
    WitnessConfig {
        key: key.to_string(),
        url: format!("http://{address}{path}"),
        required: true,
    }
}

fn client_of(witness: &Witness) -> WitnessClient {
    WitnessClient::new(&config(&witness.key, &witness.address, "/")).unwrap()
}

#[tokio::test]
async fn a_witness_is_asked_and_each_refusal_has_its_name() {
    let log = Log::new(ORIGIN, 20);
    let witness = Store::new(&[&log.key.key]).serve_and_keep();
    let client = client_of(&witness);
    assert_eq!(client.key(), &witness.key);
    let ask = |old: u64, new: u64| {
        let (client, proof, note) = (client.clone(), log.proof(old, new), log.note(new));
        async move { client.add_checkpoint(old, &proof, &note).await }
    };
    let cosignature = ask(0, 7).await.unwrap();
    assert!(cosignature.time_s > 1_767_225_600);
    assert_eq!(cosignature.line.name, witness.key.name());
    ask(7, 12).await.unwrap();
    let conflict = ask(7, 20).await.unwrap_err();
    assert!(
        matches!(
            conflict,
            WitnessError::Conflict {
                size: 12,
                old_size: 7,
                ..
            }
        ),
        "{conflict}"
    );
    let fork = log.fork();
    let refused = |old, proof, note: String| {
        let client = client.clone();
        async move { client.add_checkpoint(old, proof, &note).await.unwrap_err() }
    };
    let inconsistent = refused(12, &[][..], fork.note(12)).await;
    assert!(matches!(inconsistent, WitnessError::Inconsistent { .. }));
    let inconsistent = refused(12, &[[1; 32]], log.note(20)).await;
    assert!(matches!(inconsistent, WitnessError::Inconsistent { .. }));
    let unknown = refused(0, &[], Log::new("log.example/2", 1).note(1)).await;
    assert!(matches!(unknown, WitnessError::UnknownLog { .. }));
    let by_stranger = LogKey::new(ORIGIN).sign(&log.checkpoint(20)).to_string();
    let stranger = refused(12, &[], by_stranger).await;
    assert!(matches!(stranger, WitnessError::LogKeyRefused { .. }));
    let bad = refused(21, &[], log.note(20)).await;
    assert!(matches!(bad, WitnessError::BadRequest { .. }));
    let bad = refused(12, &[[1; 32]; 64], log.note(20)).await;
    assert!(matches!(bad, WitnessError::BadRequest { .. }));
    for error in [conflict, inconsistent, unknown, stranger, bad] {
        let words = error.to_string();
        assert!(
            words.starts_with("expected ") && words.contains(witness.key.name()),
            "{words}"
        );
        assert!(!error.next().is_empty());
    }
    // Another witness's key at this address.
    let other = config(crate::log::witness("other").key(), &witness.address, "");
    let other = WitnessClient::new(&other).unwrap();
    let refused = other.add_checkpoint(12, &[], &log.note(12)).await;
    assert!(
        matches!(refused, Err(WitnessError::BadAnswer { .. })),
        "{refused:?}"
    );
    ask(12, 20).await.unwrap();
    witness.kill();
    let gone = ask(20, 20).await.unwrap_err();
    assert!(matches!(gone, WitnessError::Unreachable { .. }), "{gone}");
    let no_key = WitnessClient::new(&config(&log.key.key, "w", ""));
    assert!(matches!(no_key, Err(WitnessError::Key(_))));
}

/// A server that gives each request this answer; it lives as long as the test.
fn server(answer: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = vec![0; 65_536];
            // The request is small enough to come in one or two pieces; the answer doesn't depend on it.
            let _ = stream.read(&mut request);
            if answer.is_empty() {
                thread::park();
            }
            let _ = stream.write_all(answer.as_bytes());
            let _ = stream.shutdown(std::net::Shutdown::Write);
            let _ = stream.read(&mut request);
        }
    });
    address
}

async fn answered(
    signer: &CosignatureSigner,
    log: &Log,
    head: &str,
    body: &str,
) -> Result<u64, WitnessError> {
    let address = server(format!(
        "HTTP/1.1 {head}\r\nconnection: close\r\n\r\n{body}"
    ));
    let client = WitnessClient::new(&config(signer.key(), &address, "/prefix/")).unwrap();
    let asked = client.add_checkpoint(0, &[], &log.note(4)).await;
    asked.map(|cosignature| cosignature.time_s)
}

#[tokio::test]
async fn nothing_but_a_cosignature_by_its_key_counts() {
    let log = Log::new(ORIGIN, 9);
    let (signer, other) = (witness("w"), witness("w"));
    let text = log.checkpoint(4).text();
    let good = signer.cosign(&text, 1_800_000_000);
    let ok = |body: String| answered_ok(&signer, &log, body);
    assert_eq!(ok(format!("{good}\n")).await.unwrap(), 1_800_000_000);
    // Others' lines are ignored, whatever they are.
    let mut noise = other.cosign(&text, 1_800_000_000);
    noise.signature.truncate(3);
    assert!(ok(format!("{noise}\n{good}\n")).await.is_ok());
    let mut broken = good.clone();
    broken.signature[20] ^= 1;
    let timeless = signer.cosign(&text, 0);
    let elsewhere = signer.cosign(&log.checkpoint(5).text(), 1_800_000_000);
    for bad in [
        String::new(),
        "\n".to_owned(),
        "OK".to_owned(),
        format!("{good}"),
        format!("{good}\n\n"),
        format!("{}\n", other.cosign(&text, 1_800_000_000)),
        format!("{broken}\n"),
        format!("{good}\n{broken}\n"),
        format!("{timeless}\n"),
        format!("{elsewhere}\n"),
        format!("{}\n{good}\n", "x".repeat(70_000)),
        format!("{good}\n").repeat(1_000),
    ] {
        let refused = ok(bad.clone()).await;
        assert!(
            matches!(refused, Err(WitnessError::BadAnswer { .. })),
            "{bad}: {refused:?}"
        );
    }
}

async fn answered_ok(
    signer: &CosignatureSigner,
    log: &Log,
    body: String,
) -> Result<u64, WitnessError> {
    answered(signer, log, "200 OK", &body).await
}

#[tokio::test]
async fn strange_statuses_are_told_and_no_redirect_is_followed() {
    let log = Log::new(ORIGIN, 9);
    let signer = witness("w");
    let good = format!(
        "{}\n",
        signer.cosign(&log.checkpoint(4).text(), 1_800_000_000)
    );
    let target = server(format!(
        "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{good}"
    ));
    let redirect = format!("307 Temporary Redirect\r\nlocation: http://{target}/add-checkpoint");
    let size = "409 Conflict\r\ncontent-type: text/x.tlog.size";
    for (head, status) in [
        (redirect.as_str(), 307),
        ("500 Internal Server Error", 500),
        ("503 Service Unavailable", 503),
        ("408 Request Timeout", 408),
        ("204 No Content", 204),
        // A conflict of something else than a witness.
        ("409 Conflict", 409),
        ("409 Conflict\r\ncontent-type: text/plain", 409),
    ] {
        let failed = answered(&signer, &log, head, "7\u{1b}[31m\n")
            .await
            .unwrap_err();
        assert!(
            matches!(&failed, WitnessError::Failed { status: got, words, .. } if *got == status && !words.contains('\u{1b}')),
            "{head}: {failed:?}"
        );
    }
    let conflict = answered(&signer, &log, size, "18446744073709551615\n").await;
    assert!(matches!(
        conflict,
        Err(WitnessError::Conflict { size: u64::MAX, .. })
    ));
    for bad in [
        "",
        "7",
        "07\n",
        "+7\n",
        "-1\n",
        "7\n\n",
        "18446744073709551616\n",
        "seven\n",
    ] {
        let refused = answered(&signer, &log, size, bad).await;
        assert!(
            matches!(refused, Err(WitnessError::BadAnswer { .. })),
            "{bad:?}: {refused:?}"
        );
    }
    // No HTTP at all, and half of an answer.
    for (head, body) in [("", "x"), ("200 OK\r\ncontent-length: 900", good.as_str())] {
        let refused = answered(&signer, &log, head, body).await;
        assert!(
            matches!(refused, Err(WitnessError::Unreachable { .. })),
            "{refused:?}"
        );
    }
}

#[tokio::test]
async fn silence_ends() {
    let log = Log::new(ORIGIN, 9);
    let signer = witness("w");
    let address = server(String::new());
    let client = WitnessClient::new(&config(signer.key(), &address, "")).unwrap();
    let silent = client.add_checkpoint(0, &[], &log.note(4)).await;
    assert!(
        matches!(&silent, Err(WitnessError::Unreachable { source, .. }) if source.is_timeout()),
        "{silent:?}"
    );
}
