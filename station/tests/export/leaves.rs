//! Rows of leaves: the whole log can be rebuilt from them, and every body opens its commitment.

use keyline_station::audit::{Checkpoint, Frontier, Leaf, commitment, leaf_hash};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::factory::{column, export, factory, log_key, read_jsonl, rows};
use crate::reader;

fn bytes(row: &Value, name: &str) -> Vec<u8> {
    hex::decode(row[name].as_str().unwrap()).unwrap()
}

/// The row agrees with itself: envelope, columns, salt and body.
fn assert_opens(row: &Value) {
    let leaf = bytes(row, "leaf");
    let leaf = Leaf::decode(&leaf).unwrap();
    assert_eq!(row["kind"], leaf.kind);
    assert_eq!(row["at_ms"], leaf.wall_ms);
    assert_eq!(
        row["run_id"].as_str().map(str::to_owned),
        leaf.run.map(|run| run.to_string())
    );
    assert_eq!(
        row["device_id"].as_str().map(str::to_owned),
        leaf.device_id.map(String::from)
    );
    if row["withheld"].is_null() {
        let salt: [u8; 32] = bytes(row, "salt").try_into().unwrap();
        let body = row["body"].as_str().unwrap();
        assert_eq!(commitment(&salt, body.as_bytes()), leaf.commitment);
        let change: Value = serde_json::from_str(body).unwrap();
        assert_eq!(change["kind"], leaf.kind);
    } else {
        assert!(row["salt"].is_null() && row["body"].is_null(), "{row}");
    }
}

#[test]
fn the_log_is_rebuilt_from_an_export_of_all_of_it() {
    let station = factory();
    let all = rows(&station, "log", &["--rows", "leaves"]);
    let mut frontier = Frontier::default();
    for (index, row) in all.iter().enumerate() {
        assert_eq!(row["leaf_index"], index, "none is missing");
        assert_opens(row);
        frontier.append(leaf_hash(&bytes(row, "leaf")));
    }
    let note = std::fs::read_to_string(station.directory().join("log/checkpoint.txt")).unwrap();
    let checkpoint = Checkpoint::verify(&note, &log_key(&station)).unwrap();
    assert_eq!(checkpoint.size, frontier.size());
    assert_eq!(checkpoint.root, frontier.root());
}

#[test]
fn an_export_is_a_leaf_of_its_own() {
    let station = factory();
    let first = export(&station, "first", &["--customer", "acme"]).good();
    let exported = first.all("export")[0];
    let log = rows(&station, "log", &["--rows", "leaves"]);
    let index = usize::try_from(exported["leaf"].as_u64().unwrap()).unwrap();
    let body: Value = serde_json::from_str(log[index]["body"].as_str().unwrap()).unwrap();
    assert_eq!(body["kind"], "exported");
    assert_eq!(body["digest"], exported["manifest_digest"]);
    assert_eq!(body["filter"], "rows=units formats=csv customer=acme");
    assert!(body["sealed_to"].is_null());
    let manifest = std::fs::read(station.directory().join("first/manifest.txt")).unwrap();
    assert_eq!(body["digest"], hex::encode(Sha256::digest(manifest)));
    // The second export is not in its own data: that was read before.
    let exports = column(&log, "kind");
    let exports = exports.iter().filter(|kind| *kind == "exported");
    assert_eq!(exports.count(), 1);
}

#[test]
fn what_was_refused_is_no_leaf() {
    let station = factory();
    export(&station, "out", &["--order", "WO-9"]).refused(2, "unknown");
    std::fs::create_dir(station.directory().join("full")).unwrap();
    std::fs::write(station.directory().join("full/file"), "mine").unwrap();
    export(&station, "full", &[]).refused(2, "export-place");
    let log = rows(&station, "log", &["--rows", "leaves"]);
    assert!(!column(&log, "kind").contains(&"exported".to_owned()));
}

#[test]
fn every_format_has_every_body_byte_by_byte() {
    let station = factory();
    let formats = [
        "--format", "csv", "--format", "jsonl", "--format", "parquet",
    ];
    let more = [&formats[..], &["--rows", "leaves"]].concat();
    export(&station, "log", &more).good();
    let directory = station.directory().join("log");
    let by_json = read_jsonl(&directory.join("leaves.jsonl"));
    let by_csv = reader::csv_rows(&directory.join("leaves.csv"));
    let (by_parquet, _) = reader::parquet(&directory.join("leaves.parquet"));
    assert_eq!(by_json.len(), by_csv.len());
    assert_eq!(by_json.len(), by_parquet.len());
    for ((json, csv), parquet) in by_json.iter().zip(&by_csv).zip(&by_parquet) {
        assert_opens(json);
        assert_eq!(parquet["body"], json["body"]);
        assert_eq!(parquet["leaf"], json["leaf"]);
        assert_eq!(csv["body"], json["body"].as_str().unwrap_or_default());
        assert_eq!(csv["leaf"], json["leaf"]);
        assert_eq!(parquet["at"], json["at_ms"]);
    }
}

#[test]
fn a_body_that_names_the_credentials_is_withheld_and_no_name_is_anywhere() {
    let station = factory();
    let all = rows(&station, "log", &["--rows", "leaves"]);
    let withheld: Vec<&Value> = all
        .iter()
        .filter(|row| !row["withheld"].is_null())
        .collect();
    assert_eq!(withheld.len(), 1, "{withheld:?}");
    assert_eq!(withheld[0]["kind"], "product-added");
    export(&station, "units", &["--format", "csv", "--format", "jsonl"]).good();
    let token = std::fs::read_to_string(station.home().join("keys/operator.token")).unwrap();
    for directory in ["log", "units"] {
        let directory = station.directory().join(directory);
        for secret in [
            "hidden-credentials",
            "ssid and password",
            "administrator\"",
            token.trim(),
        ] {
            let found = crate::factory::files_with(&directory, secret.as_bytes());
            // The role is not the name; the first operator happens to be called like his role.
            let found = found.len() - usize::from(secret == "administrator\"" && found.len() == 1);
            assert_eq!(found, 0, "{secret}");
        }
    }
    let administrator = all.iter().filter(|row| {
        let body = row["body"].as_str().unwrap_or_default();
        body.contains("administrator")
    });
    let kinds: Vec<_> = administrator.map(|row| row["kind"].clone()).collect();
    assert_eq!(kinds, ["operator-added"], "as a role");
}
