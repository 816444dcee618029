//! `keyline sync` as a person and a script meet it.

use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::cut_proxy::CutProxy;
use crate::home::{held_home, hold, holding_home, registry_at};
use crate::registry_server::{registry_server, url_at};
use crate::station::{Station, ran};

/// Nobody listens there.
const NOWHERE: &str = "postgres://postgres@127.0.0.1:1/none";
const HERE: &str = "sqlite:registry.sqlite";

#[test]
fn with_nothing_held_there_is_nothing_to_do() {
    let station = holding_home(&[]);
    let synced = station.run(&["sync"]).good();
    assert_eq!(synced.summary()["units"], 0);
    registry_at(&station, NOWHERE);
    station.run(&["sync", "--wait", "0"]).good();
}

#[test]
fn a_registry_out_of_reach_is_exit_code_3_and_one_that_is_back_releases() {
    let station = held_home(3);
    registry_at(&station, NOWHERE);
    let away = station
        .run(&["sync", "--wait", "1"])
        .refused(3, "registry-unreachable");
    let summary = away.summary();
    assert_eq!(
        (&summary["units"], &summary["held"], &summary["passed"]),
        (&3.into(), &3.into(), &0.into())
    );
    let units = away.all("unit");
    assert_eq!(units.len(), 3);
    assert!(units.iter().all(|unit| unit["state"] == "held"));
    assert!(away.error_message().contains("3 units are still held"));

    registry_at(&station, HERE);
    let synced = station.run(&["sync"]).good();
    let summary = synced.summary();
    assert_eq!(
        (&summary["units"], &summary["held"], &summary["passed"]),
        (&3.into(), &0.into(), &3.into())
    );
    let units = synced.all("unit");
    assert!(
        units.iter().all(|unit| unit["state"] == "passed"
            && unit["late"] == true
            && unit["step"] == "pinned"),
        "{units:?}"
    );
    station.run(&["audit", "verify", "--deep"]).good();
}

#[test]
fn people_see_how_much_is_held_and_since_when() {
    let station = held_home(2);
    let doctor = station.run(&["doctor"]);
    let check = |name: &str| {
        let checks = doctor.all("check").into_iter();
        let mut found = checks.filter(|check| check["check"] == name);
        found.next().unwrap().clone()
    };
    let outbox = check("outbox");
    assert_eq!(outbox["state"], "warn");
    let found = outbox["found"].as_str().unwrap();
    assert!(
        found.starts_with("2 units are held, the oldest since 2"),
        "{found}"
    );
    let orders = station.run(&["order", "list"]).good();
    assert_eq!(orders.all("order")[0]["held"], 2);
    let units = station.run(&["unit", "list", "--state", "held"]).good();
    assert_eq!(units.all("unit-record").len(), 2);
    let notices = units.all("notice");
    assert!(
        notices[0]["message"]
            .as_str()
            .unwrap()
            .contains("2 units of this station are held")
    );
    station.run(&["sync"]).good();
    let orders = station.run(&["order", "list"]).good();
    let order = orders.all("order")[0].clone();
    assert_eq!((&order["held"], &order["passed"]), (&0.into(), &2.into()));
}

#[test]
fn a_stranger_may_not_ask_for_it() {
    use std::os::unix::fs::PermissionsExt as _;
    let station = held_home(1);
    let path = station.directory().join("token");
    std::fs::write(&path, "0".repeat(64)).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    let token = path.display().to_string();
    let refused = station.run(&["sync", "--operator-token", &token]);
    assert_eq!(refused.code, 4, "{:?}", refused.lines);
    assert!(refused.all("unit").is_empty());
}

#[test]
fn a_product_that_does_not_hold_stops_with_exit_code_3() {
    let station = Station::with_order(5);
    registry_at(&station, NOWHERE);
    let stopped = station.run(&["provision", "--order", "WO-1"]);
    assert_eq!(stopped.code, 3, "{:?}", stopped.lines);
    let held = station.run(&["unit", "list", "--state", "held"]).good();
    assert!(held.all("unit-record").is_empty());
}

#[test]
fn whoever_owns_the_home_does_it_for_others() {
    let server = registry_server();
    let proxy = CutProxy::to(server.address());
    let station = holding_home(&["--registry", &url_at(proxy.address())]);
    hold(&station, 10);
    proxy.cut();
    let mut owner = station.command(&["sync", "--wait", "60"]);
    let owner = owner.stdout(Stdio::piped()).stderr(Stdio::piped());
    let owner = owner.spawn().unwrap();
    wait_for(&station.home().join("keyline.sock"));
    let other = station.run(&["sync", "--wait", "0"]);
    assert_eq!(other.code, 3, "{:?} {}", other.lines, other.words);
    assert_eq!(other.summary()["held"], 10);
    proxy.restore();
    let synced = ran(&owner.wait_with_output().unwrap()).good();
    assert_eq!(synced.summary()["passed"], 10, "{:?}", synced.lines);
    station.run(&["audit", "verify", "--deep"]).good();
}

/// Waits until the owner of a home listens.
fn wait_for(path: &std::path::Path) {
    let begun = Instant::now();
    while !path.exists() {
        assert!(
            begun.elapsed() < Duration::from_mins(1),
            "nobody listens at {}",
            path.display()
        );
        std::thread::sleep(Duration::from_millis(10));
    }
}
