//! The keys of the log: the log says which of them sign, and every change of them carries both sides' signatures.

use keyline_station::audit::{
    Checkpoint, CheckpointSigner, CheckpointSigners, FileSigner, SignedNote, VerifierKey,
};
use keyline_station::journal::{Journal, JournalError};
use keyline_station::record::{Change, RunResult, Step};

use crate::fixture::{
    Home, OPERATOR, ORIGIN, check, device, done, end, intend, run, start, unit, with_order,
};

/// A second key beside the home's own.
struct Second {
    directory: tempfile::TempDir,
}

impl Second {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        FileSigner::generate(&directory.path().join("second.pem")).unwrap();
        Self { directory }
    }

    fn signer(&self) -> CheckpointSigner {
        let path = self.directory.path().join("second.pem");
        CheckpointSigner::File(FileSigner::open(&path).unwrap())
    }

    fn key(&self) -> VerifierKey {
        self.signer().verifier_key(ORIGIN).unwrap()
    }
}

fn both(home: &Home, second: &Second) -> CheckpointSigners {
    CheckpointSigners::new(vec![home.signer(), second.signer()]).unwrap()
}

async fn open(home: &Home, signers: CheckpointSigners) -> Result<Journal, JournalError> {
    Journal::open(&home.path(), signers, ORIGIN).await
}

fn add(key: &VerifierKey) -> Change {
    Change::LogKeyAdded {
        key: key.to_string(),
        operator: OPERATOR.to_owned(),
    }
}

fn retire(key: &VerifierKey) -> Change {
    Change::LogKeyRetired {
        key: key.to_string(),
        operator: OPERATOR.to_owned(),
        reason: "it is old".to_owned(),
    }
}

/// Who signed, by key id, in the order of the lines.
fn signers(note: &str) -> Vec<u32> {
    let note = SignedNote::parse(note).unwrap();
    note.signatures.iter().map(|line| line.key_id).collect()
}

fn assert_refused<T: std::fmt::Debug>(answer: &Result<T, JournalError>, words: &str) {
    let said = match answer {
        Err(JournalError::LogKeyRefused { expected, .. }) => expected,
        _ => "no refusal",
    };
    assert!(said.contains(words), "{answer:?}");
}

#[tokio::test]
async fn a_log_begins_with_the_first_key_and_others_wait() {
    let (home, second) = (Home::new(), Second::new());
    let journal = open(&home, both(&home, &second)).await.unwrap();
    let first = home.signer().verifier_key(ORIGIN).unwrap();
    assert_eq!(
        journal.verifier_keys().as_ref(),
        std::slice::from_ref(&first)
    );
    assert_eq!(signers(&journal.checkpoint()), [first.key_id()]);
    journal.commit(vec![Change::Stopped]).await.unwrap();
    assert_eq!(signers(&journal.checkpoint()), [first.key_id()]);
    let keys = journal.log_keys().await.unwrap();
    assert_eq!(keys.len(), 1);
    assert_eq!((keys[0].added_at, keys[0].retired_at), (None, None));
    check(&journal).await;
    journal.close().await.unwrap();
    // The second key alone is not this log's.
    let refused = open(&home, second.signer().into()).await;
    assert!(matches!(refused, Err(JournalError::Audit(_))));
    // It may go from the configuration as it came: without a trace.
    home.open().await;
}

