//! The disk of the tiles is full: the line goes on, the doctor says so, and later all is published.

use std::fs;
use std::process::{Command, Output};

use crate::station::{Station, ran};
use crate::station_killed::assert_caught_up;

/// In a mount namespace of its own, so that the directory is empty again afterwards.
const FULL_DISK: &str = r#"
home=$1 size=$2 keyline=$3
mount -t tmpfs -o size="$size" none "$home/tlog"
"$keyline" --json --home "$home" provision --order WO-1 --count 8 || code=$?
"$keyline" --json --home "$home" doctor > "$home/../doctor" 2>&1 || true
exit ${code:-0}
"#;

fn with_disk_of(station: &Station, size: &str) -> Output {
    let output = Command::new("unshare")
        .args([
            "--user",
            "--map-root-user",
            "--mount",
            "sh",
            "-ec",
            FULL_DISK,
            "sh",
        ])
        .arg(station.home())
        .arg(size)
        .arg(env!("CARGO_BIN_EXE_keyline"))
        .output()
        .expect("these tests need unshare (util-linux)");
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(
        !words.contains("unshare:") && !words.contains("mount:"),
        "this machine forbids user namespaces: {words}"
    );
    output
}

fn assert_line_goes_on(station: &Station, size: &str) {
    let ran = ran(&with_disk_of(station, size)).good();
    assert_eq!(ran.summary()["passed"], 8, "{size}: {:?}", ran.lines);
    let doctor = fs::read_to_string(station.directory().join("doctor")).unwrap();
    let tiles = doctor
        .lines()
        .find(|line| line.contains(r#""check":"tiles""#));
    let tiles: serde_json::Value = serde_json::from_str(tiles.unwrap()).unwrap();
    assert_eq!(tiles["state"], "warn", "{size}: {tiles}");
    assert!(tiles["next"].as_str().unwrap().contains("disk"), "{tiles}");
    assert_caught_up(station);
}

#[test]
fn a_full_disk_under_the_tiles_does_not_stop_the_line() {
    let station = Station::with_order(100);
    let config = station.home().join("config.toml");
    let text = fs::read_to_string(&config).unwrap();
    let text = text.replace("free_space_min_mib = 64", "free_space_min_mib = 0");
    fs::write(config, text).unwrap();
    for size in ["4k", "16k", "24k"] {
        assert_line_goes_on(&station, size);
    }
}

#[test]
fn the_last_room_is_left_to_the_journal() {
    let station = Station::with_order(100);
    assert_line_goes_on(&station, "1m");
}

/// The file of the lowest tile that is not full: the one of this many hashes. Narrower ones are for those who hold an earlier checkpoint.
fn widest_file(directory: &std::path::Path) -> std::path::PathBuf {
    let entries = fs::read_dir(directory.join("000.p")).unwrap();
    let entries = entries.map(|entry| entry.unwrap().path());
    let width = |path: &std::path::PathBuf| -> u16 {
        path.file_name().unwrap().to_str().unwrap().parse().unwrap()
    };
    entries.max_by_key(width).unwrap()
}

#[test]
fn a_damaged_file_of_the_published_log_is_found_by_a_deep_verification() {
    let station = Station::with_order(100);
    station
        .run(&["provision", "--order", "WO-1", "--count", "8"])
        .good();
    station.run(&["audit", "verify", "--deep"]).good();
    let file = widest_file(&station.home().join("tlog/tile/0"));
    let whole = fs::read(&file).unwrap();
    for content in [Some(vec![0; whole.len()]), None] {
        match &content {
            Some(bytes) => fs::write(&file, bytes).unwrap(),
            None => fs::remove_file(&file).unwrap(),
        }
        let ran = station.run(&["audit", "verify", "--deep"]);
        assert_eq!(ran.code, 5, "{:?}", ran.lines);
        let mut checks = ran.all("check").into_iter();
        let check = checks.find(|check| check["check"] == "tiles-damaged");
        let check = check.unwrap_or_else(|| panic!("{:?}", ran.lines));
        let found = check["found"].as_str().unwrap();
        assert!(
            found.contains("of the published log missing or damaged, the first is tile/"),
            "{found}"
        );
        let verdict = ran.all("verdict")[0];
        assert!(
            verdict["result"]
                .as_str()
                .unwrap()
                .ends_with("the published log is damaged"),
            "{verdict}"
        );
    }
    // It is made anew while the station runs.
    station.run(&["audit", "checkpoint"]).good();
    station
        .run(&["provision", "--order", "WO-1", "--count", "1"])
        .good();
    station.run(&["audit", "verify", "--deep"]).good();
}
