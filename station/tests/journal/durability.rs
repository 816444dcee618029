//! What is known after a restart, whatever happened before it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use keyline_station::audit::Checkpoint;
use keyline_station::journal::{Journal, JournalError, JournalReader};
use keyline_station::record::{Change, RunResult, Step, StepPhase, UnitState};

use crate::fixture::{
    Home, ORIGIN, check, device, done, end, intend, run, start, unit, with_order,
};

#[tokio::test]
async fn a_commit_is_covered_by_its_checkpoint_and_survives() {
    let home = Home::new();
    let journal = home.open().await;
    let key = journal.verifier_keys()[0].clone();
    assert_eq!(
        Checkpoint::verify(&journal.checkpoint(), &key)
            .unwrap()
            .size,
        0
    );
    let (_, order) = with_order(&journal, 5).await;
    let (run_id, started) = start(order, None);
    let committed = journal
        .commit(vec![started, done(run_id, device(1), Step::Identified)])
        .await
        .unwrap();
    assert_eq!((committed.first_leaf, committed.tree_size), (2, 4));
    let checkpoint = Checkpoint::verify(&committed.checkpoint, &key).unwrap();
    assert_eq!((checkpoint.size, checkpoint.origin.as_str()), (4, ORIGIN));
    assert_eq!(journal.checkpoint(), committed.checkpoint);
    journal.close().await.unwrap();
    let journal = home.open().await;
    assert_eq!(journal.checkpoint(), committed.checkpoint);
    assert_eq!(check(&journal).await, 4);
    let events = journal.steps_of(run_id).await.unwrap();
    assert_eq!(
        (events.len(), events[0].leaf, events[0].phase),
        (1, 3, StepPhase::Done)
    );
}

#[tokio::test]
async fn a_refused_request_leaves_nothing_and_hurts_nobody() {
    let home = Home::new();
    let journal = home.open().await;
    let (_, order) = with_order(&journal, 1_000).await;
    let mut commits = tokio::task::JoinSet::new();
    for n in 0..200 {
        let journal = journal.clone();
        commits.spawn(async move {
            let (run_id, started) = start(order, None);
            let mut changes = vec![started, done(run_id, device(n), Step::Identified)];
            if n % 4 == 0 {
                // The last change is wrong: none of them counts.
                changes.push(end(run_id, Some(device(n + 10_000)), RunResult::Passed));
            }
            (n, journal.commit(changes).await)
        });
    }
    for (n, outcome) in commits.join_all().await {
        assert_eq!(outcome.is_err(), n % 4 == 0, "{n}: {outcome:?}");
        assert_eq!(journal.unit(device(n)).await.unwrap().is_none(), n % 4 == 0);
    }
    assert_eq!(check(&journal).await, 2 + 150 * 2);
    assert_eq!(journal.unfinished_runs().await.unwrap().len(), 150);
    for bad in [vec![], vec![Change::Stopped; 257]] {
        let refused = journal.commit(bad).await;
        assert!(matches!(refused, Err(JournalError::ChangeCount { .. })));
    }
}

#[tokio::test]
async fn interrupted_runs_are_found_with_their_last_steps() {
    let home = Home::new();
    let journal = home.open().await;
    let (_, order) = with_order(&journal, 9).await;
    run(&journal, order, 9, RunResult::Passed).await.unwrap();
    let (before, started) = start(order, Some("S1"));
    journal.commit(vec![started]).await.unwrap();
    let (middle, started) = start(order, None);
    let changes = vec![
        started,
        done(middle, device(1), Step::Identified),
        intend(middle, device(1), Step::Keyed),
        done(middle, device(1), Step::Keyed),
        intend(middle, device(1), Step::Injected),
    ];
    journal.commit(changes).await.unwrap();
    drop(journal);

    let journal = home.open().await;
    let found = journal.recover().await.unwrap();
    let seen: Vec<_> = found
        .iter()
        .map(|found| {
            (
                found.run.id,
                found.run.device_id,
                found.intended,
                found.done,
            )
        })
        .collect();
    // Both may have begun within one millisecond, in which their ids say nothing of their order.
    assert_eq!(seen.len(), 2);
    assert!(seen.contains(&(before, None, None, None)), "{seen:?}");
    let intended = (Some(Step::Injected), Some(Step::Keyed));
    assert!(
        seen.contains(&(middle, Some(device(1)), intended.0, intended.1)),
        "{seen:?}"
    );
    let before_run = found.iter().find(|found| found.run.id == before).unwrap();
    assert_eq!(before_run.run.serial.as_deref(), Some("S1"));
    assert_eq!(unit(&journal, 1).await.state, UnitState::InProgress);

    // A new run takes the unit over; the end of the old one then says nothing of it.
    run(&journal, order, 1, RunResult::Passed).await.unwrap();
    journal
        .commit(vec![end(middle, Some(device(1)), RunResult::Failed)])
        .await
        .unwrap();
    journal
        .commit(vec![end(before, None, RunResult::Failed)])
        .await
        .unwrap();
    let unit = unit(&journal, 1).await;
    assert_eq!(
        (unit.state, unit.consecutive_failures),
        (UnitState::Passed, 0)
    );
    assert_eq!(journal.recover().await.unwrap(), []);
    let ended = journal.run(middle).await.unwrap().unwrap();
    assert_eq!(
        (ended.reached, ended.result),
        (Some(Step::Keyed), Some(RunResult::Failed))
    );
    assert_eq!(journal.runs_of(device(1), 9).await.unwrap().len(), 2);
}

