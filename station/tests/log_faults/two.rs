//! Two stations with one name: whoever keeps checkpoints of both refuses the second, with words.

use crate::process::Store;
use crate::restored::{copy, station_with_registry};
use crate::station::Station;
use crate::stored::{assert_deep, log_key};
use crate::support::station_over;
use crate::witnessed::{Witnessed, require, shown};

fn build(station: &Station, count: &str) {
    station
        .run(&["provision", "--order", "WO-1", "--count", count])
        .good();
}

/// The station's id, as its configuration has it.
fn id(station: &Station) -> String {
    let config = std::fs::read_to_string(station.home().join("config.toml")).unwrap();
    let line = config.lines().find(|line| line.starts_with("id = "));
    line.unwrap()["id = \"".len()..]
        .trim_end_matches('"')
        .to_owned()
}

/// The station can't even add a product, and is told why.
fn assert_disputed(station: &Station, words: &str) {
    let refused = station.add_product("other", &[]).refused(5, "log-disputed");
    let message = refused.error_message();
    assert!(message.contains(words), "{message}");
    station.run(&["product", "list"]).good();
}

#[test]
fn the_registry_refuses_a_second_station_of_a_name() {
    let outside = tempfile::tempdir().unwrap();
    let registry = outside.path().join("registry.sqlite");
    let first = station_with_registry(&registry);
    first.add_product("sensor", &[]).good();
    first.add_order("WO-1", 100).good();
    build(&first, "2");
    let second = station_with_registry(&registry);
    assert_ne!(id(&first), id(&second));
    let words = format!("that of station {}", id(&first));
    assert_disputed(&second, &words);
    // The first one is none the worse for it.
    build(&first, "2");
    assert_deep(&first, "the first station");
}

/// Both run on what one home was: each has a past that the other does not have.
#[test]
fn the_registry_refuses_a_copy_of_a_home_on_another_bench() {
    let outside = tempfile::tempdir().unwrap();
    let first = station_with_registry(&outside.path().join("registry.sqlite"));
    first.add_product("sensor", &[]).good();
    first.add_order("WO-1", 100).good();
    build(&first, "2");
    let second = Station::bare();
    copy(&first.home(), &second.home());
    build(&second, "2");
    let refused = first.run(&["provision", "--order", "WO-1", "--count", "8"]);
    let refused = refused.refused(5, "log-disputed");
    assert!(
        refused.error_message().contains("leaves and now shows"),
        "{}",
        refused.error_message()
    );
    build(&second, "2");
    assert_deep(&second, "the one that went on");
}

#[test]
fn the_witness_refuses_a_second_station_of_a_name_whose_key_it_trusts_too() {
    let mut first = Witnessed::new(station_over(&["sim", "sim"], 1_000), 100_000);
    build(&first.station, "2");
    let seen = first.cosigned().unwrap();
    let size = seen.lines().nth(1).unwrap();

    // Smaller than the first, and larger.
    let small = Station::new();
    let large = station_over(&["sim", "sim"], 1_000);
    build(&large, "8");
    first.trust(&[&log_key(&small), &log_key(&large)]);
    for station in [&small, &large] {
        require(&station.home(), first.witness(), 100_000);
    }
    assert_disputed(&small, &format!("has seen {size} leaves of this log"));
    assert_disputed(&large, "has seen another log of this name");
    assert_eq!(first.cosigned().unwrap(), seen, "it cosigned neither");
    build(&first.station, "2");
    assert_deep(&first.station, "the first station");
}

#[test]
fn a_second_station_of_a_name_whose_key_the_witness_does_not_trust_begins_no_run() {
    let first = station_over(&["sim"], 1_000);
    let store = Store::new(&[&log_key(&first)]);
    let witness = store.serve();
    require(&first.home(), &witness, 100_000);
    build(&first, "1");
    let second = station_over(&["sim"], 1_000);
    require(&second.home(), &witness, 0);
    let seen = shown(&witness, "station-1");
    second
        .run(&["provision", "--order", "WO-1"])
        .refused(5, "ahead-of-witnesses");
    assert_eq!(shown(&witness, "station-1"), seen);
    let doctor = second.run(&["doctor"]);
    let mut checks = doctor.all("check").into_iter();
    let of_witness = checks.find(|check| check["check"] == "witness-1").unwrap();
    assert_eq!(of_witness["state"], "fail", "{of_witness}");
    let found = of_witness["found"].as_str().unwrap();
    assert!(found.contains("a log of this name"), "{found}");
}
