//! Products, orders, operators, idempotency keys.

use keyline_station::journal::{Idempotency, JournalError, Operator, OrderCounts};
use keyline_station::record::{Change, OrderState, RunResult};

use crate::fixture::{
    Home, OPERATOR, add_order, add_product, check, device, done, end, order, product, run, start,
    with_order,
};

#[tokio::test]
async fn names_are_unique_while_they_live() {
    let home = Home::new();
    let journal = home.open().await;
    let first = product("sensor");
    journal
        .commit(vec![add_product(first.clone())])
        .await
        .unwrap();
    let again = journal.commit(vec![add_product(product("sensor"))]).await;
    assert!(matches!(
        again,
        Err(JournalError::NameTaken {
            what: "product",
            ..
        })
    ));
    let same_id = journal.commit(vec![add_product(first.clone())]).await;
    assert!(matches!(
        same_id,
        Err(JournalError::IdTaken {
            what: "product",
            ..
        })
    ));

    let retire = Change::ProductRetired {
        product: first.id,
        operator: OPERATOR.to_owned(),
    };
    let second = product("sensor");
    journal
        .commit(vec![retire.clone(), add_product(second.clone())])
        .await
        .unwrap();
    let found = journal.product_by_name("sensor").await.unwrap();
    assert_eq!(found, Some(second.clone()));
    let retired = journal.product(first.id).await.unwrap().unwrap();
    assert!(retired.retired_at_ms.is_some());
    assert_eq!(journal.products().await.unwrap().len(), 2);
    let twice = journal.commit(vec![retire]).await;
    assert!(matches!(twice, Err(JournalError::NoLiveProduct(id)) if id == first.id));

    let of_retired = journal
        .commit(vec![add_order(order("WO-1", first.id, 1))])
        .await;
    assert!(matches!(of_retired, Err(JournalError::NoLiveProduct(_))));
    let of_none = journal
        .commit(vec![add_order(order("WO-1", second.id, 0))])
        .await;
    assert!(matches!(of_none, Err(JournalError::BadValue { .. })));
    journal
        .commit(vec![add_order(order("WO-1", second.id, 1))])
        .await
        .unwrap();
    let again = journal
        .commit(vec![add_order(order("WO-1", second.id, 1))])
        .await;
    assert!(matches!(
        again,
        Err(JournalError::NameTaken { what: "order", .. })
    ));
    assert_eq!(check(&journal).await, 4);
}

#[tokio::test]
async fn a_closed_order_takes_no_run() {
    let home = Home::new();
    let journal = home.open().await;
    let (_, order) = with_order(&journal, 5).await;
    let close = Change::OrderClosed {
        order,
        operator: OPERATOR.to_owned(),
    };
    journal.commit(vec![close.clone()]).await.unwrap();
    let stored = journal.order_by_name("WO-1").await.unwrap().unwrap();
    assert_eq!(stored.state, OrderState::Closed);
    for refused in [vec![start(order, None).1], vec![close]] {
        let refused = journal.commit(refused).await;
        assert!(matches!(refused, Err(JournalError::NoOpenOrder(id)) if id == order));
    }
}

#[tokio::test]
async fn an_order_counts_units_and_stops_at_its_quantity() {
    let home = Home::new();
    let journal = home.open().await;
    let (product, order_id) = with_order(&journal, 3).await;
    run(&journal, order_id, 1, RunResult::Failed).await.unwrap();
    run(&journal, order_id, 1, RunResult::Passed).await.unwrap();
    run(&journal, order_id, 1, RunResult::Passed).await.unwrap();
    run(&journal, order_id, 2, RunResult::Held).await.unwrap();
    run(&journal, order_id, 2, RunResult::Weak).await.unwrap();
    run(&journal, order_id, 3, RunResult::Failed).await.unwrap();
    let (unidentified, started) = start(order_id, None);
    journal
        .commit(vec![started, end(unidentified, None, RunResult::Failed)])
        .await
        .unwrap();
    let expected = OrderCounts {
        passed: 1,
        weak: 1,
        held: 0,
        failed: 1,
        failed_unidentified: 1,
    };
    assert_eq!(
        journal.order_counts(order_id).await.unwrap(),
        Some(expected)
    );

    run(&journal, order_id, 4, RunResult::Passed).await.unwrap();
    let beyond = run(&journal, order_id, 5, RunResult::Held).await;
    assert!(matches!(
        beyond,
        Err(JournalError::OrderFilled { quantity: 3, .. })
    ));
    assert!(journal.unit(device(5)).await.unwrap().is_none());
    // Whoever is among the finished units may come back.
    run(&journal, order_id, 4, RunResult::Passed).await.unwrap();

    // A unit that was in another order in between is still counted once.
    let other = order("WO-2", product, 9);
    journal
        .commit(vec![add_order(other.clone())])
        .await
        .unwrap();
    run(&journal, other.id, 4, RunResult::Passed).await.unwrap();
    run(&journal, order_id, 4, RunResult::Passed).await.unwrap();
    let counts = journal.order_counts(order_id).await.unwrap().unwrap();
    assert_eq!((counts.passed, counts.finished()), (2, 3));

    drop(journal);
    let journal = home.open().await;
    assert_eq!(journal.order_counts(order_id).await.unwrap(), Some(counts));
    let beyond = run(&journal, order_id, 6, RunResult::Passed).await;
    assert!(matches!(beyond, Err(JournalError::OrderFilled { .. })));
}

