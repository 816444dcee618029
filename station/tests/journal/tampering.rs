//! What is found when somebody has been at the journal's file.

use keyline_station::audit::{CheckpointSigner, FileSigner};
use keyline_station::journal::{Journal, JournalError, JournalReader};
use keyline_station::record::RunResult;

use crate::fixture::{Home, ORIGIN, run, with_order};

/// A closed journal of eleven leaves.
async fn written() -> Home {
    let home = Home::new();
    let journal = home.open().await;
    let (_, order) = with_order(&journal, 9).await;
    for n in 0..2 {
        run(&journal, order, n, RunResult::Passed).await.unwrap();
    }
    run(&journal, order, 1, RunResult::Failed).await.unwrap();
    journal.close().await.unwrap();
    home
}

/// Whether opening, or recomputing the log, finds it.
async fn found(home: &Home) -> bool {
    let key = home.signer().verifier_key(ORIGIN).unwrap();
    let reader = JournalReader::open(&home.path()).await.unwrap();
    let recomputed = reader.verify_log(&[key]).await;
    recomputed.is_err() || home.try_open().await.is_err()
}

#[tokio::test]
async fn an_untouched_journal_verifies() {
    assert!(!found(&written().await).await);
}

#[tokio::test]
async fn every_kind_of_tampering_is_found() {
    for sql in [
        "UPDATE entry SET body = replace(body, 'passed', 'failed') WHERE body LIKE '%passed%'",
        "UPDATE entry SET salt = zeroblob(32) WHERE leaf_index = 3",
        "UPDATE entry SET leaf = zeroblob(length(leaf)) WHERE leaf_index = 4",
        "UPDATE entry SET leaf = (SELECT leaf FROM entry WHERE leaf_index = 5) WHERE leaf_index = 6",
        "DELETE FROM entry WHERE leaf_index = 5",
        "DELETE FROM entry WHERE leaf_index = (SELECT max(leaf_index) FROM entry)",
        "DELETE FROM entry",
        "INSERT INTO entry SELECT leaf_index + 17, run_id, leaf, salt, body FROM entry WHERE leaf_index = 0",
        "UPDATE entry SET leaf_index = leaf_index + 100 WHERE leaf_index = 16",
        "UPDATE tree_head SET tree_size = tree_size - 1",
        "UPDATE tree_head SET frontier = zeroblob(length(frontier))",
        "UPDATE tree_head SET note = (SELECT note FROM checkpoint ORDER BY tree_size LIMIT 1)",
        "DELETE FROM tree_head",
        // The log cut back to an older checkpoint, all but the frontier, which the checkpoint binds.
        "DELETE FROM entry WHERE leaf_index >= 2; UPDATE tree_head SET tree_size = 2, note = (SELECT note FROM checkpoint WHERE tree_size = 2)",
    ] {
        let home = written().await;
        home.tamper(sql).await;
        assert!(found(&home).await, "not found: {sql}");
    }
}

#[tokio::test]
async fn a_journal_of_another_key_or_log_is_refused() {
    let home = written().await;
    let other = tempfile::tempdir().unwrap();
    let signer = FileSigner::generate(&other.path().join("key.pem")).unwrap();
    let opened = Journal::open(&home.path(), CheckpointSigner::File(signer), ORIGIN).await;
    assert!(matches!(opened, Err(JournalError::Audit(_))));
    let opened = Journal::open(&home.path(), home.signer(), "factory.example/other").await;
    assert!(matches!(opened, Err(JournalError::Audit(_))));
}

#[tokio::test]
async fn newer_schemas_stop_only_clients_that_they_name() {
    let home = written().await;
    home.tamper(
        "INSERT INTO _sqlx_migrations SELECT 9999, 'from the future', installed_on, success, x'00', execution_time FROM _sqlx_migrations WHERE version = 1",
    )
    .await;
    home.open().await.close().await.unwrap();
    home.tamper("UPDATE meta SET min_client = 2").await;
    let opened = home.try_open().await;
    assert!(matches!(
        opened,
        Err(JournalError::TooNew { needed: 2, ours: 1 })
    ));
}
