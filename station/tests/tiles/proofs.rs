//! Proofs from what is published and from what is not yet.

use keyline_station::audit::{
    Checkpoint, Leaf, TlogProof, leaf_hash, verify_consistency, verify_inclusion,
};
use keyline_station::journal::JournalReader;
use keyline_station::tiles::{LogReader, TileDirectory, TilesError};

use crate::fixture::{Foreign, Log};

async fn leaf(log: &Log, index: u64) -> Vec<u8> {
    log.journal.leaves(index, 1).await.unwrap().remove(0)
}

/// Proofs of leaves and sizes all over the log, for a reader that may or may not find tiles.
async fn assert_proves(log: &Log, reader: &LogReader) {
    let head = log.head();
    let last = head.size - 1;
    for size in [1, 2, 255, 256, 257, last / 2 + 1, last, head.size] {
        let size = size.clamp(1, head.size);
        let root = reader.root(size).await.unwrap();
        for index in [0, 1, 254, 255, 256, size / 2, size - 1] {
            let index = index.min(size - 1);
            let path = reader.inclusion(index, size).await.unwrap();
            let hash = leaf_hash(&leaf(log, index).await);
            verify_inclusion(&hash, index, size, &root, &path).unwrap();
        }
        for old in [0, 1, size / 3, size - 1, size] {
            let path = reader.consistency(old, size).await.unwrap();
            let old_root = reader.root(old).await.unwrap();
            verify_consistency(old, &old_root, size, &root, &path).unwrap();
        }
    }
    assert_eq!(reader.root(head.size).await.unwrap(), head.root);
    let note = log.journal.checkpoint();
    let text = reader.tlog_proof(last, &note).await.unwrap().to_string();
    let proof: TlogProof = text.parse().unwrap();
    let checked = proof.verify(&leaf(log, last).await, |note| {
        Checkpoint::verify(note, &log.key())
    });
    assert_eq!(checked.unwrap(), head);
}

#[tokio::test]
async fn proofs_are_the_same_with_tiles_without_and_with_some() {
    let log = Log::new().await;
    log.grow(70_000).await;
    assert_proves(&log, &log.reader()).await;
    log.publish().await;
    assert_proves(&log, &log.reader()).await;
    log.grow(777).await;
    let reader = log.reader();
    assert_proves(&log, &reader).await;
    log.grow(1).await;
    assert_proves(&log, &reader).await;
}

#[tokio::test]
async fn every_proof_of_small_logs_is_one_that_a_foreign_verifier_takes() {
    let log = Log::new().await;
    let reader = log.reader();
    for size in 1..=40_u64 {
        log.grow(1).await;
        if size % 3 == 0 {
            log.publish().await;
        }
        let root = tlog_tiles::Hash(log.head().root);
        for index in 0..size {
            let path = reader.inclusion(index, size).await.unwrap();
            let path: Vec<_> = path.into_iter().map(tlog_tiles::Hash).collect();
            let hash = tlog_tiles::record_hash(&leaf(&log, index).await);
            tlog_tiles::check_record(&path, size, root, index, hash).unwrap();
        }
        for old in 1..=size {
            let path = reader.consistency(old, size).await.unwrap();
            let path: Vec<_> = path.into_iter().map(tlog_tiles::Hash).collect();
            let old_root = tlog_tiles::Hash(reader.root(old).await.unwrap());
            tlog_tiles::check_tree(&path, size, root, old, old_root).unwrap();
        }
    }
}

#[tokio::test]
async fn what_is_not_in_the_log_has_no_proof() {
    let log = Log::published(300).await;
    let reader = log.reader();
    assert!(reader.inclusion(300, 300).await.is_err());
    assert!(reader.inclusion(0, 301).await.is_err());
    assert!(reader.inclusion(0, 0).await.is_err());
    assert!(reader.consistency(5, 4).await.is_err());
    assert!(reader.consistency(5, 301).await.is_err());
    assert!(reader.root(301).await.is_err());
    let stranger = Log::published(300).await;
    let note = stranger.journal.checkpoint();
    let refused = reader.tlog_proof(3, &note).await.unwrap_err();
    assert!(matches!(refused, TilesError::Audit(_)), "{refused}");
}

#[tokio::test]
async fn a_leaf_has_a_proof_under_an_older_checkpoint_of_the_log() {
    let log = Log::published(500).await;
    let note = log.journal.checkpoint();
    log.grow(20_000).await;
    log.publish().await;
    let reader = log.reader();
    let proof = reader.tlog_proof(499, &note).await.unwrap();
    let check = |note: &str| Checkpoint::verify(note, &log.key());
    proof.verify(&leaf(&log, 499).await, check).unwrap();
    assert!(reader.tlog_proof(500, &note).await.is_err());
    // A foreign reader that still holds that checkpoint finds its partial tiles, or the full ones.
    let checkpoint = Checkpoint::verify(&note, &log.key()).unwrap();
    assert_eq!(reader.root(500).await.unwrap(), checkpoint.root);
}

/// A second process has its own connections and its own view, as this reader has; the owner writes meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_beside_the_owner_gets_proofs_while_the_log_grows() {
    let log = Log::new().await;
    log.grow(100).await;
    let publisher = log.start();
    let beside = JournalReader::open(&log.home.path().join("journal.db")).await;
    let directory = TileDirectory::new(log.home.path().join("tlog"));
    let reader = LogReader::new(directory, beside.unwrap());
    let journal = log.journal.clone();
    let growing = tokio::spawn(async move {
        for _ in 0..200 {
            let changes = vec![keyline_station::record::Change::Stopped; 256];
            journal.commit(changes).await.unwrap();
        }
    });
    let (mut proofs, mut sizes) = (0, std::collections::BTreeSet::new());
    while !growing.is_finished() {
        let head = reader.head().await.unwrap();
        for index in [0, head.size / 2, head.size - 1] {
            let path = reader.inclusion(index, head.size).await.unwrap();
            let hash = leaf_hash(&leaf(&log, index).await);
            verify_inclusion(&hash, index, head.size, &head.root, &path).unwrap();
            proofs += 1;
        }
        sizes.insert(head.size);
    }
    growing.await.unwrap();
    publisher.close().await;
    assert!(
        sizes.len() > 1 && proofs > 3,
        "{proofs} proofs at {sizes:?}"
    );
    log.publish().await;
    log.assert_published();
}

#[tokio::test]
async fn bundles_hold_the_journals_leaves() {
    let log = Log::published(700).await;
    let foreign = Foreign::open(log.directory().path());
    for index in 0..700 {
        let entry = foreign.entry(index);
        assert_eq!(entry, leaf(&log, index).await);
        assert_eq!(Leaf::decode(&entry).unwrap().kind, "stopped");
    }
}