#[tokio::test]
async fn a_run_ends_once_and_with_a_reason() {
    let home = Home::new();
    let journal = home.open().await;
    let (_, order) = with_order(&journal, 3).await;
    let (run, started) = start(order, None);
    journal.commit(vec![started.clone()]).await.unwrap();
    let again = journal.commit(vec![started.clone()]).await;
    assert!(matches!(
        again,
        Err(JournalError::IdTaken { what: "run", .. })
    ));
    for bad in [
        end(run, None, RunResult::Passed),
        Change::RunEnded {
            run,
            device_id: None,
            result: RunResult::Failed,
            failure: None,
            elapsed_ms: 0,
        },
    ] {
        let refused = journal.commit(vec![bad]).await;
        assert!(matches!(refused, Err(JournalError::BadEnd { .. })));
    }
    journal
        .commit(vec![end(run, Some(device(1)), RunResult::Passed)])
        .await
        .unwrap();
    for late in [
        end(run, Some(device(1)), RunResult::Passed),
        done(run, device(1), keyline_station::record::Step::Keyed),
    ] {
        let refused = journal.commit(vec![late]).await;
        assert!(matches!(refused, Err(JournalError::NoOpenRun(id)) if id == run));
    }
    let reused = journal.commit(vec![started]).await;
    assert!(matches!(
        reused,
        Err(JournalError::IdTaken { what: "run", .. })
    ));
}

#[tokio::test]
async fn an_operators_name_and_token_are_not_in_the_log() {
    let home = Home::new();
    let journal = home.open().await;
    let operator = Operator {
        id: "c0ffee".to_owned(),
        name: "Marlene Dietrich".to_owned(),
        role: "supervisor".to_owned(),
        token_sha256: [0x5a; 32],
        added_at_ms: 3,
    };
    journal.add_operator(operator.clone()).await.unwrap();
    let same_name = Operator {
        id: "other".to_owned(),
        token_sha256: [1; 32],
        ..operator.clone()
    };
    let refused = journal.add_operator(same_name).await;
    assert!(matches!(
        refused,
        Err(JournalError::NameTaken {
            what: "operator",
            ..
        })
    ));
    let by_token = journal.operator_by_token([0x5a; 32]).await.unwrap();
    assert_eq!(by_token, Some(operator.clone()));
    assert_eq!(journal.operator_by_token([0x5b; 32]).await.unwrap(), None);
    let by_name = journal.operator_by_name("Marlene Dietrich").await.unwrap();
    assert_eq!(by_name, Some(operator.clone()));
    assert_eq!(journal.operators().await.unwrap(), [operator]);
    journal.close().await.unwrap();

    let entries = home.entries().await;
    assert_eq!(entries.len(), 1);
    assert!(entries[0].contains("c0ffee"));
    assert!(!entries[0].contains("Marlene") && !entries[0].contains("5a5a"));
}

#[tokio::test]
async fn an_idempotency_key_stands_for_one_request() {
    let home = Home::new();
    let journal = home.open().await;
    let digest = [1; 32];
    assert_eq!(
        journal.idempotency_begin("k", digest).await.unwrap(),
        Idempotency::New
    );
    assert_eq!(
        journal.idempotency_begin("k", [2; 32]).await.unwrap(),
        Idempotency::Different
    );
    // Interrupted before it finished: carry it out again.
    assert_eq!(
        journal.idempotency_begin("k", digest).await.unwrap(),
        Idempotency::New
    );
    journal
        .idempotency_finish("k", "{\"exit\":0}")
        .await
        .unwrap();
    journal
        .idempotency_finish("k", "{\"exit\":1}")
        .await
        .unwrap();
    journal.close().await.unwrap();
    let journal = home.open().await;
    let stored = Idempotency::Stored("{\"exit\":0}".to_owned());
    assert_eq!(
        journal.idempotency_begin("k", digest).await.unwrap(),
        stored
    );
    assert_eq!(
        journal.idempotency_begin("k", [2; 32]).await.unwrap(),
        Idempotency::Different
    );
    for bad in [String::new(), "k".repeat(257)] {
        let refused = journal.idempotency_begin(&bad, digest).await;
        assert!(matches!(refused, Err(JournalError::BadValue { .. })));
    }
    let never_begun = journal.idempotency_finish("other", "{}").await;
    assert!(matches!(never_begun, Err(JournalError::BadValue { .. })));
}
