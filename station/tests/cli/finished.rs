//! A unit that was finished before, a request that was made before, and scans that are wrong.

use crate::pty::PtyUnit;
use crate::station::{Station, ran};
use crate::support::{
    assert_whole, end, link, listed, on_a_line, only_pin, point_slots_at, station_over, unit,
};

fn bench(number: u32) -> (PtyUnit, Station) {
    let line = on_a_line(&unit(number));
    let station = station_over(&[&link(&line)], 10);
    (line, station)
}

fn runs_of(station: &Station, device_id: &str) -> usize {
    let journal = station.home().join("journal.sqlite");
    let device_id = serde_json::from_value(device_id.into()).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let journal = keyline_station::journal::JournalReader::open(&journal)
            .await
            .unwrap();
        journal.runs_of(device_id, 100).await.unwrap().len()
    })
}

#[test]
fn a_finished_unit_says_so_and_keeps_its_pin_and_its_one_history() {
    let (_line, station) = bench(1);
    let first = station.run(&["provision", "--order", "WO-1"]).good();
    let first = end(&first);
    assert_eq!(
        (&first["state"], &first["already"]),
        (&"passed".into(), &false.into())
    );
    let device_id = first["device_id"].as_str().unwrap();
    let pin = only_pin(&station, device_id);

    for _ in 0..3 {
        let again = station.run(&["provision", "--order", "WO-1"]).good();
        assert_eq!(again.summary()["passed"], 1);
        let again = end(&again);
        assert_eq!(
            (&again["state"], &again["already"]),
            (&"passed".into(), &true.into())
        );
        assert_eq!(again["device_id"], device_id);
        assert_eq!(only_pin(&station, device_id), pin);
    }
    let order = station.run(&["order", "show", "WO-1"]).good();
    assert_eq!(order.all("order")[0]["passed"], 1, "it is counted once");
    assert_eq!(listed(&station, "passed"), [device_id]);
    // People are told as well.
    let mut people = station.command(&["provision", "--order", "WO-1"]);
    let output = people.env("NO_COLOR", "1").output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_whole(&station);
    // For another order it is not one of its units.
    station.add_order("WO-2", 5).good();
    let other = station.run(&["provision", "--order", "WO-2"]);
    assert_eq!(other.code, 1, "{:?}", other.lines);
    assert_eq!(end(&other)["error"]["code"], "unit-of-another-order");
    assert_eq!(only_pin(&station, device_id), pin);
    assert_whole(&station);
}

#[test]
fn the_same_idempotency_key_gives_the_stored_result_without_touching_a_unit() {
    let (line, station) = bench(2);
    let request = [
        "provision",
        "--order",
        "WO-1",
        "--idempotency-key",
        "job-77",
    ];
    let first = station.run(&request).good();
    let run = end(&first)["run"].clone();
    let device_id = end(&first)["device_id"].as_str().unwrap();
    assert_eq!(runs_of(&station, device_id), 1);
    // The unit is taken away: the answer comes from the journal.
    drop(line);
    // Its line's number is the next test's: the slot names one that never is.
    point_slots_at(&station, "serial:/dev/no-such-line");
    for _ in 0..2 {
        let again = station.run(&request).good();
        assert_eq!(end(&again)["run"], run);
        assert_eq!(again.summary()["elapsed_ms"], first.summary()["elapsed_ms"]);
        assert_eq!(again.summary()["passed"], 1);
    }
    assert_eq!(runs_of(&station, device_id), 1);
    let changed = [&request[..], &["--count", "2"]].concat();
    let changed = station.run(&changed).refused(2, "usage");
    assert!(
        changed.error_message().contains("use a new key"),
        "{}",
        changed.error_message()
    );
    assert_eq!(runs_of(&station, device_id), 1);
    // Another key is another request: it looks for the unit, and finds none.
    let other = [
        "provision",
        "--order",
        "WO-1",
        "--idempotency-key",
        "job-78",
    ];
    station.run(&other).refused(3, "probe-not-found");
    // That was no result, so asking again asks the unit.
    let line = on_a_line(&unit(3));
    point_slots_at(&station, &link(&line));
    assert_ne!(end(&station.run(&other).good())["run"], run);
    assert_whole(&station);
}

