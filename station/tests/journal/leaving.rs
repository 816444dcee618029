//! What leaves the building, and what a revoked pin does to a unit that had passed.

use keyline_station::journal::{Journal, JournalError, OrderCounts};
use keyline_station::record::{Change, OrderId, RunResult, Step, UnitState};

use crate::fixture::{
    Home, OPERATOR, add_order, check, device, done, end, failure, order, run, start, unit,
    with_order,
};

fn ship(order: OrderId, units: &[u32]) -> Change {
    Change::OrderShipped {
        order,
        device_ids: units.iter().map(|n| device(*n)).collect(),
        witnessed_size: 1,
        operator: OPERATOR.to_owned(),
    }
}

fn revoke(n: u32) -> Change {
    Change::PinRevoked {
        device_id: device(n),
        fingerprint: [9; 32],
        operator: OPERATOR.to_owned(),
        reason: "it was stolen".to_owned(),
    }
}

fn rework(n: u32) -> Vec<Change> {
    let released = Change::UnitReleased {
        device_id: device(n),
        operator: OPERATOR.to_owned(),
        reason: "rework".to_owned(),
    };
    vec![revoke(n), released]
}

async fn counts(journal: &Journal, order: OrderId) -> OrderCounts {
    journal.order_counts(order).await.unwrap().unwrap()
}

/// The words with which a shipment is refused.
async fn refused(journal: &Journal, order: OrderId, units: &[u32]) -> String {
    let refused = journal.commit(vec![ship(order, units)]).await;
    let error = refused.unwrap_err();
    assert!(error.is_refusal(), "{error}");
    error.to_string()
}

#[tokio::test]
async fn a_unit_whose_pin_was_revoked_has_not_passed_any_more() {
    let home = Home::new();
    let journal = home.open().await;
    let (_, order) = with_order(&journal, 5).await;
    let results = [RunResult::Passed, RunResult::Weak, RunResult::Held];
    for (n, result) in (1..).zip(results) {
        run(&journal, order, n, result).await.unwrap();
    }
    for n in 1..=3 {
        journal.commit(rework(n)).await.unwrap();
        assert_eq!(unit(&journal, n).await.state, UnitState::Failed);
        let words = refused(&journal, order, &[n]).await;
        assert!(words.contains("expected a unit that has passed"), "{words}");
    }
    let counts_now = counts(&journal, order).await;
    assert_eq!((counts_now.finished(), counts_now.failed), (0, 3));
    // Once more changes nothing, and so does one of a unit that this journal never saw.
    journal.commit(vec![revoke(1), revoke(77)]).await.unwrap();
    assert_eq!(counts(&journal, order).await.failed, 3);
    check(&journal).await;
}

#[tokio::test]
async fn a_unit_that_is_set_apart_stays_so_when_its_pin_is_revoked() {
    let home = Home::new();
    let journal = home.open().await;
    let (_, order) = with_order(&journal, 5).await;
    run(&journal, order, 1, RunResult::Passed).await.unwrap();
    let quarantined = Change::UnitQuarantined {
        device_id: device(1),
        run: None,
        failure: failure(keyline_station::record::FailureCode::PossessionFailed),
    };
    journal.commit(vec![quarantined, revoke(1)]).await.unwrap();
    assert_eq!(unit(&journal, 1).await.state, UnitState::Quarantined);
}

#[tokio::test]
async fn a_pin_is_not_revoked_while_a_run_is_on_its_unit() {
    let home = Home::new();
    let journal = home.open().await;
    let (_, order) = with_order(&journal, 5).await;
    let (run_id, started) = start(order, None);
    let begun = vec![started, done(run_id, device(1), Step::Identified)];
    journal.commit(begun).await.unwrap();
    let busy = journal.commit(vec![revoke(1)]).await;
    assert!(
        matches!(busy, Err(JournalError::UnitBusy { .. })),
        "{busy:?}"
    );
    let ended = end(run_id, Some(device(1)), RunResult::Passed);
    journal.commit(vec![ended]).await.unwrap();
    journal.commit(vec![revoke(1)]).await.unwrap();
    assert_eq!(unit(&journal, 1).await.state, UnitState::Failed);
}

/// Its old order has counted it as failed since the revocation, whatever its run there ended with.
#[tokio::test]
async fn a_reworked_unit_that_returns_to_its_first_order_is_counted_there_once() {
    let home = Home::new();
    let journal = home.open().await;
    let (product, first) = with_order(&journal, 1).await;
    let second = order("WO-2", product, 5);
    let second_id = second.id;
    journal.commit(vec![add_order(second)]).await.unwrap();
    run(&journal, first, 1, RunResult::Passed).await.unwrap();
    journal.commit(rework(1)).await.unwrap();
    run(&journal, second_id, 1, RunResult::Passed)
        .await
        .unwrap();
    run(&journal, first, 2, RunResult::Passed).await.unwrap();
    let again = run(&journal, first, 1, RunResult::Passed).await;
    assert!(
        matches!(again, Err(JournalError::OrderFilled { .. })),
        "{again:?}"
    );
    let first = counts(&journal, first).await;
    assert_eq!((first.passed, first.failed), (1, 1));
    check(&journal).await;
}

#[tokio::test]
async fn a_unit_leaves_once_for_the_order_that_it_passed_in() {
    let home = Home::new();
    let journal = home.open().await;
    let (product, first) = with_order(&journal, 5).await;
    let second = order("WO-2", product, 5);
    let second_id = second.id;
    journal.commit(vec![add_order(second)]).await.unwrap();
    run(&journal, first, 1, RunResult::Passed).await.unwrap();
    run(&journal, first, 2, RunResult::Failed).await.unwrap();
    run(&journal, first, 3, RunResult::Held).await.unwrap();
    run(&journal, first, 4, RunResult::Weak).await.unwrap();

    let unknown = journal.commit(vec![ship(first, &[9])]).await;
    assert!(
        matches!(unknown, Err(JournalError::NoUnit(_))),
        "{unknown:?}"
    );
    let nowhere = journal.commit(vec![ship(OrderId::generate(), &[1])]).await;
    assert!(
        matches!(nowhere, Err(JournalError::NoOrder(_))),
        "{nowhere:?}"
    );
    for (order, units, words) in [
        (
            second_id,
            &[1][..],
            "a unit that was last built for this order",
        ),
        (first, &[2], "expected a unit that has passed"),
        (first, &[1, 3], "is held"),
        (first, &[1, 1], "a unit that has not left before"),
    ] {
        let told = refused(&journal, order, units).await;
        assert!(told.contains(words), "{told}");
    }
    journal.commit(vec![ship(first, &[1, 4])]).await.unwrap();
    for units in [&[1][..], &[4]] {
        let told = refused(&journal, first, units).await;
        assert!(told.contains("a unit that has not left before"), "{told}");
    }
    // What was reworked for another order leaves for that one.
    journal.commit(rework(1)).await.unwrap();
    run(&journal, second_id, 1, RunResult::Passed)
        .await
        .unwrap();
    journal.commit(vec![ship(second_id, &[1])]).await.unwrap();
    check(&journal).await;
}
