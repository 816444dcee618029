//! Rows of units: the same in every format, and what the journal knows.

use keyline_station::export::{ColumnKind, UNIT_COLUMNS, verify};
use keyline_station::record::{DeviceIdText, Evidence, Step};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::factory::{column, export, factory, journal, log_key, read_jsonl};
use crate::reader;

#[test]
fn three_formats_say_the_same_to_three_readers() {
    let station = factory();
    let formats = [
        "--format", "parquet", "--format", "csv", "--format", "jsonl", "--format", "csv",
    ];
    let ran = export(&station, "all", &formats).good();
    let exported = ran.all("export")[0];
    let names = exported["files"].as_array().unwrap();
    let names: Vec<_> = names
        .iter()
        .map(|file| file["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["units.csv", "units.jsonl", "units.parquet"]);
    let directory = station.directory().join("all");
    let by_json = read_jsonl(&directory.join("units.jsonl"));
    let by_csv = reader::csv_rows(&directory.join("units.csv"));
    let (by_parquet, schema) = reader::parquet(&directory.join("units.parquet"));
    assert_eq!(by_json.len(), 6);
    assert_eq!((by_csv.len(), by_parquet.len()), (6, 6));
    for ((json, csv), parquet) in by_json.iter().zip(&by_csv).zip(&by_parquet) {
        assert_eq!(json.as_object().unwrap().len(), UNIT_COLUMNS.len());
        for wanted in UNIT_COLUMNS {
            let (json, csv) = (&json[wanted.name], &csv[wanted.name]);
            let text = match json {
                Value::Null => String::new(),
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            assert_eq!(csv, &text, "{}", wanted.name);
            if wanted.kind != ColumnKind::Time {
                assert_eq!(&parquet[wanted.name], json, "{}", wanted.name);
            }
        }
        assert_eq!(parquet["started_at"], json["started_at_ms"]);
        assert_eq!(parquet["ended_at"], json["ended_at_ms"]);
    }
    for expected in [
        "device_id: string",
        "slot: int64",
        "started_at: timestamp[ms, tz=UTC]",
        "public_key: binary",
        "lock_seen_to_hold: bool",
        "run_ended_leaf: int64",
    ] {
        assert!(schema.iter().any(|field| field == expected), "{schema:?}");
    }
    verify(&directory, &[log_key(&station)]).unwrap();
}

#[test]
fn a_row_is_what_the_journal_knows_of_the_unit() {
    let station = factory();
    export(&station, "all", &["--format", "jsonl"]).good();
    let rows = read_jsonl(&station.directory().join("all/units.jsonl"));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let journal = journal(&station).await;
        for row in &rows {
            let text = |name: &str| row[name].as_str().unwrap();
            let device_id = DeviceIdText::try_from(text("device_id").to_owned()).unwrap();
            let run = journal.last_run_of(device_id).await.unwrap().unwrap();
            assert_eq!(text("run_id"), run.id.to_string());
            assert_eq!(row["started_at_ms"], run.started_at_ms);
            assert_eq!(row["ended_at_ms"], run.ended_at_ms.unwrap());
            assert_eq!((text("state"), text("result")), ("passed", "passed"));
            assert_eq!((text("proof"), text("lock_policy")), ("signed", "sealed"));
            assert_eq!((text("algorithm"), text("key_made")), ("p256", "on-device"));
            let steps = journal.steps_of(run.id).await.unwrap();
            let done = |step| {
                let event = steps.iter().rev().find(|event| event.step == step);
                event.unwrap()
            };
            assert_eq!(row["proven_leaf"], done(Step::Proven).leaf);
            assert_eq!(row["pinned_leaf"], done(Step::Pinned).leaf);
            let Some(Evidence::Keyed { public_key, .. }) = &done(Step::Keyed).evidence else {
                panic!("no key");
            };
            assert_eq!(text("public_key"), hex::encode(public_key));
            assert_eq!(
                text("public_key_fingerprint"),
                hex::encode(Sha256::digest(public_key))
            );
            let Some(Evidence::Injected { record_digest, .. }) = &done(Step::Injected).evidence
            else {
                panic!("no record");
            };
            assert_eq!(text("record_digest"), hex::encode(record_digest));
            assert!(row["run_started_leaf"].as_u64() < row["proven_leaf"].as_u64());
            assert!(row["pinned_leaf"].as_u64() < row["run_ended_leaf"].as_u64());
        }
    });
    assert_eq!(
        column(&rows, "serial")
            .iter()
            .filter(|serial| *serial == "TH-1")
            .count(),
        1
    );
    let mut devices = column(&rows, "device_id");
    devices.sort_unstable();
    devices.dedup();
    assert_eq!(devices.len(), 6, "one row a unit");
}
