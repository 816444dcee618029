//! Nothing of another customer's appears where a customer is given: no row, no name, no unit, in any file.

use keyline_station::export::{Filter, Rows};
use keyline_station::journal::Journal;
use keyline_station::record::{Change, FailureCode, Product, RunResult, Step};
use serde_json::Value;

use crate::factory::{column, factory, files_with, rows};
use crate::fixture::{
    Home, OPERATOR, add_order, add_product, device, done, failure, intend, order, product, run,
    start,
};
use crate::texts::export_in_process;

/// What a customer's rows may not have in them: the other's names and units.
fn of_another(station: &crate::station::Station, customer: &str) -> Vec<String> {
    let all = rows(station, &format!("all-{customer}"), &[]);
    let others = all.iter().filter(|row| row["customer"] != customer);
    let others: Vec<Value> = others.cloned().collect();
    let names = [
        "device_id",
        "order_id",
        "order_name",
        "product_id",
        "product_name",
        "customer",
        "run_id",
        "public_key",
    ];
    let mut found: Vec<String> = names
        .iter()
        .flat_map(|name| column(&others, name))
        .collect();
    found.sort();
    found.dedup();
    found
}

#[test]
fn a_customer_sees_only_what_is_built_for_him() {
    let station = factory();
    for (customer, units) in [("acme", 4), ("zenith", 2)] {
        let foreign = of_another(&station, customer);
        assert!(foreign.len() > 6, "{foreign:?}");
        let of = |rows: &str| format!("{customer}-{rows}");
        let more = ["--customer", customer];
        let seen = rows(&station, &of("units"), &more);
        assert_eq!(seen.len(), units);
        assert!(column(&seen, "customer").iter().all(|row| row == customer));
        let more = ["--customer", customer, "--rows", "leaves"];
        let leaves = rows(&station, &of("leaves"), &more);
        let kinds = column(&leaves, "kind");
        for kind in ["product-added", "order-added", "run-started", "run-ended"] {
            assert!(kinds.contains(&kind.to_owned()), "{kind}");
        }
        for kind in ["operator-added", "started", "stopped", "exported"] {
            assert!(!kinds.contains(&kind.to_owned()), "{kind} is nobody's");
        }
        for name in &foreign {
            for rows in ["units", "leaves"] {
                let directory = station.directory().join(of(rows));
                let found = files_with(&directory, name.as_bytes());
                assert!(found.is_empty(), "{customer}: {name} in {found:?}");
            }
        }
    }
}

/// Two customers in one journal: acme's unit 1, zenith's unit 2, and unit 3, which was acme's before it was zenith's.
struct Two {
    home: Home,
    journal: Journal,
}

impl Two {
    async fn new() -> Self {
        let home = Home::new();
        let journal = home.open().await;
        let acme = product("sensor");
        let zenith = Product {
            customer: "zenith".to_owned(),
            ..product("gateway")
        };
        let (first, second) = (order("WO-A", acme.id, 9), order("WO-Z", zenith.id, 9));
        let (a, z) = (first.id, second.id);
        journal
            .commit(vec![
                add_product(acme),
                add_product(zenith),
                add_order(first),
                add_order(second),
            ])
            .await
            .unwrap();
        run(&journal, a, 1, RunResult::Passed).await.unwrap();
        run(&journal, z, 2, RunResult::Passed).await.unwrap();
        run(&journal, a, 3, RunResult::Failed).await.unwrap();
        released(&journal, 3, "while it was acme's").await;
        // A run that begins later has a later time.
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        run(&journal, z, 3, RunResult::Passed).await.unwrap();
        released(&journal, 3, "now that it is zenith's").await;
        Self { home, journal }
    }

    async fn leaves_of(&self, customer: &str) -> Vec<Value> {
        let directory = tempfile::tempdir().unwrap();
        let out = directory.path().join("out");
        let filter = Filter {
            customer: Some(customer.to_owned()),
            ..Filter::default()
        };
        export_in_process(&self.home, &self.journal, &out, filter, Rows::Leaves).await
    }
}

async fn released(journal: &Journal, unit: u32, reason: &str) {
    let quarantined = Change::UnitQuarantined {
        device_id: device(unit),
        run: None,
        failure: failure(FailureCode::AgentDigest),
    };
    let released = Change::UnitReleased {
        device_id: device(unit),
        operator: OPERATOR.to_owned(),
        reason: reason.to_owned(),
    };
    journal.commit(vec![quarantined, released]).await.unwrap();
}

#[tokio::test]
async fn what_befell_a_unit_is_of_whom_it_was_at_the_time() {
    let two = Two::new().await;
    let reasons = |rows: &[Value]| {
        let released = rows.iter().filter(|row| row["kind"] == "unit-released");
        let bodies = released.map(|row| row["body"].as_str().unwrap().to_owned());
        bodies.collect::<Vec<_>>().concat()
    };
    let acme = reasons(&two.leaves_of("acme").await);
    assert!(acme.contains("while it was acme's") && !acme.contains("now that"));
    let zenith = reasons(&two.leaves_of("zenith").await);
    assert!(zenith.contains("now that it is zenith's") && !zenith.contains("while"));
}

#[tokio::test]
async fn a_body_that_names_anothers_unit_is_withheld() {
    let two = Two::new().await;
    let orders = two.journal.orders().await.unwrap();
    let a = orders.iter().find(|order| order.name == "WO-A").unwrap().id;
    let (run, started) = start(a, None);
    let unit = device(4);
    let mut clone = failure(FailureCode::KeyBelongsToAnother);
    clone.message = format!("it shows the key of unit {}", device(2).0);
    two.journal
        .commit(vec![
            started,
            done(run, unit, Step::Identified),
            intend(run, unit, Step::Keyed),
            Change::CloneAlarm {
                run,
                device_id: unit,
                fingerprint: [5; 32],
                other_device_id: Some(device(2)),
                other_fingerprint: None,
            },
            Change::UnitQuarantined {
                device_id: unit,
                run: Some(run),
                failure: clone.clone(),
            },
            Change::RunEnded {
                run,
                device_id: Some(unit),
                result: RunResult::Failed,
                failure: Some(clone),
                elapsed_ms: 1,
            },
        ])
        .await
        .unwrap();
    let other = device(2).0.to_string();
    let rows = two.leaves_of("acme").await;
    let about: Vec<&Value> = rows
        .iter()
        .filter(|row| row["device_id"] == unit.0.to_string())
        .collect();
    assert_eq!(about.len(), 5, "that it happened is acme's to know");
    assert!(rows.iter().all(|row| !row.to_string().contains(&other)));
    let withheld = about.iter().filter(|row| !row["withheld"].is_null());
    assert_eq!(withheld.count(), 3);
    let theirs = two.leaves_of("zenith").await;
    let ours = unit.0.to_string();
    assert!(theirs.iter().all(|row| !row.to_string().contains(&ours)));
}
