//! The registry as a witness of logs: what it enters, what it refuses and what it remembers of that.

use futures_util::FutureExt as _;
use keyline_station::audit::{Checkpoint, CheckpointSigner, FileSigner, Frontier, leaf_hash};
use keyline_station::record::StationId;
use keyline_station::registry::{LogAlarmKind, LogCheckpoint, Registry, RegistryError};

use crate::fixture::{Key, Place, both_engines, claim};

both_engines! {
    checkpoints_are_entered_one_on_the_other_and_the_latest_may_come_again,
    a_rollback_a_fork_and_a_second_station_are_refused_and_remembered,
    a_note_that_says_something_else_is_refused,
    of_two_that_stand_on_the_same_checkpoint_one_is_entered,
    checkpoints_and_claims_share_a_batch_and_don_t_hurt_each_other,
}

const ORIGIN: &str = "factory.example/station-7";

/// A log, and the key that signs it.
pub(crate) struct Log {
    pub(crate) station: StationId,
    origin: String,
    signer: CheckpointSigner,
    frontier: Frontier,
}

impl Log {
    pub(crate) fn new(origin: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let signer = FileSigner::generate(&directory.path().join("key.pem")).unwrap();
        Self {
            station: StationId::generate(),
            origin: origin.to_owned(),
            signer: CheckpointSigner::File(signer),
            frontier: Frontier::default(),
        }
    }

    pub(crate) fn grow(&mut self, leaf: &str) -> LogCheckpoint {
        self.frontier.append(leaf_hash(leaf.as_bytes()));
        self.checkpoint()
    }

    fn checkpoint(&self) -> LogCheckpoint {
        let checkpoint = Checkpoint {
            origin: self.origin.clone(),
            size: self.frontier.size(),
            root: self.frontier.root(),
        };
        let key = self.signer.verifier_key(&self.origin).unwrap();
        LogCheckpoint {
            origin: self.origin.clone(),
            station: self.station,
            size: checkpoint.size,
            root: checkpoint.root,
            note: checkpoint
                .sign(&key, &self.signer)
                .now_or_never()
                .unwrap()
                .unwrap()
                .to_string(),
        }
    }
}

async fn sizes(registry: &Registry, origin: &str) -> Vec<(u64, u64)> {
    let entered = registry.checkpoints(origin, 0, 100).await.unwrap();
    entered
        .iter()
        .map(|entered| (entered.previous_size, entered.size))
        .collect()
}

async fn checkpoints_are_entered_one_on_the_other_and_the_latest_may_come_again(place: Place) {
    let registry = place.open().await;
    let mut log = Log::new(ORIGIN);
    assert_eq!(registry.latest_checkpoint(ORIGIN).await.unwrap(), None);
    let mut last = log.grow("0");
    assert!(
        !registry
            .enter_checkpoint(last.clone())
            .await
            .unwrap()
            .already
    );
    for n in 1..5 {
        log.grow("between");
        last = log.grow(&n.to_string());
        assert!(
            !registry
                .enter_checkpoint(last.clone())
                .await
                .unwrap()
                .already
        );
        assert!(
            registry
                .enter_checkpoint(last.clone())
                .await
                .unwrap()
                .already
        );
    }
    let expected = vec![(0, 1), (1, 3), (3, 5), (5, 7), (7, 9)];
    assert_eq!(sizes(&registry, ORIGIN).await, expected);
    let latest = registry.latest_checkpoint(ORIGIN).await.unwrap().unwrap();
    assert_eq!((latest.root, latest.note), (last.root, last.note));
    let page = registry.checkpoints(ORIGIN, 3, 2).await.unwrap();
    assert_eq!(page.iter().map(|row| row.size).collect::<Vec<_>>(), [5, 7]);
    assert!(registry.log_alarms(ORIGIN, 10).await.unwrap().is_empty());
    assert_eq!(
        registry.station_of_log(ORIGIN).await.unwrap(),
        Some(log.station)
    );
    assert_eq!(registry.latest_checkpoint("another").await.unwrap(), None);
}