#[test]
fn a_failure_is_a_stored_result_too() {
    let (_line, station) = bench(4);
    let request = [
        "provision",
        "--order",
        "WO-1",
        "--serial",
        "not a serial",
        "--idempotency-key",
        "k",
    ];
    let first = station.run(&request);
    let again = station.run(&request);
    assert_eq!((first.code, again.code), (1, 1));
    assert_eq!(end(&first)["run"], end(&again)["run"]);
    assert_eq!(end(&again)["error"]["code"], "bad-serial");
    assert_whole(&station);
}

#[test]
fn a_bad_serial_is_refused_before_the_unit_is_touched() {
    let (_line, station) = bench(5);
    station
        .add_product("labelled", &["--serial-format", "TH-####"])
        .good();
    station
        .run(&[
            "order",
            "add",
            "--name",
            "L",
            "--product",
            "labelled",
            "--quantity",
            "1",
        ])
        .good();
    let long = "X".repeat(33);
    for (order, serial, expected) in [
        ("WO-1", "", "expected a serial of 1 to 32 characters, got 0"),
        (
            "WO-1",
            &long,
            "expected a serial of 1 to 32 characters, got 33",
        ),
        ("WO-1", "A B", "got ' ' in the serial"),
        ("WO-1", "A\nB", "got '\\n' in the serial"),
        ("WO-1", "Ä", "got 'Ä' in the serial"),
        ("L", "TH-12", "TH-####"),
        ("L", "TH-12a4", "TH-####"),
    ] {
        let refused = station.run(&["provision", "--order", order, "--serial", serial]);
        assert_eq!(refused.code, 1, "{serial:?}: {:?}", refused.lines);
        assert_eq!(refused.summary()["failed"], 1);
        let error = &end(&refused)["error"];
        assert_eq!(error["code"], "bad-serial");
        let message = error["message"].as_str().unwrap();
        assert!(message.contains(expected), "{serial:?}: {message}");
        assert!(!error["next"].as_str().unwrap().is_empty());
    }
    let list = station.run(&["unit", "list"]).good();
    assert!(list.all("unit-record").is_empty(), "{:?}", list.lines);
    assert_whole(&station);
    let good = station.run(&["provision", "--order", "L", "--serial", "TH-1234"]);
    assert_eq!(end(&good.good())["serial"], "TH-1234");
}

#[test]
fn a_scan_needs_its_slot_on_a_station_of_several() {
    let (first, second) = (on_a_line(&unit(6)), on_a_line(&unit(7)));
    let station = station_over(&[&link(&first), &link(&second)], 10);
    let scan = ["provision", "--order", "WO-1", "--serial", "TH-1"];
    let refused = station.run(&scan).refused(2, "usage");
    assert!(
        refused.error_message().contains("--slot"),
        "{}",
        refused.error_message()
    );
    let ran = station.run(&[&scan[..], &["--slot", "2"]].concat()).good();
    assert_eq!(end(&ran)["slot"], 2);
    assert_eq!(listed(&station, "passed").len(), 1);
    assert_whole(&station);
}

#[test]
fn an_order_takes_no_unit_beyond_its_quantity_and_finishes_what_it_has() {
    let (first, second) = (on_a_line(&unit(8)), on_a_line(&unit(9)));
    let station = station_over(&[&link(&first), &link(&second)], 1);
    let ran = station.run(&["provision", "--order", "WO-1"]);
    // Two units for one place: one of them gets it, and the other one is not begun.
    assert_eq!(ran.code, 0, "{:?}", ran.lines);
    assert_eq!(listed(&station, "passed").len(), 1);
    let filled = station
        .run(&["provision", "--order", "WO-1"])
        .refused(3, "order-filled");
    assert!(
        filled.error_message().contains("order WO-1 is for 1 unit"),
        "{}",
        filled.error_message()
    );
    assert_whole(&station);
    let output = station.command(&["order", "list"]).output().unwrap();
    assert_eq!(ran_order(&output), (1, 1));
}

fn ran_order(output: &std::process::Output) -> (u64, u64) {
    let ran = ran(output);
    let order = ran.all("order")[0];
    (
        order["quantity"].as_u64().unwrap(),
        order["passed"].as_u64().unwrap(),
    )
}
