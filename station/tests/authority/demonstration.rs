//! A home without a root of its own: everything works as it did, by the same way, and it is marked.

use serde_json::Value;
use sqlx::ConnectOptions as _;

use crate::station::Station;

/// The rows of accepted bundles: kind, subject, version.
pub(crate) fn bundles(station: &Station) -> Vec<(String, String, i64)> {
    let path = station.home().join("journal.sqlite");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path);
        let mut connection = options.read_only(true).connect().await.unwrap();
        sqlx::query_as("SELECT kind, subject, version FROM authority_bundle ORDER BY leaf_index")
            .fetch_all(&mut connection)
            .await
            .unwrap()
    })
}

pub(crate) fn check(station: &Station, name: &str) -> Option<Value> {
    let doctor = station.run(&["doctor"]);
    let mut checks = doctor.all("check").into_iter();
    checks.find(|check| check["check"] == name).cloned()
}

#[test]
fn a_described_product_is_signed_by_the_demonstration_s_key() {
    let station = Station::bare();
    let made = station.run(&["init", "--slot", "1=sim"]).good();
    let words = made.all("notice")[0]["message"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(
        words.contains("The authority is a demonstration"),
        "{words}"
    );
    let key = station.home().join("keys/demo-authority.pem");
    assert_eq!(
        std::os::unix::fs::PermissionsExt::mode(&key.metadata().unwrap().permissions()) & 0o777,
        0o600
    );
    station.add_product("sensor", &[]).good();
    station.run(&["product", "retire", "sensor"]).good();
    station.add_product("sensor", &[]).good();
    station.add_product("sensor", &[]).refused(2, "refused");
    let sensor = |version| ("product".to_owned(), "sensor".to_owned(), version);
    assert_eq!(bundles(&station), [sensor(1), sensor(2)]);
    station.add_order("WO-1", 1).good();
    station
        .run(&["provision", "--order", "WO-1", "--count", "1"])
        .good();
    station.run(&["audit", "verify", "--deep"]).good();
    assert_eq!(check(&station, "authority").unwrap()["state"], "warn");
    assert_eq!(check(&station, "authority-bundles").unwrap()["state"], "ok");
}

#[test]
fn a_home_that_is_older_than_roots_gets_a_demonstration_s() {
    let station = Station::new();
    let config = station.home().join("config.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    let pinned = text
        .lines()
        .find(|line| line.starts_with("root_digest"))
        .unwrap();
    let older = text
        .replace("[authority]\n", "")
        .replace(&format!("{pinned}\n"), "");
    std::fs::write(&config, format!("# mine\n{older}")).unwrap();
    std::fs::remove_dir_all(station.home().join("authority")).unwrap();
    std::fs::remove_file(station.home().join("keys/demo-authority.pem")).unwrap();
    assert_eq!(check(&station, "authority").unwrap()["state"], "warn");
    station.add_product("sensor", &[]).good();
    let text = std::fs::read_to_string(&config).unwrap();
    assert!(
        text.starts_with("# mine\n"),
        "what people wrote stays: {text}"
    );
    assert!(text.contains("[authority]\nroot_digest = "), "{text}");
    station.run(&["audit", "verify", "--deep"]).good();
}

#[test]
fn a_policy_that_is_lost_or_changed_is_told() {
    let station = Station::new();
    let directory = station.home().join("authority");
    let policy = std::fs::read_dir(directory)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let text = std::fs::read_to_string(&policy).unwrap();
    let other = text.replace("name demo-authority", "name other-authority");
    std::fs::write(&policy, other).unwrap();
    station.add_product("sensor", &[]).refused(3, "root-policy");
    assert_eq!(check(&station, "authority").unwrap()["state"], "fail");
    std::fs::remove_file(&policy).unwrap();
    station.add_product("sensor", &[]).refused(3, "root-policy");
    std::fs::write(&policy, text).unwrap();
    station.add_product("sensor", &[]).good();
}

#[test]
fn a_registry_without_stations_says_so() {
    let station = Station::new();
    let listed = station.run(&["station", "list"]).good();
    assert!(listed.all("station").is_empty());
    let words = listed.all("notice")[0]["message"].as_str().unwrap();
    assert!(words.starts_with("No station is enrolled here"), "{words}");
}
