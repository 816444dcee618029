//! A station on which nobody has been.

use keyline_station::audit::{Checkpoint, CheckpointSigner, FileSigner};
use keyline_station::reconcile::{Code, KnownCheckpoint, Scope};

use crate::story::told;
use crate::verify::{Asked, verify};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_that_happens_on_a_line_is_explained_and_nothing_is_a_violation() {
    let station = tokio::task::spawn_blocking(told).await.unwrap();
    let found = verify(&station).await;
    assert!(found.violations().is_empty(), "{:#?}", found.violations());
    let entries = station
        .number("journal.db", "SELECT count(*) FROM entry")
        .await;
    assert_eq!(i64::try_from(found.report.leaves).unwrap(), entries);
    let notes = station
        .number("journal.db", "SELECT count(*) FROM checkpoint")
        .await;
    assert_eq!(i64::try_from(found.report.checkpoints).unwrap(), notes);
    let units = station
        .number("journal.db", "SELECT count(*) FROM unit")
        .await;
    assert_eq!(i64::try_from(found.report.units).unwrap(), units);
    assert!(found.report.root.is_some());

    // Each thing that is open or odd has its words, and is told once.
    for (code, count) in [
        (Code::UnitHeld, 1),
        (Code::UnitInterrupted, 1),
        (Code::UnitQuarantined, 3),
        (Code::UnitScrapped, 1),
        (Code::UnitFailed, 1),
        (Code::KeySuperseded, 1),
        (Code::KeyPending, 1),
        (Code::KeyRevoked, 1),
        (Code::OrderStanding, 2),
        (Code::TrustedUnfinished, 1),
    ] {
        assert_eq!(
            found.all(code).len(),
            count,
            "{code:?} {:#?}",
            found.findings
        );
    }
    found.expect(Code::OrderStanding, "the registry trusts");
    assert_eq!(found.report.untold, 0);
    let told = found.report.gaps + found.report.explained;
    assert_eq!(told, found.findings.len() as u64);
    for finding in &found.findings {
        assert!(
            !finding.next.is_empty() && !finding.place.is_empty(),
            "{finding:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_registry_that_is_a_gap_and_the_tree_alone_is_quick() {
    let station = tokio::task::spawn_blocking(told).await.unwrap();
    let mut asked = Asked::everything(&station);
    asked.with_registry = false;
    let found = asked.verify(&station).await;
    assert!(found.violations().is_empty(), "{:#?}", found.violations());
    assert_eq!(found.all(Code::RegistryNotAsked).len(), 1);
    asked.scope = Scope::Tree;
    let tree = asked.verify(&station).await;
    assert_eq!(tree.report.root, found.report.root);
    assert_eq!(tree.report.violations, 0);
    assert_eq!(tree.report.units, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_station_is_verified_in_one_view() {
    let (bench, station) = tokio::task::spawn_blocking(|| {
        let bench = crate::story::begun();
        bench.run(&crate::common::unit(
            keyline_protocol::identity::Platform::Nrf51822,
            1,
        ));
        let copy = crate::story::Station {
            home: tempfile::tempdir().unwrap(),
            id: bench.station,
        };
        for file in ["audit.pem", "journal.db", "registry.db"] {
            // The very files, by another name of their directory.
            std::os::unix::fs::symlink(bench.home.path().join(file), copy.path(file)).unwrap();
        }
        (bench, copy)
    })
    .await
    .unwrap();
    let writing = std::thread::spawn(move || {
        for number in 2..30 {
            bench.run(&crate::common::unit(
                keyline_protocol::identity::Platform::Nrf51822,
                number,
            ));
        }
        bench
    });
    for _ in 0..10 {
        let found = verify(&station).await;
        assert!(found.violations().is_empty(), "{:#?}", found.violations());
    }
    let bench = writing.join().unwrap();
    tokio::task::spawn_blocking(move || drop(bench))
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn checkpoints_from_elsewhere_are_held_against_the_tree() {
    let station = tokio::task::spawn_blocking(told).await.unwrap();
    let mut asked = Asked::everything(&station);
    let reader = station.reader().await;
    let notes = crate::forged::notes(&station).await;
    let known = |source: &str, note: &str| KnownCheckpoint {
        source: source.to_owned(),
        note: note.to_owned(),
        cosigned: false,
    };
    asked.known = notes
        .iter()
        .map(|(size, note)| known(&format!("witness, {size}"), note))
        .collect();
    asked.known.push(known("rubbish", "no note"));
    let last = &notes.last().unwrap().1;
    asked.known.push(known(
        "another log",
        &last.replacen(crate::story::ORIGIN, "other.example", 1),
    ));
    drop(reader);
    let found = asked.verify(&station).await;
    assert!(found.violations().is_empty(), "{:#?}", found.violations());
    let unusable = found.all(Code::KnownCheckpointUnusable);
    let places: Vec<_> = unusable.iter().map(|finding| &finding.place[..]).collect();
    assert_eq!(places, ["rubbish", "another log"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trusted_witness_s_word_for_a_checkpoint_by_an_unknown_key_speaks_against_the_log() {
    let station = tokio::task::spawn_blocking(told).await.unwrap();
    let notes = crate::forged::notes(&station).await;
    let (text, _) = notes.last().unwrap().1.split_once("\n\n").unwrap();
    let directory = tempfile::tempdir().unwrap();
    let other = FileSigner::generate(&directory.path().join("other.pem")).unwrap();
    let other = CheckpointSigner::File(other);
    let key = other.verifier_key(crate::story::ORIGIN).unwrap();
    let checkpoint = Checkpoint::parse(&format!("{text}\n")).unwrap();
    let note = checkpoint.sign(&key, &other).await.unwrap().to_string();
    let mut asked = Asked::everything(&station);
    asked.known = vec![KnownCheckpoint {
        source: "witness w1".to_owned(),
        note,
        cosigned: true,
    }];
    let found = asked.verify(&station).await;
    let unknown = found.expect(
        Code::WitnessedUnknownKey,
        "by a key of this log, found none",
    );
    assert_eq!(unknown.place, "witness w1");
}
