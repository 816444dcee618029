//! Units: quarantine, failures, serials, locks, and who holds them.

use keyline_station::journal::{JournalError, UnitFilter};
use keyline_station::record::{Change, FailureCode, RunResult, Step, StepPhase, UnitState};

use crate::fixture::{
    Home, OPERATOR, add_order, add_product, check, device, done, end, failure, intend, order,
    product, run, start, unit, with_order,
};

fn quarantine(n: u32) -> Change {
    Change::UnitQuarantined {
        device_id: device(n),
        run: None,
        failure: failure(FailureCode::PossessionFailed),
    }
}

fn release(n: u32) -> Change {
    Change::UnitReleased {
        device_id: device(n),
        operator: OPERATOR.to_owned(),
        reason: "inspected".to_owned(),
    }
}

fn scrap(n: u32) -> Change {
    Change::UnitScrapped {
        device_id: device(n),
        operator: OPERATOR.to_owned(),
        reason: "burnt".to_owned(),
    }
}

#[tokio::test]
async fn a_quarantined_unit_goes_on_only_after_a_release() {
    let home = Home::new();
    let journal = home.open().await;
    let (_, order) = with_order(&journal, 5).await;
    run(&journal, order, 1, RunResult::Failed).await.unwrap();
    journal.commit(vec![quarantine(1)]).await.unwrap();

    // It may be looked at, but nothing is done to it, and it does not pass.
    let (run_id, started) = start(order, None);
    let look = vec![started, done(run_id, device(1), Step::Identified)];
    journal.commit(look).await.unwrap();
    for refused in [
        intend(run_id, device(1), Step::Keyed),
        done(run_id, device(1), Step::Injected),
        end(run_id, Some(device(1)), RunResult::Passed),
    ] {
        let error = journal.commit(vec![refused]).await.unwrap_err();
        assert_eq!(
            error.failure_code(),
            Some(FailureCode::Quarantined),
            "{error}"
        );
    }
    let ended = end(run_id, Some(device(1)), RunResult::Failed);
    journal.commit(vec![ended]).await.unwrap();
    assert_eq!(unit(&journal, 1).await.state, UnitState::Quarantined);

    journal.commit(vec![release(1)]).await.unwrap();
    assert_eq!(unit(&journal, 1).await.consecutive_failures, 0);
    run(&journal, order, 1, RunResult::Passed).await.unwrap();
    assert_eq!(unit(&journal, 1).await.state, UnitState::Passed);
}

#[tokio::test]
async fn a_scrapped_unit_never_comes_back() {
    let home = Home::new();
    let journal = home.open().await;
    let (_, order) = with_order(&journal, 5).await;
    let unknown = journal.commit(vec![scrap(1)]).await;
    assert!(matches!(unknown, Err(JournalError::NoUnit(_))));
    run(&journal, order, 1, RunResult::Passed).await.unwrap();
    journal.commit(vec![scrap(1)]).await.unwrap();
    for refused in [release(1), scrap(1)] {
        let refused = journal.commit(vec![refused]).await;
        assert!(matches!(refused, Err(JournalError::ScrappedForGood(_))));
    }
    journal.commit(vec![quarantine(1)]).await.unwrap();
    assert_eq!(unit(&journal, 1).await.state, UnitState::Scrapped);
    let error = run(&journal, order, 1, RunResult::Passed)
        .await
        .unwrap_err();
    assert_eq!(error.failure_code(), Some(FailureCode::Scrapped));
    let kinds: Vec<_> = journal.unit_events(device(1)).await.unwrap();
    let kinds: Vec<_> = kinds.iter().map(|event| event.kind.as_str()).collect();
    assert_eq!(kinds, ["unit-scrapped", "unit-quarantined"]);
}

#[tokio::test]
async fn failures_in_a_row_are_counted_but_for_the_stations_own() {
    let home = Home::new();
    let journal = home.open().await;
    let (_, order) = with_order(&journal, 5).await;
    for expected in 1..=3 {
        run(&journal, order, 1, RunResult::Failed).await.unwrap();
        assert_eq!(unit(&journal, 1).await.consecutive_failures, expected);
    }
    for code in [FailureCode::RegistryUnreachable, FailureCode::Stopped] {
        let (run_id, started) = start(order, None);
        let ended = Change::RunEnded {
            run: run_id,
            device_id: Some(device(1)),
            result: RunResult::Failed,
            failure: Some(failure(code)),
            elapsed_ms: 1,
        };
        journal.commit(vec![started, ended]).await.unwrap();
    }
    assert_eq!(unit(&journal, 1).await.consecutive_failures, 3);
    run(&journal, order, 1, RunResult::Passed).await.unwrap();
    assert_eq!(unit(&journal, 1).await.consecutive_failures, 0);
}

