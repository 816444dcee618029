//! `keyline demo` as a script reads it, and the home that it leaves.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::station::{Ran, Station};
use crate::support::{assert_whole, ended, listed, only_pin};

fn demo(station: &Station, kind: &str, units: usize, slots: usize) -> Ran {
    let (units, slots) = (units.to_string(), slots.to_string());
    let arguments = ["demo", "--unit", kind, "--units", &units, "--slots", &slots];
    station.run(&arguments).good()
}

/// Each unit event has the fields that scripts depend on; so has the summary.
fn assert_contract(ran: &Ran, units: usize, slots: u64) {
    for event in ran.all("unit") {
        for field in ["device_id", "serial", "step", "state", "run", "order"] {
            assert!(event[field].is_string(), "{field}: {event}");
        }
        assert!(
            (1..=slots).contains(&event["slot"].as_u64().unwrap()),
            "{event}"
        );
        assert!(event["elapsed_ms"].is_u64(), "{event}");
        assert!(event.get("error").is_none(), "{event}");
    }
    let ended = ended(&ran.lines);
    let ids: BTreeSet<&str> = ended
        .iter()
        .map(|event| event["device_id"].as_str().unwrap())
        .collect();
    assert_eq!((ended.len(), ids.len()), (units, units), "{:?}", ran.lines);
    assert!(ended.iter().all(|event| event["state"] == "passed"));
    let summary = ran.summary();
    let count = |field: &str| summary[field].as_u64().unwrap();
    assert_eq!(
        (
            count("units"),
            count("passed"),
            count("failed"),
            count("held")
        ),
        (units as u64, units as u64, 0, 0)
    );
    let checkpoint = summary["checkpoint"].as_str().unwrap();
    assert!(checkpoint.starts_with("demo-"), "{checkpoint}");
    let origin = checkpoint.lines().next().unwrap();
    assert!(
        checkpoint.contains(&format!("\n\u{2014} {origin} ")),
        "{checkpoint}"
    );
    assert!(ran.words.is_empty(), "nothing for people: {}", ran.words);
}

/// Every other command works on the home of a demo.
fn assert_home_works(station: &Station, demo: &Ran, slots: usize) {
    assert_whole(station);
    station.run(&["doctor"]).good();
    let products = station.run(&["product", "list"]).good();
    let product = products.all("product")[0]["name"]
        .as_str()
        .unwrap()
        .to_owned();
    station.run(&["product", "show", &product]).good();
    let orders = station.run(&["order", "list"]).good();
    let order = orders.all("order")[0].clone();
    let name = order["name"].as_str().unwrap();
    let finished = ended(&demo.lines);
    assert_eq!(order["passed"], finished.len());
    assert_eq!(order["quantity"], order["passed"]);
    station.run(&["order", "show", name]).good();
    assert_eq!(listed(station, "passed").len(), finished.len());
    for event in finished {
        let device_id = event["device_id"].as_str().unwrap();
        for by in ["device_id", "serial"] {
            let shown = station
                .run(&["unit", "show", event[by].as_str().unwrap()])
                .good();
            let shown: Vec<Value> = shown.all("unit-record").into_iter().cloned().collect();
            assert_eq!(shown[0]["device_id"], device_id);
            assert_eq!(shown[0]["last_run"]["id"], event["run"]);
            assert_eq!(shown[0]["last_run"]["result"], "passed");
        }
        let fingerprint = only_pin(station, device_id);
        let shown = station.run(&["pin", "show", &fingerprint]).good();
        assert_eq!(shown.all("pin")[0]["device_id"], device_id);
    }
    station
        .run(&["provision", "--order", name])
        .refused(3, "order-filled");
    station
        .run(&[
            "order",
            "add",
            "--name",
            "NEXT",
            "--product",
            &product,
            "--quantity",
            "64",
        ])
        .good();
    let next = station.run(&["provision", "--order", "NEXT"]).good();
    assert_eq!(ended(&next.lines).len(), slots, "one unit in each slot");
    station.run(&["order", "close", "NEXT"]).good();
    station
        .run(&["provision", "--order", "NEXT"])
        .refused(2, "order-closed");
}

#[test]
fn a_demo_on_simulated_units_leaves_a_home_that_every_command_works_on() {
    let station = Station::bare();
    let first = demo(&station, "sim", 8, 4);
    assert_contract(&first, 8, 4);
    assert_eq!(
        first.all("plan")[0]["slots"],
        serde_json::json!([1, 2, 3, 4])
    );
    assert_home_works(&station, &first, 4);
    // And again on the same home: other units, another order.
    assert_contract(&demo(&station, "sim", 3, 2), 3, 2);
    assert_eq!(listed(&station, "passed").len(), 8 + 4 + 3);
    assert_whole(&station);
}

#[test]
fn a_demo_on_emulated_chips_leaves_a_home_that_every_command_works_on() {
    let station = Station::bare();
    let ran = demo(&station, "qemu", 2, 2);
    assert_contract(&ran, 2, 2);
    assert_home_works(&station, &ran, 2);
}

#[test]
fn a_demo_that_can_not_begin_leaves_no_home() {
    let station = Station::bare();
    for arguments in [
        &["demo", "--units", "0"][..],
        &["demo", "--slots", "65"],
        &["demo", "--unit", "real"],
    ] {
        station.run(arguments).refused(2, "usage");
    }
    station
        .run(&["demo", "--unit", "sim", "--registry", "mysql://db/registry"])
        .refused(3, "config");
    assert!(!station.home().exists());
}
