//! A station that builds for two customers, and exports of it.

use std::path::{Path, PathBuf};

use keyline_station::audit::VerifierKey;
use keyline_station::journal::JournalReader;
use serde_json::Value;

use crate::station::{Ran, Station};

/// Three products for two customers, three orders, and what was provisioned of them: 3 units of WO-1 and 1 of WO-2, both sensors for
/// acme, and 2 of WO-3, gateways for zenith.
pub(crate) fn factory() -> Station {
    let station = Station::new();
    let credentials = station.directory().join("hidden-credentials");
    std::fs::write(&credentials, "ssid and password of the factory").unwrap();
    station
        .add_product("sensor", &["--customer", "acme"])
        .good();
    station
        .add_product("gateway", &["--customer", "zenith"])
        .good();
    let file = credentials.display().to_string();
    station
        .add_product("meter", &["--customer", "acme", "--credentials", &file])
        .good();
    for (order, product) in [("WO-1", "sensor"), ("WO-2", "sensor"), ("WO-3", "gateway")] {
        add_order(&station, order, product);
    }
    provision(&station, "WO-1", 2);
    station
        .run(&[
            "provision",
            "--order",
            "WO-1",
            "--slot",
            "1",
            "--serial",
            "TH-1",
        ])
        .good();
    provision(&station, "WO-2", 1);
    provision(&station, "WO-3", 2);
    station
}

pub(crate) fn add_order(station: &Station, order: &str, product: &str) {
    let arguments = [
        "order",
        "add",
        "--name",
        order,
        "--product",
        product,
        "--quantity",
        "100",
    ];
    station.run(&arguments).good();
}

pub(crate) fn provision(station: &Station, order: &str, count: u32) {
    let count = count.to_string();
    let arguments = [
        "provision",
        "--order",
        order,
        "--slot",
        "1",
        "--count",
        &count,
    ];
    let ran = station.run(&arguments).good();
    assert_eq!(ran.summary()["passed"].to_string(), count);
}

/// Exports into the directory `out` beside the home.
pub(crate) fn export(station: &Station, out: &str, more: &[&str]) -> Ran {
    let arguments = [&["audit", "export", "--out", out], more].concat();
    station.run(&arguments)
}

/// Exports as JSON Lines and gives the rows.
pub(crate) fn rows(station: &Station, out: &str, more: &[&str]) -> Vec<Value> {
    let arguments = [&["--format", "jsonl"], more].concat();
    let ran = export(station, out, &arguments).good();
    let directory = station.directory().join(out);
    let file = ran.all("export")[0]["files"][0]["name"].as_str().unwrap();
    let rows = read_jsonl(&directory.join(file));
    assert_eq!(
        ran.all("export")[0]["files"][0]["rows"],
        rows.len(),
        "{ran:?}",
        ran = ran.lines
    );
    rows
}

pub(crate) fn read_jsonl(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    let line = |line: &str| serde_json::from_str(line).unwrap();
    text.lines().map(line).collect()
}

/// A column of rows, as text.
pub(crate) fn column(rows: &[Value], name: &str) -> Vec<String> {
    let cell = |row: &Value| {
        let cell = row.get(name).unwrap_or_else(|| panic!("no {name}: {row}"));
        cell.as_str()
            .map_or_else(|| cell.to_string(), str::to_owned)
    };
    rows.iter().map(cell).collect()
}

/// The public key of the station's log, as an auditor has it.
pub(crate) fn log_key(station: &Station) -> VerifierKey {
    use keyline_station::audit::{CheckpointSigner, FileSigner};
    let signer = FileSigner::open(&station.home().join("keys/audit.pem")).unwrap();
    CheckpointSigner::File(signer)
        .verifier_key("station-1")
        .unwrap()
}

/// The journal, read from outside.
pub(crate) async fn journal(station: &Station) -> JournalReader {
    JournalReader::open(&station.home().join("journal.sqlite"))
        .await
        .unwrap()
}

/// Every file below a directory whose content has `needle` in it.
pub(crate) fn files_with(directory: &Path, needle: &[u8]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_with(&path, needle));
        } else if path.is_file() {
            let content = std::fs::read(&path).unwrap();
            if content.windows(needle.len()).any(|part| part == needle) {
                found.push(path);
            }
        }
    }
    found
}
