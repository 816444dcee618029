//! A home that was put back from an old copy: only who stands outside of it can know. Then nothing is written any more, everything can still
//! be read, and a new station takes its place.

use std::path::{Path, PathBuf};
use std::process::Command;

use keyline_station::audit::Checkpoint;

use crate::station::{Ran, Station, keyline, ran};
use crate::stored::{StoredLog, assert_deep, log_key};
use crate::support::{ended, station_over};
use crate::witnessed::Witnessed;

/// Copies a home as a backup does.
pub(crate) fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").args([from, to]).status();
    assert!(copied.unwrap().success());
}

/// A command on another home in the station's directory.
fn on(station: &Station, home: &Path, arguments: &[&str]) -> Ran {
    let mut command = keyline();
    command.arg("--json").arg("--home").arg(home);
    command.args(arguments).current_dir(station.directory());
    ran(&command.output().unwrap())
}

/// Two units, a copy, three more units, and the copy is put back. Gives a unit that the copy knows, and the sizes of copy and log.
fn put_back(station: &Station) -> (String, u64, u64) {
    let provision = |count| {
        station
            .run(&["provision", "--order", "WO-1", "--count", count])
            .good()
    };
    let first = provision("2");
    let unit = ended(&first.lines)[0]["device_id"].as_str().unwrap();
    let backup = station.directory().join("backup");
    copy(&station.home(), &backup);
    let key = log_key(station);
    let size = StoredLog::read(&station.home(), &key).size();
    provision("3");
    let lost = StoredLog::read(&station.home(), &key).size();
    std::fs::remove_dir_all(station.home()).unwrap();
    std::fs::rename(backup, station.home()).unwrap();
    (unit.to_owned(), size, lost)
}

/// Every command that would write is refused with these words, and writes nothing.
fn assert_only_read(station: &Station, unit: &str, words: &str) {
    let key = log_key(station);
    let size = StoredLog::read(&station.home(), &key).size();
    let cloud_key = station.cloud_key();
    let export = station.directory().join("export").display().to_string();
    let commands: &[&[&str]] = &[
        &["provision", "--order", "WO-1", "--count", "5"],
        &["provision", "--order", "WO-1", "--dry-run"],
        &[
            "product",
            "add",
            "--name",
            "another",
            "--platform",
            "nrf51822",
            "--cloud-key",
            &cloud_key,
            "--cloud-address",
            "cloud.example.com:8883",
        ],
        &["product", "retire", "sensor"],
        &[
            "order",
            "add",
            "--name",
            "WO-9",
            "--product",
            "sensor",
            "--quantity",
            "1",
        ],
        &["order", "close", "WO-1"],
        &["order", "ship", "WO-1"],
        &["unit", "release", unit, "--reason", "it looks fine"],
        &[
            "unit",
            "scrap",
            unit,
            "--reason",
            "broken antenna",
            "--permit",
            "scrap",
        ],
        &[
            "unit",
            "rework",
            unit,
            "--reason",
            "board replaced",
            "--permit",
            "revoke",
        ],
        &["audit", "key", "add", "audit.pem"],
        &["audit", "export", "--out", &export],
    ];
    for command in commands {
        let refused = station.run(command);
        assert_eq!(
            refused.code, 5,
            "{command:?}: {:?} {}",
            refused.lines, refused.words
        );
        let refused = refused.refused(5, "log-disputed");
        let message = refused.error_message();
        assert!(message.contains(words), "{command:?}: {message}");
        let next = refused.all("error")[0]["error"]["next"].as_str().unwrap();
        assert!(next.contains("station replace"), "{next}");
    }
    assert_eq!(StoredLog::read(&station.home(), &key).size(), size);
}

/// Every question is answered.
fn assert_readable(station: &Station, home: &Path, unit: &str) {
    let dossier = home.with_extension("dossier").display().to_string();
    let commands: &[&[&str]] = &[
        &["product", "list"],
        &["product", "show", "sensor"],
        &["order", "list"],
        &["order", "show", "WO-1"],
        &["unit", "list"],
        &["unit", "show", unit],
        &["pin", "show", unit],
        &["audit", "key", "list"],
        &["audit", "checkpoint"],
        &["audit", "policy"],
        &["audit", "prove", unit, "--out", &dossier],
    ];
    for command in commands {
        let answer = on(station, home, command);
        assert_eq!(answer.code, 0, "{command:?}: {:?}", answer.lines);
        answer.summary();
    }
}