#[tokio::test]
async fn a_serial_belongs_to_one_living_unit_of_a_product() {
    let home = Home::new();
    let journal = home.open().await;
    let (product_id, order_id) = with_order(&journal, 9).await;
    let on_unit = |order, serial, n| {
        let (run_id, started) = start(order, Some(serial));
        (
            run_id,
            vec![started, done(run_id, device(n), Step::Identified)],
        )
    };
    let finish = |run_id, n| end(run_id, Some(device(n)), RunResult::Passed);
    let (first, changes) = on_unit(order_id, "A1", 1);
    journal.commit(changes).await.unwrap();
    // While the first run goes on, and after it.
    for round in 0..2 {
        let error = journal
            .commit(on_unit(order_id, "A1", 2).1)
            .await
            .unwrap_err();
        assert_eq!(
            error.failure_code(),
            Some(FailureCode::SerialMismatch),
            "{round}: {error}"
        );
        if round == 0 {
            journal.commit(vec![finish(first, 1)]).await.unwrap();
        }
    }
    let relabelled = journal.commit(on_unit(order_id, "A2", 1).1).await;
    assert!(matches!(
        relabelled,
        Err(JournalError::SerialMismatch { .. })
    ));
    let found = journal
        .unit_by_serial(product_id, "A1")
        .await
        .unwrap()
        .unwrap();
    assert_eq!(found.device_id, device(1));

    // Another product has serials of its own; a scrapped unit's is free.
    let other = product("actor");
    let other_order = order("WO-2", other.id, 9);
    let other_order_id = other_order.id;
    journal
        .commit(vec![add_product(other), add_order(other_order)])
        .await
        .unwrap();
    journal
        .commit(on_unit(other_order_id, "A1", 3).1)
        .await
        .unwrap();
    assert_eq!(journal.units_by_serial("A1").await.unwrap().len(), 2);
    let mut exchange = vec![scrap(1)];
    exchange.extend(on_unit(order_id, "A1", 4).1);
    journal.commit(exchange).await.unwrap();
    let found = journal
        .unit_by_serial(product_id, "A1")
        .await
        .unwrap()
        .unwrap();
    assert_eq!(found.device_id, device(4));
    check(&journal).await;
}

#[tokio::test]
async fn two_units_with_one_serial_in_one_batch_do_not_stop_the_journal() {
    let home = Home::new();
    let journal = home.open().await;
    let (_, order) = with_order(&journal, 200).await;
    let mut commits = tokio::task::JoinSet::new();
    for n in 0..100 {
        let journal = journal.clone();
        commits.spawn(async move {
            let (run_id, started) = start(order, Some("TWIN"));
            let bound = done(run_id, device(n), Step::Identified);
            journal.commit(vec![started, bound]).await
        });
    }
    let outcomes = commits.join_all().await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    for error in outcomes.into_iter().filter_map(Result::err) {
        assert_eq!(
            error.failure_code(),
            Some(FailureCode::SerialMismatch),
            "{error}"
        );
    }
    run(&journal, order, 1_000, RunResult::Passed)
        .await
        .unwrap();
    assert_eq!(check(&journal).await, 2 + 2 + 5);
}

