//! What the log says of an import, and that the registry is held against it.

use std::fs;

use serde_json::Value;
use sha2::{Digest as _, Sha256};
use sqlx::{ConnectOptions as _, Connection as _};

use crate::fixture::{csv, device, p256, row};
use crate::station::Station;

async fn connection(station: &Station, name: &str) -> sqlx::SqliteConnection {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(station.home().join(name));
    options.foreign_keys(false).connect().await.unwrap()
}

/// The bodies of the leaves that say how imports ended.
fn ended(station: &Station) -> Vec<Value> {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let bodies: Vec<String> = runtime.block_on(async {
        let mut journal = connection(station, "journal.sqlite").await;
        let question = sqlx::query_scalar(
            "SELECT body FROM entry WHERE body ->> 'kind' = 'fleet-import-ended' ORDER BY leaf_index",
        );
        question.fetch_all(&mut journal).await.unwrap()
    });
    let body = |text: &String| serde_json::from_str(text).unwrap();
    bodies.iter().map(body).collect()
}

fn change_registry(station: &Station, sql: &str) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let mut registry = connection(station, "registry.sqlite").await;
        let sql = sqlx::AssertSqlSafe(sql.to_owned());
        sqlx::raw_sql(sql).execute(&mut registry).await.unwrap();
        registry.close().await.unwrap();
    });
}

#[test]
fn an_import_ends_with_its_counts_and_the_digest_of_its_file() {
    let station = Station::new();
    let content = csv(&[
        row(1, &p256(1)),
        format!("{},no key\n", device(2)),
        row(3, &p256(3)),
    ]);
    fs::write(station.directory().join("fleet.csv"), &content).unwrap();
    let import = ["registry", "import", "fleet.csv", "--state", "state"];
    let ran = station.run(&import);
    assert_eq!(ran.code, 1, "{:?} {}", ran.lines, ran.words);
    let again = [&import[..], &["--resume"]].concat();
    station.run(&again);
    let anew = ["registry", "import", "fleet.csv"];
    station.run(&anew);
    let nowhere = [
        "registry",
        "import",
        "fleet.csv",
        "--state",
        "no/such/place",
    ];
    station.run(&nowhere).refused(2, "input");

    let ended = ended(&station);
    let counts: Vec<_> = ended
        .iter()
        .map(|leaf| {
            ["rows", "imported", "already", "refused"].map(|name| leaf[name].as_u64().unwrap())
        })
        .collect();
    // The first one, one that had nothing left to do, one that brought nothing new, one that could not begin.
    assert_eq!(
        counts,
        [[3, 2, 0, 1], [0, 0, 0, 0], [3, 0, 2, 1], [0, 0, 0, 0]]
    );
    let digest = hex::encode(Sha256::digest(&content));
    for leaf in &ended[..3] {
        let file = &leaf["file"];
        assert_eq!(
            (&file["sha256"], &file["bytes"], &file["rows"]),
            (&digest.as_str().into(), &content.len().into(), &3.into())
        );
        assert_eq!(leaf["finished"], true);
    }
    // What it went on from counts in the file's totals, not among its own.
    assert_eq!(ended[1]["file"]["imported"], 2);
    assert_eq!(
        (&ended[3]["file"], &ended[3]["finished"]),
        (&Value::Null, &false.into())
    );
    station.run(&["audit", "verify", "--deep"]).good();
}

#[test]
fn keys_that_an_import_did_not_enter_or_that_are_gone_are_found() {
    let station = Station::new();
    let content = csv(&[row(1, &p256(1)), row(3, &p256(3))]);
    fs::write(station.directory().join("fleet.csv"), &content).unwrap();
    station.run(&["registry", "import", "fleet.csv"]).good();
    station.run(&["audit", "verify", "--deep"]).good();
    let found = |code: &str| {
        let ran = station.run(&["audit", "verify", "--deep"]);
        assert_eq!(ran.code, 5, "{:?}", ran.lines);
        let checks = ran.all("check").into_iter();
        let mut checks = checks.filter(|check| check["check"] == code);
        checks
            .next()
            .unwrap_or_else(|| panic!("{code}: {:?}", ran.lines))["found"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let id = device(9);
    change_registry(
        &station,
        &format!(
            "INSERT INTO key_claim (fingerprint, device_id, generation, turn, basis, algorithm, public_key, rework, claimed_at_ms, run) \
             SELECT X'{}', X'{id}', 1, 1, 'import', algorithm, public_key, 0, claimed_at_ms, run FROM key_claim LIMIT 1",
            "77".repeat(32)
        ),
    );
    let words = found("import-rows-added");
    assert!(
        words.contains("expected 2 keys of it, as its last leaf says, found 3 keys"),
        "{words}"
    );
    change_registry(
        &station,
        "DELETE FROM pin; DELETE FROM key_claim WHERE fingerprint IN (SELECT fingerprint FROM key_claim LIMIT 2)",
    );
    let words = found("import-rows-missing");
    assert!(
        words.contains("expected 2 keys of it, as its last leaf says, found 1 key"),
        "{words}"
    );
}