/// A copy of the files at any moment is what a crash at that moment leaves: all that was acknowledged before must be in it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_in_a_crash() {
    let home = Home::new();
    let journal = home.open().await;
    let (_, order) = with_order(&journal, 100_000).await;
    let acknowledged = Arc::new(AtomicU64::new(0));
    let mut committers = tokio::task::JoinSet::new();
    for committer in 0..8 {
        let (journal, acknowledged) = (journal.clone(), Arc::clone(&acknowledged));
        committers.spawn(async move {
            for n in 0..100 {
                let (run_id, started) = start(order, None);
                let unit = device(committer * 1_000 + n);
                for change in [started, done(run_id, unit, Step::Identified)] {
                    let committed = journal.commit(vec![change]).await.unwrap();
                    acknowledged.fetch_max(committed.tree_size, Ordering::SeqCst);
                }
                let ended = end(run_id, Some(unit), RunResult::Passed);
                journal.commit(vec![ended]).await.unwrap();
            }
        });
    }
    for crash in 0..12 {
        let floor = acknowledged.load(Ordering::SeqCst);
        let copy = Home::new();
        // The log first: what the database gains afterwards was in the log before, and SQLite resets the log only after that.
        for ending in ["-wal", ""] {
            let from = format!("{}{ending}", home.path().display());
            let to = format!("{}{ending}", copy.path().display());
            std::fs::copy(from, to).unwrap();
        }
        let crashed = Journal::open(&copy.path(), home.signer(), ORIGIN)
            .await
            .unwrap();
        let found = check(&crashed).await;
        assert!(found >= floor, "crash {crash}: {found} leaves of {floor}");
        assert!(crashed.recover().await.unwrap().len() <= 8);
        tokio::time::sleep(std::time::Duration::from_millis(7)).await;
    }
    committers.join_all().await;
    assert_eq!(check(&journal).await, 2 + 8 * 100 * 3);
}

#[tokio::test]
async fn a_failed_write_stops_the_journal_for_good() {
    let home = Home::new();
    let journal = home.open().await;
    let (_, order) = with_order(&journal, 9).await;
    home.tamper("ALTER TABLE entry RENAME TO gone").await;
    for _ in 0..2 {
        let refused = run(&journal, order, 1, RunResult::Passed).await;
        assert!(
            matches!(refused, Err(JournalError::Stopped { .. })),
            "{refused:?}"
        );
    }
    home.tamper("ALTER TABLE gone RENAME TO entry").await;
    let still = run(&journal, order, 1, RunResult::Passed).await;
    assert!(matches!(still, Err(JournalError::Stopped { .. })));
    let still = journal.idempotency_begin("k", [0; 32]).await;
    assert!(matches!(still, Err(JournalError::Stopped { .. })));
    drop(journal);
    let journal = home.open().await;
    assert_eq!(check(&journal).await, 2);
    run(&journal, order, 1, RunResult::Passed).await.unwrap();
}

#[tokio::test]
async fn another_process_reads_while_the_station_writes() {
    let home = Home::new();
    let journal = home.open().await;
    let (_, order) = with_order(&journal, 9).await;
    let reader = JournalReader::open(&home.path()).await.unwrap();
    run(&journal, order, 1, RunResult::Passed).await.unwrap();
    let seen = reader.unit(device(1)).await.unwrap().unwrap();
    assert_eq!(seen.state, UnitState::Passed);
    let missing = JournalReader::open(&home.path().with_extension("none")).await;
    assert!(matches!(missing, Err(JournalError::Missing { .. })));
    journal.clone().close().await.unwrap();
    let closed = journal.commit(vec![Change::Stopped]).await;
    assert!(matches!(closed, Err(JournalError::Stopped { .. })));
}