#[tokio::test]
async fn both_sides_of_every_change_sign_it_whatever_else_is_in_the_batch() {
    let (home, second) = (Home::new(), Second::new());
    let journal = open(&home, both(&home, &second)).await.unwrap();
    let (old, new) = (home.signer().verifier_key(ORIGIN).unwrap(), second.key());
    let (_, order) = with_order(&journal, 99).await;
    // Many slots at once, so that the change stands in the middle of a batch.
    let mut others = tokio::task::JoinSet::new();
    for n in 0..40 {
        let journal = journal.clone();
        others.spawn(async move { run(&journal, order, n, RunResult::Passed).await.unwrap() });
    }
    let added = journal
        .commit(vec![Change::Stopped, add(&new)])
        .await
        .unwrap();
    others.join_all().await;
    assert_eq!(signers(&added.checkpoint), [old.key_id(), new.key_id()]);
    assert_eq!(*journal.verifier_keys(), [old.clone(), new.clone()]);
    let keys = journal.log_keys().await.unwrap();
    assert_eq!(keys[1].added_at, Some(added.first_leaf + 1));
    let retired = journal.commit(vec![retire(&old)]).await.unwrap();
    assert_eq!(signers(&retired.checkpoint), [old.key_id(), new.key_id()]);
    let after = journal.commit(vec![Change::Stopped]).await.unwrap();
    assert_eq!(signers(&after.checkpoint), [new.key_id()]);
    check(&journal).await;
    let covering = journal
        .checkpoint_covering(retired.first_leaf)
        .await
        .unwrap();
    assert_eq!(covering.as_deref(), Some(&*retired.checkpoint));
    journal.close().await.unwrap();

    // The new key alone goes on; the old one alone does not.
    let journal = open(&home, second.signer().into()).await.unwrap();
    assert_eq!(*journal.verifier_keys(), [new]);
    run(&journal, order, 77, RunResult::Passed).await.unwrap();
    check(&journal).await;
    journal.close().await.unwrap();
    assert!(home.try_open().await.is_err());
}

#[tokio::test]
async fn a_key_that_joins_and_leaves_in_one_batch_signs_that_one_checkpoint() {
    let (home, second) = (Home::new(), Second::new());
    let journal = open(&home, both(&home, &second)).await.unwrap();
    let new = second.key();
    let committed = journal.commit(vec![add(&new), retire(&new)]).await.unwrap();
    assert!(signers(&committed.checkpoint).contains(&new.key_id()));
    assert_eq!(journal.verifier_keys().len(), 1);
    check(&journal).await;
}

#[tokio::test]
async fn what_no_key_may_do_is_refused_and_hurts_nobody() {
    let (home, second, third) = (Home::new(), Second::new(), Second::new());
    let journal = open(&home, both(&home, &second)).await.unwrap();
    let (old, new) = (home.signer().verifier_key(ORIGIN).unwrap(), second.key());
    let commit = async |changes| journal.commit(changes).await;
    assert_refused(&commit(vec![add(&old)]).await, "does not sign this log yet");
    assert_refused(&commit(vec![retire(&old)]).await, "not the only one");
    assert_refused(&commit(vec![retire(&new)]).await, "a key in force");
    // Not in the configuration, so that it could not sign.
    assert_refused(&commit(vec![add(&third.key())]).await, "[[audit.key]]");
    let foreign = second.signer().verifier_key("another.example/log").unwrap();
    assert_refused(&commit(vec![add(&foreign)]).await, "this log's name");
    let broken = Change::LogKeyAdded {
        key: "no key".to_owned(),
        operator: OPERATOR.to_owned(),
    };
    assert_refused(&commit(vec![broken]).await, "NAME+KEYID+KEY");
    // All or nothing, also of a request that would take the last key away.
    assert_refused(
        &commit(vec![add(&new), retire(&old), retire(&new)]).await,
        "not the only one",
    );
    assert_eq!(check(&journal).await, 0);
    commit(vec![add(&new)]).await.unwrap();
    assert_refused(&commit(vec![add(&third.key())]).await, "at most two");
    commit(vec![retire(&old)]).await.unwrap();
    assert_refused(&commit(vec![add(&old)]).await, "never retired");
    assert_eq!(check(&journal).await, 2);
}

/// A journal from before the keys were written down.
#[tokio::test]
async fn an_older_journal_takes_the_key_that_began_it() {
    let (home, second) = (Home::new(), Second::new());
    let journal = home.open().await;
    with_order(&journal, 9).await;
    journal.close().await.unwrap();
    home.tamper("DELETE FROM log_key").await;
    let refused = open(&home, second.signer().into()).await;
    assert!(matches!(refused, Err(JournalError::Audit(_))));
    let journal = open(&home, both(&home, &second)).await.unwrap();
    assert_eq!(
        *journal.verifier_keys(),
        [home.signer().verifier_key(ORIGIN).unwrap()]
    );
    check(&journal).await;
}

