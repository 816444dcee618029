//! A station with a witness: what is cosigned, what may leave the building, and what may not.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdout, Stdio};

use serde_json::Value;

use crate::line::{built, dossier, policy};
use crate::station::{Station, keyline, ran};
use keyline_station::dossier::verify;

/// A witness's process, ended with this value.
pub(crate) struct Witness {
    process: Child,
    // Read to the end, so that it never waits for a reader.
    _lines: BufReader<ChildStdout>,
}

impl Drop for Witness {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

/// Makes a witness that trusts the station's log and whose cosignature the station needs, and starts it.
pub(crate) fn witnessed_by(station: &Station, name: &str) -> Witness {
    let store = station.directory().join(name);
    let witness = |arguments: &[&str]| {
        let mut command = keyline();
        command.args(["--json", "witness"]).args(arguments);
        command.arg("--store").arg(&store);
        command
    };
    let made = ran(&witness(&["init", "--name", name]).output().unwrap()).good();
    let key = made.all("witness")[0]["key"].as_str().unwrap().to_owned();
    let log_key = policy(station).log_keys()[0].to_string();
    ran(&witness(&["trust", &log_key]).output().unwrap()).good();
    let mut process = witness(&["serve", "--listen", "127.0.0.1:0"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(process.stdout.take().unwrap());
    let mut line = String::new();
    let url = loop {
        line.clear();
        assert_ne!(lines.read_line(&mut line).unwrap(), 0, "it never listened");
        let event: Value = serde_json::from_str(&line).unwrap();
        let words = event["message"].as_str().unwrap_or_default().to_owned();
        if let Some((_, rest)) = words.split_once("listens at ") {
            break rest.split_whitespace().next().unwrap().to_owned();
        }
    };
    let path = station.home().join("config.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let minimum = text.replace("cosignatures_min = 0", "cosignatures_min = 1");
    let witness = format!(
        "[[audit.witness]]\nkey = \"{key}\"\nurl = \"{url}\"\nrequired = true\n\n[operator]"
    );
    std::fs::write(&path, minimum.replacen("[operator]", &witness, 1)).unwrap();
    Witness {
        process,
        _lines: lines,
    }
}

#[test]
fn nothing_ships_that_no_witness_has_cosigned() {
    let (station, ids) = built(2);
    station
        .run(&["order", "ship", "WO-1"])
        .refused(3, "not-ready");
    let witness = witnessed_by(&station, "witness.example");
    let shipped = station.run(&["order", "ship", "WO-1"]).good();
    let shipments = shipped.all("shipment");
    assert_eq!(shipments.len(), ids.len());
    assert!(shipments.iter().all(|unit| unit["ships"] == true));
    // Once: what left does not leave again.
    let again = station.run(&["order", "ship", "WO-1"]).good();
    assert!(again.all("shipment").is_empty());
    // A unit that is built while the witness is away passes, and stays.
    drop(witness);
    station
        .run(&["provision", "--order", "WO-1", "--count", "1"])
        .good();
    let stays = station.run(&["order", "ship", "WO-1"]);
    assert_eq!(stays.code, 1, "{:?}", stays.lines);
    let unit = stays.all("shipment")[0].clone();
    assert_eq!(unit["ships"], false, "{unit}");
    assert!(unit["why"].as_str().unwrap().contains("cosigned"), "{unit}");
    // A scrapped unit stays for good.
    let scrapped = unit["device_id"].as_str().unwrap();
    station
        .run(&[
            "unit", "scrap", scrapped, "--reason", "broken", "--permit", "scrap",
        ])
        .good();
    let stays = station.run(&["order", "ship", "WO-1"]);
    let why = stays.all("shipment")[0]["why"].clone();
    assert!(why.as_str().unwrap().contains("scrapped"), "{why}");
}

#[test]
fn a_dossier_carries_the_cosignatures_that_its_policy_asks_for() {
    let (station, ids) = built(1);
    let _witness = witnessed_by(&station, "witness.example");
    // The station shows its log when it next runs.
    station.run(&["order", "close", "WO-1"]).good();
    let policy = policy(&station);
    assert_eq!(policy.witnesses().count(), 1);
    let dossier = dossier(&station, &ids[0]);
    let verdict = verify(&dossier, &policy);
    assert!(verdict.holds(), "{:?}", verdict.findings);
    let checkpoint = verdict
        .findings
        .iter()
        .find(|one| one.check == "checkpoint");
    let words = &checkpoint.unwrap().words;
    assert!(words.contains("cosigned by witness.example"), "{words}");
    let witnessed = station.run(&["audit", "checkpoint", "--witnessed"]).good();
    let note = witnessed.all("document")[0]["text"].as_str().unwrap();
    assert!(policy.check(note).is_ok(), "{note}");
    let out = station.directory().join("export").display().to_string();
    station
        .run(&["audit", "export", "--order", "WO-1", "--out", &out])
        .good();
    let text = station.directory().join("line.policy");
    std::fs::write(&text, policy.to_bytes()).unwrap();
    let text = text.display().to_string();
    station
        .run(&["audit", "verify", &out, "--policy", &text])
        .good();
    let doctor = station.run(&["doctor"]);
    let checks = doctor.all("check").into_iter();
    let mut witness = checks.filter(|check| check["check"] == "witness-1");
    assert_eq!(witness.next().unwrap()["state"], "ok", "{:?}", doctor.lines);
}

#[test]
fn that_a_unit_left_the_building_is_told_wherever_it_is_asked_for() {
    let (station, ids) = built(1);
    let _witness = witnessed_by(&station, "witness.example");
    let shown = |what: &str, name: &str| station.run(&[what, "show", name]).good();
    let order = shown("order", "WO-1");
    assert_eq!(order.all("order")[0]["shipped"], 0);
    assert!(shown("unit", &ids[0]).all("unit-record")[0]["shipped_at"].is_null());
    station.run(&["order", "ship", "WO-1"]).good();
    assert_eq!(shown("order", "WO-1").all("order")[0]["shipped"], 1);
    let unit = shown("unit", &ids[0]);
    let leaf = unit.all("unit-record")[0]["shipped_at"].as_u64().unwrap();
    let verdict = verify(&dossier(&station, &ids[0]), &policy(&station));
    assert!(verdict.holds(), "{:?}", verdict.findings);
    assert_eq!(
        verdict.result,
        format!("passed, then shipped (leaf {leaf})")
    );
}
