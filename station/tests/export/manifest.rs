//! The manifest is signed by the log, and whatever is changed afterwards is found.

use std::path::Path;

use keyline_station::audit::{AuditError, CheckpointSigner, FileSigner};
use keyline_station::export::{VerifyError, verify};
use keyline_station::journal::JournalError;
use signed_note::{Note, StandardVerifier, VerifierList};

use crate::factory::{export, factory, log_key};
use crate::fixture::Home;

/// A copy of an export that may be spoilt.
fn copy(from: &Path) -> tempfile::TempDir {
    let to = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, to.path().join(path.file_name().unwrap())).unwrap();
    }
    to
}

#[test]
fn a_foreign_verifier_accepts_the_manifest_and_the_checkpoint() {
    let station = factory();
    export(&station, "out", &[]).good();
    let key = log_key(&station);
    let verifier = StandardVerifier::new(&key.to_string()).unwrap();
    let verifiers = VerifierList::new(vec![Box::new(verifier)]);
    for name in ["manifest.txt", "checkpoint.txt"] {
        let note = std::fs::read(station.directory().join("out").join(name)).unwrap();
        let parsed = Note::from_bytes(&note).unwrap();
        let (verified, unverified) = parsed.verify(&verifiers).unwrap();
        assert_eq!((verified.len(), unverified.len()), (1, 0), "{name}");
        for place in (0..note.len()).step_by(13) {
            let mut changed = note.clone();
            changed[place] ^= 1;
            let refused = Note::from_bytes(&changed).map(|note| note.verify(&verifiers).is_err());
            assert!(refused.unwrap_or(true), "{name}: byte {place}");
        }
    }
    let manifest = std::fs::read_to_string(station.directory().join("out/manifest.txt")).unwrap();
    assert!(manifest.starts_with("keyline export v1\norigin station-1\ntime 20"));
    assert!(manifest.contains("\nrows units\nfilter all\ncheckpoint "));
}

#[test]
fn whatever_is_changed_afterwards_is_found() {
    let station = factory();
    let formats = [
        "--format", "csv", "--format", "jsonl", "--format", "parquet",
    ];
    export(&station, "out", &formats).good();
    let out = station.directory().join("out");
    let keys = [log_key(&station)];
    verify(&out, &keys).unwrap();
    for name in [
        "units.csv",
        "units.jsonl",
        "units.parquet",
        "manifest.txt",
        "checkpoint.txt",
    ] {
        let content = std::fs::read(out.join(name)).unwrap();
        let spoilt = |content: &[u8]| {
            let copy = copy(&out);
            std::fs::write(copy.path().join(name), content).unwrap();
            let error = verify(copy.path(), &keys).unwrap_err();
            assert!(error.to_string().contains(name), "{name}: {error}");
        };
        for place in [0, content.len() / 2, content.len() - 1] {
            let mut changed = content.clone();
            changed[place] ^= 0x20;
            spoilt(&changed);
        }
        spoilt(&content[..content.len() - 1]);
        spoilt(&[&content[..], b"\n"].concat());
        spoilt(b"");
        let copy = copy(&out);
        std::fs::remove_file(copy.path().join(name)).unwrap();
        assert!(verify(copy.path(), &keys).is_err(), "{name} is gone");
    }
    let copy = copy(&out);
    std::fs::write(copy.path().join("more.csv"), "x").unwrap();
    let stranger = verify(copy.path(), &keys).unwrap_err();
    assert!(matches!(stranger, VerifyError::Unexpected { name } if name == "more.csv"));
}

#[test]
fn parts_of_two_exports_do_not_make_one() {
    let station = factory();
    let keys = [log_key(&station)];
    export(&station, "first", &[]).good();
    export(&station, "second", &["--order", "WO-1"]).good();
    let first = station.directory().join("first");
    for name in ["units.csv", "checkpoint.txt"] {
        let mixed = copy(&station.directory().join("second"));
        std::fs::copy(first.join(name), mixed.path().join(name)).unwrap();
        let error = verify(mixed.path(), &keys).unwrap_err();
        assert!(
            matches!(
                error,
                VerifyError::Changed { .. } | VerifyError::OtherCheckpoint { .. }
            ),
            "{error}"
        );
    }
    let other = tempfile::tempdir().unwrap();
    let signer = FileSigner::generate(&other.path().join("key.pem")).unwrap();
    let other = CheckpointSigner::File(signer)
        .verifier_key("station-1")
        .unwrap();
    let strange = verify(&first, std::slice::from_ref(&other)).unwrap_err();
    assert!(matches!(
        strange,
        VerifyError::Note {
            source: AuditError::NotSigned { .. },
            ..
        }
    ));
    // While a log changes its key, both are known, and one signature is enough.
    verify(&first, &[other, keys[0].clone()]).unwrap();
    assert!(verify(&first, &[]).is_err());
}

#[tokio::test]
async fn the_journal_signs_no_second_checkpoint() {
    let home = Home::new();
    let journal = home.open().await;
    let forged = journal
        .checkpoint()
        .split("\n\n")
        .next()
        .unwrap()
        .to_owned()
        + "\n";
    for text in [
        forged.clone(),
        forged.replace("\n0\n", "\n7\n"),
        format!("factory.example/station-7\n{}", "keyline export v1\n"),
        String::new(),
    ] {
        let refused = journal.sign_manifest(text).await.unwrap_err();
        assert!(
            matches!(refused, JournalError::Audit(AuditError::Format { .. })),
            "{refused:?}"
        );
    }
    let note = journal
        .sign_manifest("keyline export v1\norigin x\n".to_owned())
        .await
        .unwrap();
    assert!(note.starts_with("keyline export v1\norigin x\n\n\u{2014} "));
    // It goes on: nothing was written.
    crate::fixture::with_order(&journal, 1).await;
}
