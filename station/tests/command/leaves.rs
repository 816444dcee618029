//! What goes into the audit log beside the units: who was refused, what the clock did, under which configuration the station ran.

use std::process::Command;

use serde_json::Value;
use sqlx::ConnectOptions as _;

use crate::station::{Station, ran};

/// The bodies of all leaves, in their order.
fn bodies(station: &Station) -> Vec<Value> {
    let path = station.home().join("journal.sqlite");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path);
        let mut connection = options.read_only(true).connect().await.unwrap();
        let bodies: Vec<String> = sqlx::query_scalar("SELECT body FROM entry ORDER BY leaf_index")
            .fetch_all(&mut connection)
            .await
            .unwrap();
        let parse = |body: &String| serde_json::from_str(body).unwrap();
        bodies.iter().map(parse).collect()
    })
}

fn of_kind<'a>(bodies: &'a [Value], kind: &str) -> Vec<&'a Value> {
    bodies.iter().filter(|body| body["kind"] == kind).collect()
}

#[test]
fn a_refused_sign_in_is_a_leaf_that_names_no_secret() {
    use std::os::unix::fs::PermissionsExt as _;
    let station = Station::with_order(3);
    let token = "A".repeat(43);
    let file = station.directory().join("token");
    std::fs::write(&file, &token).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let file = file.display().to_string();
    station
        .run(&["order", "close", "WO-1", "--operator-token", &file])
        .refused(4, "not-allowed");
    let bodies = bodies(&station);
    let refused = of_kind(&bodies, "sign-in-refused");
    assert_eq!(refused.len(), 1, "{bodies:?}");
    assert_eq!(refused[0]["request"], "order-close");
    assert_eq!(refused[0]["operator"], Value::Null);
    assert!(!format!("{bodies:?}").contains(&token));
    assert!(of_kind(&bodies, "order-closed").is_empty());
}

#[test]
fn each_configuration_that_the_station_ran_under_is_in_the_log_once() {
    let station = Station::with_order(3);
    let path = station.home().join("config.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let changed = text.replace("failures_max = 3", "failures_max = 4");
    assert_ne!(text, changed);
    std::fs::write(&path, &changed).unwrap();
    station.run(&["order", "close", "WO-1"]).good();
    let bodies = bodies(&station);
    let configurations = of_kind(&bodies, "configuration-changed");
    let texts: Vec<_> = configurations.iter().map(|body| &body["text"]).collect();
    assert_eq!(texts, [&text, &changed]);
    // Every start names the one that it ran under.
    let starts = of_kind(&bodies, "started");
    let digests: Vec<_> = starts.iter().map(|body| &body["configuration"]).collect();
    assert_eq!(digests.len(), 3, "{starts:?}");
    assert_eq!(digests[0], digests[1]);
    assert_ne!(digests[1], digests[2]);
}

/// The machine's own time stands still beside a wall clock that was set back: here the former is moved ahead instead.
#[test]
fn a_wall_clock_that_was_set_back_is_a_leaf() {
    let station = Station::with_order(3);
    assert!(of_kind(&bodies(&station), "clock-stepped").is_empty());
    let close = station.command(&["order", "close", "WO-1"]);
    let later = Command::new("unshare")
        .args(["--user", "--map-root-user", "--time", "--boottime", "3600"])
        .arg(close.get_program())
        .args(close.get_args())
        .output()
        .expect("these tests need unshare (util-linux)");
    ran(&later).good();
    let bodies = bodies(&station);
    let steps = of_kind(&bodies, "clock-stepped");
    assert_eq!(steps.len(), 1, "{bodies:?}");
    let of = |field: &str| steps[0][field].as_u64().unwrap();
    let back_ms = of("expected_ms") - of("found_ms");
    assert!((3_590_000..3_700_000).contains(&back_ms), "{back_ms}");
}

/// Comments are for whoever edits the file: names and telephone numbers stand there.
#[test]
fn what_somebody_notes_in_the_configuration_is_not_in_the_log() {
    let station = Station::with_order(3);
    let path = station.home().join("config.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let changed = text.replace(
        "failures_max = 3",
        "failures_max = 5 # ask Ada Byron, +44 20 7946 0018",
    );
    std::fs::write(&path, &changed).unwrap();
    station.run(&["order", "close", "WO-1"]).good();
    // Another comment alone is no other configuration.
    let again = changed.replace("Ada Byron", "Charles");
    std::fs::write(&path, again).unwrap();
    station.run(&["product", "retire", "sensor"]).good();
    let bodies = bodies(&station);
    let words = format!("{bodies:?}");
    assert!(
        !words.contains("Byron") && !words.contains("7946"),
        "{words}"
    );
    let known = of_kind(&bodies, "configuration-changed");
    let last = known.last().unwrap()["text"].as_str().unwrap();
    assert!(last.contains("failures_max = 5\n"), "{last}");
    let with_five = |body: &&&Value| body["text"].as_str().unwrap().contains("failures_max = 5");
    assert_eq!(known.iter().filter(with_five).count(), 1, "{known:?}");
}