#[tokio::test]
async fn a_set_of_keys_is_one_or_two_different_ones() {
    let (home, second, third) = (Home::new(), Second::new(), Second::new());
    for bad in [
        vec![],
        vec![home.signer(), home.signer()],
        vec![home.signer(), second.signer(), third.signer()],
    ] {
        assert!(CheckpointSigners::new(bad).is_err());
    }
}

#[tokio::test]
async fn any_known_key_is_enough_for_a_reader_but_a_wrong_signature_never_is() {
    let (home, second, stranger) = (Home::new(), Second::new(), Second::new());
    let journal = open(&home, both(&home, &second)).await.unwrap();
    let (old, new) = (home.signer().verifier_key(ORIGIN).unwrap(), second.key());
    let note = journal.commit(vec![add(&new)]).await.unwrap().checkpoint;
    for known in [
        vec![old.clone()],
        vec![new.clone()],
        vec![stranger.key(), new.clone()],
        vec![old.clone(), new.clone()],
    ] {
        assert_eq!(Checkpoint::verify_any(&note, &known).unwrap().size, 1);
    }
    assert!(Checkpoint::verify_any(&note, &[stranger.key()]).is_err());
    assert!(Checkpoint::verify_any(&note, &[]).is_err());
    assert!(Checkpoint::verify_all(&note, &[old.clone(), stranger.key()]).is_err());
    assert!(Checkpoint::verify_all(&note, &[]).is_err());

    // The first line's signature is now by nobody: who knows its key must not be content with the second line.
    let mut broken = SignedNote::parse(&note).unwrap();
    broken.signatures[0].signature[7] ^= 1;
    let broken = broken.to_string();
    assert!(Checkpoint::verify_any(&broken, &[old.clone(), new.clone()]).is_err());
    assert!(Checkpoint::verify_any(&broken, &[old]).is_err());
    assert!(Checkpoint::verify_any(&broken, &[new]).is_ok());
}

/// After an outage, and after a start, any open run may have been left: the log says so with one leaf, and units may be taken over.
#[tokio::test]
async fn resuming_lets_go_of_units_but_not_of_runs_that_somebody_goes_on_with() {
    let home = Home::new();
    let journal = home.open().await;
    let (_, order) = with_order(&journal, 9).await;
    let (left, started) = start(order, None);
    let (kept, also_started) = start(order, None);
    let changes = vec![
        started,
        done(left, device(1), Step::Identified),
        also_started,
        done(kept, device(2), Step::Identified),
        intend(kept, device(2), Step::Keyed),
    ];
    journal.commit(changes).await.unwrap();
    let busy = run(&journal, order, 1, RunResult::Passed).await;
    assert!(matches!(busy, Err(JournalError::UnitBusy { .. })));
    journal
        .commit(vec![Change::SigningResumed { away_since_ms: 1 }])
        .await
        .unwrap();
    run(&journal, order, 1, RunResult::Passed).await.unwrap();
    let ended = vec![
        done(kept, device(2), Step::Keyed),
        end(kept, Some(device(2)), RunResult::Passed),
    ];
    journal.commit(ended).await.unwrap();
    assert_eq!(unit(&journal, 2).await.last_run, Some(kept));
    let open = journal.recover().await.unwrap();
    assert_eq!(open.len(), 1);
    assert_eq!(open[0].run.id, left);
    // Nobody ends a run under the hands of who conducts it.
    let in_hand = journal.conduct(left);
    assert_eq!(journal.recover().await.unwrap(), []);
    drop(in_hand);
    assert_eq!(journal.recover().await.unwrap().len(), 1);
    check(&journal).await;
}
