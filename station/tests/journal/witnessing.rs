//! How far the log runs ahead of its witnesses, and what is kept of what they said.

use keyline_station::journal::{AheadBounds, JournalError, StoredCosignature};
use keyline_station::record::{RunResult, Step};

use crate::fixture::{Home, check, device, done, end, intend, run, start, with_order};

fn bounds(leaves_max: u64) -> AheadBounds {
    AheadBounds {
        leaves_max,
        hours_max: 24,
    }
}

fn said(tree_size: u64, witness: &str) -> StoredCosignature {
    StoredCosignature {
        tree_size,
        witness: witness.to_owned(),
        line: format!("\u{2014} {witness} AAAA"),
        time_s: 1_800_000_000,
    }
}

#[tokio::test]
async fn a_run_begins_only_near_a_witnessed_checkpoint_and_what_is_in_hand_ends() {
    let home = Home::new();
    let journal = home.open().await;
    let (_, order) = with_order(&journal, 100).await;
    let (run_id, started) = start(order, None);
    let begun = vec![started, done(run_id, device(1), Step::Identified)];
    journal.commit(begun).await.unwrap();
    journal.bound_ahead(bounds(3)).await.unwrap();
    // Four leaves stand in the log and nobody has seen one of them.
    let (_, another) = start(order, None);
    let refused = journal.commit(vec![another]).await;
    assert!(
        matches!(
            refused,
            Err(JournalError::AheadOfWitnesses {
                leaves: 4,
                leaves_max: 3,
                ..
            })
        ),
        "{refused:?}"
    );
    let ended = vec![
        intend(run_id, device(1), Step::Keyed),
        done(run_id, device(1), Step::Keyed),
        end(run_id, Some(device(1)), RunResult::Passed),
    ];
    let committed = journal.commit(ended).await.unwrap();
    let size = committed.tree_size;
    let word = vec![said(size, "w1"), said(size, "w2")];
    journal
        .keep_cosignatures(word.clone(), Some(size))
        .await
        .unwrap();
    run(&journal, order, 2, RunResult::Passed).await.unwrap();
    let refused = run(&journal, order, 3, RunResult::Passed).await;
    assert!(matches!(
        refused,
        Err(JournalError::AheadOfWitnesses { leaves: 5, .. })
    ));
    assert_eq!(journal.latest_cosignatures(10).await.unwrap(), word);
    check(&journal).await;
}

#[tokio::test]
async fn a_witnessed_size_never_goes_back_and_a_first_word_stays() {
    let home = Home::new();
    let journal = home.open().await;
    let (_, order) = with_order(&journal, 100).await;
    run(&journal, order, 1, RunResult::Passed).await.unwrap();
    journal.bound_ahead(bounds(0)).await.unwrap();
    let all = vec![said(7, "w1")];
    journal.keep_cosignatures(all, Some(7)).await.unwrap();
    let mut older = vec![said(2, "w1"), said(7, "w1")];
    older[1].line = "\u{2014} w1 BBBB".to_owned();
    journal.keep_cosignatures(older, Some(2)).await.unwrap();
    let kept = journal.latest_cosignatures(10).await.unwrap();
    assert_eq!(kept, [said(7, "w1"), said(2, "w1")]);
    run(&journal, order, 2, RunResult::Passed).await.unwrap();
}

#[tokio::test]
async fn no_run_begins_before_a_witness_has_seen_the_log_and_a_disputed_log_keeps_what_is_said() {
    let home = Home::new();
    let journal = home.open().await;
    let (_, order) = with_order(&journal, 100).await;
    journal.bound_ahead(bounds(100)).await.unwrap();
    let refused = run(&journal, order, 1, RunResult::Passed).await;
    assert!(
        matches!(refused, Err(JournalError::NeverWitnessed)),
        "{refused:?}"
    );
    let word = vec![said(2, "w1")];
    journal
        .keep_cosignatures(word.clone(), Some(2))
        .await
        .unwrap();
    run(&journal, order, 1, RunResult::Passed).await.unwrap();
    journal
        .dispute("another witness has seen more")
        .await
        .unwrap();
    journal
        .keep_cosignatures(vec![said(7, "w1")], Some(7))
        .await
        .unwrap();
    assert_eq!(journal.latest_cosignatures(10).await.unwrap().len(), 2);
    let refused = run(&journal, order, 2, RunResult::Passed).await;
    assert!(
        matches!(refused, Err(JournalError::Disputed { .. })),
        "{refused:?}"
    );
}

/// Leaf 2 of the log is as old as it says, whatever the wall clock says now.
#[tokio::test]
async fn hours_without_a_witness_are_counted_from_the_leaves_after_a_restart_too() {
    let home = Home::new();
    let journal = home.open().await;
    let (_, order) = with_order(&journal, 100).await;
    run(&journal, order, 1, RunResult::Passed).await.unwrap();
    journal.close().await.unwrap();
    let journal = home.open().await;
    let hours = |hours_max| AheadBounds {
        leaves_max: 100,
        hours_max,
    };
    journal
        .keep_cosignatures(vec![said(2, "w1")], Some(2))
        .await
        .unwrap();
    journal.bound_ahead(hours(24)).await.unwrap();
    run(&journal, order, 2, RunResult::Passed).await.unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    journal.bound_ahead(hours(0)).await.unwrap();
    let refused = run(&journal, order, 3, RunResult::Passed).await;
    assert!(
        matches!(
            refused,
            Err(JournalError::AheadOfWitnesses { leaves: 10, .. })
        ),
        "{refused:?}"
    );
    journal
        .keep_cosignatures(vec![said(12, "w1")], Some(12))
        .await
        .unwrap();
    run(&journal, order, 3, RunResult::Passed).await.unwrap();
}

#[tokio::test]
async fn a_cosignature_of_a_checkpoint_that_was_never_signed_is_refused() {
    let home = Home::new();
    let journal = home.open().await;
    with_order(&journal, 100).await;
    let kept = journal.keep_cosignatures(vec![said(1, "w1")], None).await;
    assert!(
        matches!(kept, Err(JournalError::Stopped { .. })),
        "{kept:?}"
    );
}

#[tokio::test]
async fn a_disputed_log_signs_nothing_more() {
    let home = Home::new();
    let journal = home.open().await;
    let (_, order) = with_order(&journal, 100).await;
    let cause = "witness w1 has seen 400 leaves of it";
    journal.dispute(cause).await.unwrap();
    let refused = run(&journal, order, 1, RunResult::Passed).await;
    assert!(
        matches!(&refused, Err(JournalError::Disputed { cause: told }) if told == cause),
        "{refused:?}"
    );
    assert_eq!(check(&journal).await, 2);
}
