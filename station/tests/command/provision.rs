//! Provisioning from the command line, on simulated units.

use std::process::Stdio;

use crate::station::{Station, keyline, ran};

#[test]
fn units_pass_and_every_question_about_them_is_answered() {
    let station = Station::with_order(5);
    let ran = station
        .run(&["provision", "--order", "WO-1", "--count", "3"])
        .good();
    let summary = ran.summary();
    assert_eq!(
        (&summary["units"], &summary["passed"]),
        (&3.into(), &3.into())
    );
    assert!(
        summary["checkpoint"]
            .as_str()
            .unwrap()
            .contains("station-1")
    );
    let ended: Vec<_> = ran
        .all("unit")
        .into_iter()
        .filter(|unit| unit["state"] == "passed")
        .collect();
    assert_eq!(ended.len(), 3);
    for field in ["device_id", "serial", "slot", "step", "state", "elapsed_ms"] {
        assert!(ended[0].get(field).is_some(), "{field}: {}", ended[0]);
    }
    let units = station
        .run(&["unit", "list", "--order", "WO-1", "--state", "passed"])
        .good();
    assert_eq!(units.all("unit-record").len(), 3);
    assert_eq!(
        station
            .run(&["unit", "list", "--limit", "2"])
            .good()
            .all("unit-record")
            .len(),
        2
    );
    let id = ended[0]["device_id"].as_str().unwrap();
    let unit = station.run(&["unit", "show", id]).good();
    let steps = unit.all("unit-record")[0]["last_run"]["steps"]
        .as_array()
        .unwrap()
        .clone();
    assert!(
        steps
            .iter()
            .any(|step| step["evidence"]["step"] == "proven"),
        "{steps:?}"
    );
    let pin = station.run(&["pin", "show", id]).good();
    let pin = pin.all("pin")[0];
    assert_eq!(pin["state"], "active");
    let fingerprint = pin["fingerprint"].as_str().unwrap();
    let found = station.run(&["pin", "show", fingerprint]).good();
    assert_eq!(found.all("pin")[0]["device_id"], id);
    let order = station.run(&["order", "show", "WO-1"]).good();
    assert_eq!(order.all("order")[0]["passed"], 3);
    station
        .run(&["unit", "show", "no-such-unit"])
        .refused(2, "unknown");
    station
        .run(&["pin", "show", "4b4c51220000000000000000"])
        .refused(2, "unknown");
}

#[test]
fn what_can_not_begin_is_refused_and_runs_nothing() {
    let station = Station::with_order(2);
    station
        .run(&["provision", "--order", "WO-9"])
        .refused(2, "unknown");
    station
        .run(&["provision", "--order", "WO-1", "--slot", "7"])
        .refused(2, "usage");
    station
        .run(&["provision", "--order", "WO-1", "--slot", "1", "--slot", "1"])
        .refused(2, "usage");
    station
        .run(&[
            "provision",
            "--order",
            "WO-1",
            "--count",
            "2",
            "--serial",
            "X-1",
        ])
        .refused(2, "usage");
    station
        .run(&["provision", "--order", "WO-1", "--count", "0"])
        .refused(2, "usage");
    assert!(
        station
            .run(&["unit", "list"])
            .good()
            .all("unit-record")
            .is_empty()
    );
    station.run(&["provision", "--order", "WO-1"]).good();
    station
        .run(&["provision", "--order", "WO-1"])
        .refused(3, "order-filled");
    station.run(&["order", "close", "WO-1"]).good();
    station
        .run(&["provision", "--order", "WO-1"])
        .refused(2, "order-closed");
    station
        .run(&["order", "close", "WO-1"])
        .refused(2, "refused");
}

#[test]
fn a_dry_run_writes_nothing_about_units() {
    let station = Station::with_order(2);
    let ran = station
        .run(&[
            "provision",
            "--order",
            "WO-1",
            "--dry-run",
            "--idempotency-key",
            "k",
        ])
        .good();
    assert_eq!(ran.summary()["dry_run"], true);
    assert!(
        station
            .run(&["unit", "list"])
            .good()
            .all("unit-record")
            .is_empty()
    );
    station
        .run(&["provision", "--order", "WO-1", "--idempotency-key", "k"])
        .good();
}

