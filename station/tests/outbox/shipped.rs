//! What may leave the building: nothing that is held, set apart or unwitnessed.

use keyline_station::journal::JournalReader;
use keyline_station::record::{Change, DeviceIdText, Failure, FailureCode};
use serde_json::Value;

use crate::home::{hold, holding_home};
use crate::station::{Ran, Station};
use crate::witnessed::Witnessed;

fn shipments(ran: &Ran) -> Vec<&Value> {
    ran.all("shipment")
}

/// How many times something left, as the log says.
fn shipped_leaves(station: &Station) -> usize {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let path = station.home().join("journal.sqlite");
        let journal = JournalReader::open(&path).await.unwrap();
        journal
            .station_entries(&["order-shipped"])
            .await
            .unwrap()
            .len()
    })
}

#[test]
fn a_list_says_what_may_leave_and_writes_nothing() {
    let station = holding_home(&[]);
    hold(&station, 3);
    let home = Witnessed::new(station, 1_000_000);
    let station = &home.station;
    for arguments in [
        &["order", "ship", "WO-1", "--list"][..],
        &["order", "ship", "WO-1"],
    ] {
        let held = station.run(arguments);
        assert_eq!(held.code, 6, "{:?}", held.lines);
        assert_eq!(shipments(&held).len(), 3);
        for unit in shipments(&held) {
            assert_eq!(unit["ships"], false);
            assert!(
                unit["why"]
                    .as_str()
                    .unwrap()
                    .starts_with("held: the registry"),
                "{unit}"
            );
        }
    }
    station.run(&["sync"]).good();
    let listed = station.run(&["order", "ship", "WO-1", "--list"]).good();
    assert_eq!(listed.summary()["dry_run"], true);
    assert!(shipments(&listed).iter().all(|unit| unit["ships"] == true));
    assert_eq!(shipped_leaves(station), 0);
    let shipped = station.run(&["order", "ship", "WO-1"]).good();
    assert_eq!(shipments(&shipped).len(), 3);
    assert_eq!(shipped_leaves(station), 1);
    let again = station.run(&["order", "ship", "WO-1", "--list"]).good();
    assert!(
        shipments(&again).is_empty(),
        "what left does not leave again"
    );
}

#[test]
fn a_release_that_no_witness_has_seen_does_not_ship() {
    let station = holding_home(&[]);
    hold(&station, 2);
    let mut home = Witnessed::new(station, 1_000_000);
    // Everything up to here is witnessed.
    home.station.run(&["order", "ship", "WO-1"]);
    home.stop_witness();
    home.station.run(&["sync"]).good();
    for more in [&["--list"][..], &[]] {
        let arguments = [&["order", "ship", "WO-1"], more].concat();
        let stays = home.station.run(&arguments);
        assert_eq!(stays.code, 1, "{:?}", stays.lines);
        for unit in shipments(&stays) {
            let why = unit["why"].as_str().unwrap();
            assert!(
                why.contains("not under a checkpoint that witnesses have cosigned"),
                "{why}"
            );
        }
    }
    home.bring_witness_back();
    let shipped = home.station.run(&["order", "ship", "WO-1"]).good();
    assert_eq!(shipments(&shipped).len(), 2);
}

#[test]
fn a_unit_in_quarantine_stays_with_its_reason() {
    let station = holding_home(&[]);
    hold(&station, 1);
    let home = Witnessed::new(station, 1_000_000);
    let listed = home.station.run(&["unit", "list"]).good();
    let id = listed.all("unit-record")[0]["device_id"]
        .as_str()
        .unwrap()
        .to_owned();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let app = keyline_station::app::App::open(&home.station.home())
            .await
            .unwrap();
        let set_apart = Change::UnitQuarantined {
            device_id: DeviceIdText::try_from(id).unwrap(),
            run: None,
            failure: Failure::new(FailureCode::DeviceIdMismatch, "swapped in the fixture"),
        };
        app.journal().commit(vec![set_apart]).await.unwrap();
        app.close().await.unwrap();
    });
    let stays = home.station.run(&["order", "ship", "WO-1", "--list"]);
    assert_eq!(stays.code, 1, "{:?}", stays.lines);
    let why = shipments(&stays)[0]["why"].as_str().unwrap();
    assert_eq!(
        why,
        "it is quarantined: device-id-mismatch: swapped in the fixture"
    );
    // Nor is it entered: there is nothing of it left to enter.
    let synced = home.station.run(&["sync"]).good();
    assert_eq!(synced.summary()["units"], 0);
}

#[test]
fn an_auditor_sees_a_released_unit_as_passed() {
    let station = holding_home(&[]);
    hold(&station, 2);
    let listed = station.run(&["unit", "list"]).good();
    let id = listed.all("unit-record")[0]["device_id"]
        .as_str()
        .unwrap()
        .to_owned();
    let policy = station.directory().join("policy");
    let printed = station.run(&["audit", "policy"]).good();
    let text = printed.all("document")[0]["text"].as_str().unwrap();
    std::fs::write(&policy, text).unwrap();
    let policy = policy.display().to_string();
    let verified = |name: &str, make: &[&str], expected: Option<&str>| {
        let out = station.directory().join(name).display().to_string();
        station.run(&[make, &["--out", &out]].concat()).good();
        let verified = station
            .run(&["audit", "verify", &out, "--policy", &policy])
            .good();
        let verdict = verified.all("verdict")[0].clone();
        if let Some(expected) = expected {
            assert_eq!(verdict["result"], expected, "{verdict}");
        }
        verdict.to_string()
    };
    verified("held.json", &["audit", "prove", &id], Some("held"));
    verified("held.html", &["audit", "report", "--order", "WO-1"], None);
    station.run(&["sync"]).good();
    let words = verified("passed.json", &["audit", "prove", &id], Some("passed"));
    assert!(
        words.contains("the registry acknowledged it, it is passed"),
        "{words}"
    );
    verified("passed.html", &["audit", "report", "--order", "WO-1"], None);
    let out = station.directory().join("export").display().to_string();
    station
        .run(&[
            "audit", "export", "--order", "WO-1", "--format", "csv", "--out", &out,
        ])
        .good();
    let csv = std::fs::read_dir(&out)
        .unwrap()
        .map(|file| file.unwrap().path())
        .find(|path| path.extension().is_some_and(|extension| extension == "csv"))
        .unwrap();
    let text = std::fs::read_to_string(csv).unwrap();
    assert!(text.contains(",passed,passed,"), "{text}");
}