/// The deep verification finds that leaves are gone, by what somebody outside has seen.
fn assert_found(station: &Station, lost: u64) {
    let deep = station.run(&["audit", "verify", "--deep"]);
    assert_eq!(deep.code, 5, "{:?}", deep.lines);
    let mut checks = deep.all("check").into_iter();
    let found = checks.any(|check| {
        check["check"] == "log-rolled-back"
            && check["state"] == "fail"
            && check["found"].as_str().unwrap().contains(&lost.to_string())
    });
    assert!(found, "{:#?}", deep.lines);
}

/// A new station takes the place of the one in `home`, which is found at the path that is given back.
fn replace(station: &Station) -> PathBuf {
    let [new, old] = ["new", "old"].map(|name| station.directory().join(name));
    let to = new.display().to_string();
    let arguments = [
        "station",
        "replace",
        "--to",
        &to,
        "--name",
        "station-1b",
        "--reason",
        "the disk failed and an old copy was put back",
    ];
    station.run(&arguments).refused(4, "permit-missing");
    let permitted = [&arguments[..], &["--permit", "replace-station"]].concat();
    station.run(&permitted).good();
    std::fs::rename(station.home(), &old).unwrap();
    std::fs::rename(&new, station.home()).unwrap();
    old
}

/// The old home is closed for good: it answers, and nothing is done with it.
fn assert_closed(station: &Station, old: &Path, unit: &str) {
    let to = station.directory().join("newer").display().to_string();
    let commands: &[&[&str]] = &[
        &["provision", "--order", "WO-1"],
        &["product", "retire", "sensor"],
        &["order", "close", "WO-1"],
        &[
            "station",
            "replace",
            "--to",
            &to,
            "--name",
            "station-1c",
            "--reason",
            "once more",
            "--permit",
            "replace-station",
        ],
    ];
    for command in commands {
        on(station, old, command).refused(3, "home-replaced");
    }
    assert!(!Path::new(&to).exists(), "nothing was made");
    assert_readable(station, old, unit);
}

/// The new station builds, and its log says whose place it took.
fn assert_works(station: &Station) {
    station.add_order("WO-2", 10).good();
    let built = station
        .run(&["provision", "--order", "WO-2", "--count", "4"])
        .good();
    assert_eq!(built.summary()["passed"], 4);
    assert_deep(station, "the new station");
}

#[test]
fn a_home_that_was_put_back_is_known_by_the_witness() {
    let mut home = Witnessed::new(station_over(&["sim", "sim"], 1_000), 100_000);
    let (unit, size, lost) = put_back(&home.station);
    let words = format!("has seen {lost} leaves of this log, which has {size} here");
    assert_only_read(&home.station, &unit, &words);
    assert_readable(&home.station, &home.station.home(), &unit);
    assert_found(&home.station, lost);

    // What it said outlasts it: whoever silences it then wins nothing.
    home.stop_witness();
    assert_only_read(&home.station, &unit, &words);
    home.bring_witness_back();
    let old = replace(&home.station);
    home.trust_replacement();
    assert_works(&home.station);
    let cosigned = home.cosigned().unwrap();
    assert!(Checkpoint::verify(&cosigned, &home.key).unwrap().size > 0);
    assert_closed(&home.station, &old, &unit);
}

/// A station whose registry lies elsewhere, as that of a factory does.
pub(crate) fn station_with_registry(registry: &Path) -> Station {
    let station = Station::bare();
    let url = format!("sqlite:{}", registry.display());
    let init = ["init", "--slot", "1=sim", "--slot", "2=sim"];
    station
        .run(&[&init[..], &["--registry", &url]].concat())
        .good();
    station
}

#[test]
fn a_home_that_was_put_back_is_known_by_the_registry_alone() {
    let outside = tempfile::tempdir().unwrap();
    let station = station_with_registry(&outside.path().join("registry.sqlite"));
    station.add_product("sensor", &[]).good();
    station.add_order("WO-1", 1_000).good();
    let (unit, size, lost) = put_back(&station);
    let words = format!("has shown {lost} leaves and now shows {size}");
    assert_only_read(&station, &unit, &words);
    assert_readable(&station, &station.home(), &unit);
    assert_found(&station, lost);
    let old = replace(&station);
    assert_works(&station);
    assert_closed(&station, &old, &unit);
}
