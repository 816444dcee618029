//! An export is of one moment, also while a line is running, and the line goes on.

use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;

use keyline_station::audit::{Checkpoint, Frontier, leaf_hash};
use keyline_station::export::verify;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::factory::{export, factory, log_key, read_jsonl};
use crate::station::Station;

/// How many exports of each kind are made while the line runs.
const EXPORTS: usize = 8;

#[test]
fn a_running_line_is_exported_as_it_is_at_one_moment() {
    let station = factory();
    station.add_order("WO-9", 1_000_000).good();
    let mut line = station
        .command(&[
            "provision",
            "--order",
            "WO-9",
            "--slot",
            "1",
            "--count",
            "100000",
        ])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(line.stdout.take().unwrap());
    let mut text = String::new();
    while !text.contains("\"passed\"") {
        text.clear();
        assert_ne!(output.read_line(&mut text).unwrap(), 0, "it ended early");
    }
    // Somebody must read on, or the line would wait for its reader.
    let reader = std::thread::spawn(move || {
        let mut rest = String::new();
        output.read_to_string(&mut rest).unwrap();
        rest
    });
    std::thread::scope(|scope| {
        // Two at once: one waits for the other, and all are whole.
        for rows in ["units", "leaves"] {
            let station = &station;
            scope.spawn(move || {
                for number in 0..EXPORTS {
                    let out = format!("{rows}-{number}");
                    export(station, &out, &["--rows", rows, "--format", "jsonl"]).good();
                }
            });
        }
    });
    kill_process(Pid::from_child(&line), Signal::TERM).unwrap();
    assert_eq!(line.wait().unwrap().code(), Some(130));
    let rest = reader.join().unwrap();
    for line in rest.lines() {
        let event: Value = serde_json::from_str(line).unwrap();
        let code = &event["error"]["code"];
        assert!(
            code.is_null() || code == "stopped",
            "the line went on: {event}"
        );
    }
    for number in 0..EXPORTS {
        assert_units_of_one_moment(&station, &format!("units-{number}"));
        assert_leaves_of_one_moment(&station, &format!("leaves-{number}"));
    }
}

fn assert_units_of_one_moment(station: &Station, out: &str) {
    let directory = station.directory().join(out);
    let verified = verify(&directory, &[log_key(station)]).unwrap();
    for row in read_jsonl(&directory.join("units.jsonl")) {
        for leaf in ["run_started_leaf", "proven_leaf", "run_ended_leaf"] {
            let leaf = row[leaf].as_u64();
            let within = leaf.is_none_or(|leaf| leaf < verified.manifest.size);
            assert!(within, "a leaf after the checkpoint: {row}");
        }
        let ended = !row["result"].is_null();
        assert_eq!(ended, !row["run_ended_leaf"].is_null(), "{row}");
    }
}

fn assert_leaves_of_one_moment(station: &Station, out: &str) {
    let directory = station.directory().join(out);
    let keys = [log_key(station)];
    let verified = verify(&directory, &keys).unwrap();
    let mut frontier = Frontier::default();
    for row in read_jsonl(&directory.join("leaves.jsonl")) {
        let leaf = hex::decode(row["leaf"].as_str().unwrap()).unwrap();
        frontier.append(leaf_hash(&leaf));
    }
    let checkpoint = Checkpoint::verify(&verified.checkpoint_note, &keys[0]).unwrap();
    let found = (frontier.size(), frontier.root());
    assert_eq!((checkpoint.size, checkpoint.root), found);
}