#[tokio::test]
async fn a_unit_is_in_one_run_at_a_time() {
    let home = Home::new();
    let journal = home.open().await;
    let (_, order) = with_order(&journal, 9).await;
    let (first, started) = start(order, None);
    journal
        .commit(vec![started, done(first, device(1), Step::Identified)])
        .await
        .unwrap();
    let other_unit = journal
        .commit(vec![done(first, device(2), Step::Keyed)])
        .await;
    assert_eq!(
        other_unit.unwrap_err().failure_code(),
        Some(FailureCode::DeviceIdMismatch)
    );
    let (second, started) = start(order, None);
    journal.commit(vec![started]).await.unwrap();
    let taken = journal
        .commit(vec![done(second, device(1), Step::Identified)])
        .await;
    assert_eq!(
        taken.unwrap_err().failure_code(),
        Some(FailureCode::UnitBusy)
    );
    // The second run fails for it; that says nothing of the unit.
    journal
        .commit(vec![end(second, Some(device(1)), RunResult::Failed)])
        .await
        .unwrap();
    let held = unit(&journal, 1).await;
    assert_eq!(
        (held.state, held.last_run),
        (UnitState::InProgress, Some(first))
    );
    journal
        .commit(vec![end(first, Some(device(1)), RunResult::Passed)])
        .await
        .unwrap();
    assert_eq!(unit(&journal, 1).await.state, UnitState::Passed);
    let last = journal.last_run_of(device(1)).await.unwrap().unwrap();
    assert_eq!((last.id, last.result), (first, Some(RunResult::Passed)));
}

#[tokio::test]
async fn the_intent_to_lock_is_found_by_unit_and_serial() {
    let home = Home::new();
    let journal = home.open().await;
    let (product, order) = with_order(&journal, 9).await;
    let (run_id, started) = start(order, Some("L1"));
    let bound = done(run_id, device(1), Step::Identified);
    journal.commit(vec![started, bound]).await.unwrap();
    assert_eq!(journal.lock_intent_of(device(1)).await.unwrap(), None);
    journal
        .commit(vec![intend(run_id, device(1), Step::Locked)])
        .await
        .unwrap();
    drop(journal);
    let journal = home.open().await;
    let found = journal
        .unit_by_serial(product, "L1")
        .await
        .unwrap()
        .unwrap();
    assert_eq!(found.lock_intended, Some(run_id));
    let intent = journal
        .lock_intent_of(found.device_id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (intent.step, intent.phase),
        (Step::Locked, StepPhase::Intended)
    );
}

#[tokio::test]
async fn units_are_listed_page_by_page() {
    let home = Home::new();
    let journal = home.open().await;
    let (product, first) = with_order(&journal, 50).await;
    let second = order("WO-2", product, 50);
    journal
        .commit(vec![add_order(second.clone())])
        .await
        .unwrap();
    for n in 0..20 {
        let order = if n % 2 == 0 { first } else { second.id };
        let result = if n < 5 {
            RunResult::Failed
        } else {
            RunResult::Passed
        };
        run(&journal, order, n, result).await.unwrap();
    }
    let mut filter = UnitFilter::default();
    let mut seen = Vec::new();
    loop {
        let page = journal.units(&filter, 7).await.unwrap();
        assert!(page.len() <= 7);
        let Some(last) = page.last() else { break };
        filter.after = Some(last.device_id);
        seen.extend(page.iter().map(|unit| unit.device_id));
    }
    assert_eq!(seen, (0..20).map(device).collect::<Vec<_>>());
    let count = async |order, state| {
        let filter = UnitFilter {
            order,
            state,
            after: None,
        };
        journal.units(&filter, 100).await.unwrap().len()
    };
    assert_eq!(count(Some(first), None).await, 10);
    assert_eq!(count(None, Some(UnitState::Failed)).await, 5);
    assert_eq!(count(None, Some(UnitState::Passed)).await, 15);
    assert_eq!(count(Some(second.id), Some(UnitState::Failed)).await, 2);
    assert_eq!(count(None, Some(UnitState::Scrapped)).await, 0);
}

#[tokio::test]
async fn alarms_say_which_unit_and_key() {
    let home = Home::new();
    let journal = home.open().await;
    let (_, order) = with_order(&journal, 9).await;
    let run_id = run(&journal, order, 1, RunResult::Failed).await.unwrap();
    let alarm = Change::CloneAlarm {
        run: run_id,
        device_id: device(1),
        fingerprint: [4; 32],
        other_device_id: Some(device(2)),
        other_fingerprint: None,
    };
    journal
        .commit(vec![alarm.clone(), quarantine(1), release(1)])
        .await
        .unwrap();
    let alarms = journal.alarms(10).await.unwrap();
    let kinds: Vec<_> = alarms.iter().map(|alarm| alarm.kind.as_str()).collect();
    assert_eq!(kinds, ["unit-quarantined", "clone-alarm"]);
    assert_eq!(
        (alarms[1].device_id, alarms[1].run),
        (device(1), Some(run_id))
    );
    assert_eq!(alarms[1].change, alarm);
}