#[test]
fn the_same_idempotency_key_gives_the_stored_result() {
    let station = Station::with_order(5);
    let request = [
        "provision",
        "--order",
        "WO-1",
        "--slot",
        "1",
        "--idempotency-key",
        "job-77",
    ];
    let ended = |ran: &crate::station::Ran| {
        let units = ran
            .all("unit")
            .into_iter()
            .filter(|unit| unit["state"] != "in-progress");
        units
            .map(|unit| {
                (
                    unit["run"].clone(),
                    unit["device_id"].clone(),
                    unit["state"].clone(),
                )
            })
            .collect::<Vec<_>>()
    };
    let first = station.run(&request).good();
    let second = station.run(&request).good();
    assert_eq!(ended(&first), ended(&second));
    assert_eq!(ended(&first).len(), 1);
    assert_eq!(first.summary()["passed"], second.summary()["passed"]);
    assert_eq!(
        station
            .run(&["unit", "list"])
            .good()
            .all("unit-record")
            .len(),
        1,
        "one unit, not two"
    );
    let ran = station
        .run(&[
            "provision",
            "--order",
            "WO-1",
            "--slot",
            "2",
            "--idempotency-key",
            "job-77",
        ])
        .refused(2, "usage");
    assert!(
        ran.error_message().contains("idempotency key"),
        "{}",
        ran.error_message()
    );
}

#[test]
fn station_made_keys_come_from_the_pool() {
    let station = Station::new();
    station
        .add_product(
            "gateway",
            &["--platform", "nrf52840", "--key-policy", "station"],
        )
        .good();
    station
        .run(&[
            "order",
            "add",
            "--name",
            "WO-3",
            "--product",
            "gateway",
            "--quantity",
            "4",
        ])
        .good();
    let ran = station
        .run(&["provision", "--order", "WO-3", "--count", "4"])
        .good();
    assert_eq!(ran.summary()["passed"], 4);
}

#[test]
fn people_get_words_on_standard_error_and_answers_on_standard_output() {
    let station = Station::with_order(2);
    let run = |arguments: &[&str]| {
        keyline()
            .arg("--home")
            .arg(station.home())
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .unwrap()
    };
    let output = run(&["provision", "--order", "WO-1"]);
    let words = String::from_utf8(output.stderr).unwrap();
    assert!(output.stdout.is_empty());
    assert_eq!(words.matches("✓ PASS").count(), 2, "{words}");
    assert!(
        words.contains("2 units: 2 passed, 0 failed, 0 held"),
        "{words}"
    );
    assert!(
        !words.contains('\u{1b}'),
        "no colours without a terminal: {words}"
    );
    let output = run(&["order", "list"]);
    let answer = String::from_utf8(output.stdout).unwrap();
    assert!(
        answer.starts_with("name  product  quantity  passed"),
        "{answer}"
    );
    let output = run(&["unit", "show", "nothing"]);
    let words = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(
        words.starts_with("error: expected the device id or serial of a unit")
            && words.contains("\n  next: "),
        "{words}"
    );
}

#[test]
fn help_manual_and_completions_need_no_home() {
    for (arguments, words) in [
        (&["--help"][..], "EXIT CODES"),
        (&["provision", "--help"], "EXAMPLES"),
        (&["--version"], "keyline 0."),
        (&["man"], ".TH keyline"),
        (&["completions", "bash"], "_keyline()"),
        (&["completions", "zsh"], "#compdef keyline"),
    ] {
        let output = keyline().args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        assert!(
            String::from_utf8_lossy(&output.stdout).contains(words),
            "{arguments:?}"
        );
    }
    let output = keyline().args(["--json", "provision"]).output().unwrap();
    let ran = ran(&output).refused(2, "usage");
    assert!(ran.words.contains("--order"), "{}", ran.words);
}

#[test]
fn the_doctor_finds_a_sound_station_ready_and_a_broken_one_not() {
    let station = Station::with_order(2);
    station.run(&["provision", "--order", "WO-1"]).good();
    let ran = station.run(&["doctor"]).good();
    let state = |ran: &crate::station::Ran, name: &str| {
        let checks = ran.all("check");
        let check = checks
            .iter()
            .find(|check| check["check"] == name)
            .unwrap_or_else(|| panic!("no check {name}"));
        check["state"].as_str().unwrap().to_owned()
    };
    for check in [
        "home", "config", "owner", "disk", "operator", "journal", "registry", "slot-1", "clock",
    ] {
        assert_eq!(state(&ran, check), "ok", "{check}");
    }
    assert_eq!(state(&ran, "audit-key"), "warn", "a key in a file");
    std::fs::remove_file(station.home().join("keys/audit.pem")).unwrap();
    let ran = station.run(&["doctor"]);
    assert_eq!(ran.code, 3);
    assert_eq!(state(&ran, "audit-key"), "fail");
    let ran = Station::bare().run(&["doctor"]);
    assert_eq!(ran.code, 3);
    assert_eq!(state(&ran, "home"), "fail");
}
