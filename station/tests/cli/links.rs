//! Probes and ports that aren't there, or that somebody else has.

use std::net::{TcpListener, TcpStream};

use keyline_virtual_unit::qemu::{Unit, UnitOptions};

use crate::station::Station;
use crate::support::{assert_whole, end, link, listed, on_a_line, station_over, unit};

/// A link of which nobody has the other end.
fn dead_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

fn refused_by_link(station: &Station, slot: &str, code: &str) -> String {
    let request = ["provision", "--order", "WO-1", "--slot", slot];
    let ran = station.run(&request).refused(3, code);
    assert_eq!(end(&ran)["error"]["code"], code, "{:?}", ran.lines);
    let summary = ran.summary();
    assert_eq!(
        (&summary["units"], &summary["passed"]),
        (&0.into(), &0.into())
    );
    let error = ran.all("error")[0];
    let next = error["error"]["next"].as_str().unwrap();
    assert!(next.contains("probe or port"), "{next}");
    station
        .run(&[&request[..], &["--dry-run"]].concat())
        .refused(3, code);
    ran.error_message().to_owned()
}

#[test]
fn a_probe_or_port_that_is_not_there_stops_the_line_and_blames_no_unit() {
    let emulated = format!("probe:20b7:9db1:tcp:{}", dead_address());
    let links = [
        "probe:1366:1015:000683012345",
        "serial:/dev/ttyUSB99",
        &emulated,
    ];
    let station = station_over(&links, 5);
    for (slot, link) in links.iter().enumerate() {
        let message = refused_by_link(&station, &(slot + 1).to_string(), "probe-not-found");
        let selector = link.split_once(':').unwrap().1;
        assert!(message.contains(selector), "it says which: {message}");
    }
    let list = station.run(&["unit", "list"]).good();
    assert!(list.all("unit-record").is_empty());
    assert_whole(&station);
    let doctor = station.run(&["doctor"]);
    assert_eq!(doctor.code, 3);
    for slot in ["slot-1", "slot-2"] {
        let check = doctor
            .all("check")
            .into_iter()
            .find(|check| check["check"] == slot)
            .unwrap();
        assert_eq!(check["state"], "fail", "{check}");
        assert!(!check["next"].as_str().unwrap().is_empty(), "{check}");
    }
}

#[test]
fn a_station_without_slots_is_not_ready_and_says_where_to_add_one() {
    let station = station_over(&[], 5);
    let ran = station
        .run(&["provision", "--order", "WO-1"])
        .refused(3, "not-ready");
    let next = ran.all("error")[0]["error"]["next"].as_str().unwrap();
    assert!(next.contains("config.toml"), "{next}");
    assert_eq!(station.run(&["doctor"]).code, 3);
    assert_whole(&station);
}

#[test]
fn a_port_that_another_process_has_is_busy_and_then_free() {
    let line = on_a_line(&unit(1));
    let station = station_over(&[&link(&line)], 5);
    let path = line.path().display().to_string();
    let taken = serialport::new(&path, 115_200).open_native().unwrap();
    let message = refused_by_link(&station, "1", "probe-busy");
    assert!(message.contains(&path), "{message}");
    assert_whole(&station);
    drop(taken);
    station.run(&["provision", "--order", "WO-1"]).good();
    assert_eq!(listed(&station, "passed").len(), 1);
}

#[test]
fn a_probe_that_another_process_has_is_busy_and_then_free() {
    let unit = Unit::start(UnitOptions::new(*b"cli-busy")).unwrap();
    let station = station_over(&[&format!("probe:{}", unit.selector())], 5);
    let taken = TcpStream::connect(unit.address()).unwrap();
    // The probe has taken the first client when it has refused a second one.
    let message = refused_by_link(&station, "1", "probe-busy");
    assert!(message.contains(&unit.selector()), "{message}");
    assert_eq!(
        unit.counters().unwrap().transfers,
        0,
        "the unit was not touched"
    );
    assert_whole(&station);
    drop(taken);
    let ran = station.run(&["provision", "--order", "WO-1"]).good();
    assert_eq!(end(&ran)["state"], "passed");
    assert_whole(&station);
}