async fn a_rollback_a_fork_and_a_second_station_are_refused_and_remembered(place: Place) {
    let registry = place.open().await;
    let mut log = Log::new(ORIGIN);
    let old = log.grow("0");
    registry.enter_checkpoint(old.clone()).await.unwrap();
    registry.enter_checkpoint(log.grow("1")).await.unwrap();
    let latest = log.grow("2");
    registry.enter_checkpoint(latest.clone()).await.unwrap();

    let refused = registry.enter_checkpoint(old).await.unwrap_err();
    assert!(
        matches!(
            refused,
            RegistryError::LogRolledBack {
                known: 3,
                got: 1,
                ..
            }
        ),
        "{refused}"
    );
    assert!(refused.to_string().contains("old copy"), "{refused}");

    // The same key signs another past: found at the latest size, and at an earlier one that was entered.
    for size in [2, 3] {
        let mut other = Log::new(ORIGIN);
        (other.station, other.signer) = (log.station, log.signer);
        while other.frontier.size() < size {
            other.grow("another past");
        }
        let refused = registry.enter_checkpoint(other.checkpoint()).await;
        let refused = refused.unwrap_err();
        assert!(
            matches!(refused, RegistryError::LogForked { size: got, .. } if got == size),
            "{refused}"
        );
        assert!(
            refused
                .to_string()
                .contains(&hex::encode(other.frontier.root()))
        );
        log.signer = other.signer;
    }

    // Larger and without contradiction, but of another station.
    let mut second = latest;
    second.station = StationId::generate();
    let refused = registry.enter_checkpoint(second.clone()).await.unwrap_err();
    assert!(
        matches!(&refused, RegistryError::OriginOfAnother { station, .. } if *station == log.station),
        "{refused}"
    );

    let alarms = registry.log_alarms(ORIGIN, 10).await.unwrap();
    // Alarms of one millisecond are in no order.
    let mut kinds: Vec<_> = alarms.iter().map(|alarm| alarm.kind.name()).collect();
    kinds.sort_unstable();
    let mut expected = [
        LogAlarmKind::LogRolledBack,
        LogAlarmKind::LogForked,
        LogAlarmKind::LogForked,
        LogAlarmKind::OriginOfAnother,
    ]
    .map(LogAlarmKind::name);
    expected.sort_unstable();
    assert_eq!(kinds, expected);
    let evidence = alarms.iter().any(|alarm| alarm.note == second.note);
    assert!(evidence, "the refused note is kept");
    assert!(
        registry.alarms(10).await.unwrap().is_empty(),
        "no unit's alarm"
    );
    assert_eq!(sizes(&registry, ORIGIN).await, [(0, 1), (1, 2), (2, 3)]);
}

async fn a_note_that_says_something_else_is_refused(place: Place) {
    let registry = place.open().await;
    let mut log = Log::new(ORIGIN);
    let empty = log.checkpoint();
    let good = log.grow("0");
    let changed = |change: fn(&mut LogCheckpoint)| {
        let mut shown = good.clone();
        change(&mut shown);
        shown
    };
    for shown in [
        empty,
        changed(|shown| shown.size += 1),
        changed(|shown| shown.root[0] ^= 1),
        changed(|shown| shown.origin.push('x')),
        changed(|shown| shown.note.clear()),
        changed(|shown| shown.note.push_str(&"x".repeat(70_000))),
    ] {
        let refused = registry.enter_checkpoint(shown).await.unwrap_err();
        assert!(
            matches!(refused, RegistryError::BadCheckpoint { .. }),
            "{refused}"
        );
    }
    assert!(sizes(&registry, ORIGIN).await.is_empty());
}

async fn of_two_that_stand_on_the_same_checkpoint_one_is_entered(place: Place) {
    let handles = [place.open().await, place.open().await];
    for round in 0..20 {
        let mut log = Log::new(&format!("factory.example/{round}"));
        let first = log.grow("0");
        handles[0].enter_checkpoint(first).await.unwrap();
        // Two copies of one home: the same past, the same key, different futures of the same and of different lengths.
        let mut tasks = tokio::task::JoinSet::new();
        for (n, handle) in handles.iter().enumerate() {
            let mut copy = Log::new(&log.origin);
            copy.station = log.station;
            copy.frontier = log.frontier.clone();
            for _ in 0..=(n * (round % 2)) {
                copy.grow(&format!("future {n}"));
            }
            let (handle, shown) = (handle.clone(), copy.checkpoint());
            tasks.spawn(async move { (shown.size, handle.enter_checkpoint(shown).await) });
        }
        let outcomes = tasks.join_all().await;
        let entered = sizes(&handles[0], &log.origin).await;
        let mut previous = 0;
        for (stands_on, size) in &entered {
            assert_eq!(*stands_on, previous, "one chain: {entered:?}");
            previous = *size;
        }
        let accepted = outcomes.iter().filter(|(_, outcome)| outcome.is_ok());
        let accepted = accepted.count();
        assert_eq!(entered.len(), 1 + accepted, "{outcomes:?}");
        if round % 2 == 0 {
            assert_eq!(accepted, 1, "the same size: {outcomes:?}");
        }
        for (_, outcome) in outcomes {
            if let Err(error) = outcome {
                assert!(
                    matches!(
                        error,
                        RegistryError::LogForked { .. } | RegistryError::LogRolledBack { .. }
                    ),
                    "{error}"
                );
            }
        }
    }
}

async fn checkpoints_and_claims_share_a_batch_and_don_t_hurt_each_other(place: Place) {
    let registry = place.open().await;
    let mut log = Log::new(ORIGIN);
    let old = log.grow("0");
    registry.enter_checkpoint(log.grow("1")).await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..40 {
        let (registry, old) = (registry.clone(), old.clone());
        tasks.spawn(async move {
            if n % 2 == 0 {
                registry.claim(claim(n, &Key::p256())).await.is_ok()
            } else {
                registry.enter_checkpoint(old).await.is_err()
            }
        });
    }
    assert!(tasks.join_all().await.into_iter().all(|right| right));
    assert_eq!(registry.log_alarms(ORIGIN, 100).await.unwrap().len(), 20);
}
