//! The disk fills up, or fails, at every point of a unit's run: no PASS is told that is not on disk, the last line is a summary, and
//! the next run on a sound disk finishes the unit.

use std::path::Path;
use std::process::{Command, Output};

use crate::pty::PtyUnit;
use crate::station::{Ran, Station, ran};
use crate::support::{
    assert_whole, edit_config, end, ended, link, listed, on_a_line, only_pin, station_over, unit,
};

/// The station begins however little space there is.
fn begin_without_space(station: &Station) {
    edit_config(station, |line| {
        line.starts_with("free_space_min_mib")
            .then(|| "free_space_min_mib = 0".to_owned())
    });
    // The registry is there before the disk is full.
    station
        .run(&["provision", "--order", "WO-1", "--dry-run"])
        .good();
}

/// A station with one unit on a line.
fn bench(number: u32) -> (PtyUnit, Station) {
    let line = on_a_line(&unit(number));
    let station = station_over(&[&link(&line)], 10);
    begin_without_space(&station);
    (line, station)
}

/// What was said of the unit at the end of a run on a bad disk.
fn assert_honest(first: &Ran, point: &str) {
    let summary = first.summary();
    let passed = ended(&first.lines)
        .iter()
        .filter(|event| event["state"] == "passed")
        .count();
    assert_eq!(summary["passed"], passed, "{point}: {:?}", first.lines);
    assert!(
        !first.words.contains("panicked"),
        "{point}: {}",
        first.words
    );
    if first.code == 0 {
        assert_eq!(passed, 1, "{point}: {:?}", first.lines);
        return;
    }
    assert!(
        [3, 5].contains(&first.code),
        "{point}: {} {:?} {}",
        first.code,
        first.lines,
        first.words
    );
    let errors = first.all("error");
    assert_eq!(errors.len(), 1, "{point}: told once: {:?}", first.lines);
    let error = &errors[0]["error"];
    assert!(
        !error["next"].as_str().unwrap().is_empty(),
        "{point}: {error}"
    );
}

/// On a sound disk again: what was told as passed is so, and the unit ends in PASS with one pin.
fn assert_finishes(station: &Station, first: &Ran, point: &str) {
    let again = station.run(&["provision", "--order", "WO-1"]);
    assert_eq!(
        again.code, 0,
        "{point}: {:?} {}\nbefore: {:?}",
        again.lines, again.words, first.lines
    );
    let unit = end(&again);
    assert_eq!(unit["state"], "passed", "{point}: {unit}");
    let told = ended(&first.lines)
        .iter()
        .any(|event| event["state"] == "passed");
    if told {
        assert_eq!(
            unit["already"], true,
            "{point}: a PASS that was not on disk"
        );
    }
    only_pin(station, unit["device_id"].as_str().unwrap());
    assert_whole(station);
}

/// In a mount namespace of its own: the home lies on a disk with so much space left, runs, and is copied back.
const FULL_DISK: &str = r#"
home=$1 disk=$2 left_kib=$3 keyline=$4; shift 4
mount -t tmpfs -o size=64m none "$disk"
cp -a "$home" "$disk/home"
head -c 64m /dev/zero > "$disk/filler" 2>/dev/null || true
size=$(stat -c %s "$disk/filler")
truncate -s $((size - left_kib * 1024)) "$disk/filler"
"$keyline" --json --home "$disk/home" provision --order WO-1 "$@" || code=$?
rm "$disk/filler"
rm -rf "$home"
cp -a "$disk/home" "$home"
exit ${code:-0}
"#;

fn with_space_left(station: &Station, left_kib: u32, more: &[&str]) -> Output {
    let disk = station.directory().join("disk");
    std::fs::create_dir(&disk).unwrap();
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
        .arg(&disk)
        .arg(left_kib.to_string())
        .arg(env!("CARGO_BIN_EXE_keyline"))
        .args(more)
        .output()
        .expect("these tests need unshare (util-linux)");
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(
        !words.contains("unshare:") && !words.contains("mount:"),
        "this machine forbids user namespaces: {words}"
    );
    output
}

#[test]
fn a_disk_that_fills_up_at_any_point_of_a_run() {
    let mut codes = Vec::new();
    for (number, left_kib) in (0..480).step_by(16).enumerate() {
        let point = format!("{left_kib} KiB left");
        let (_line, station) = bench(u32::try_from(number).unwrap() + 1);
        let first = ran(&with_space_left(&station, left_kib, &[]));
        assert_honest(&first, &point);
        assert_finishes(&station, &first, &point);
        codes.push(first.code);
    }
    // It was full in the middle of some runs, and not in all of them.
    assert!(codes.iter().any(|code| *code != 0), "{codes:?}");
    assert!(codes.contains(&0), "{codes:?}");
}

/// Runs the station's provisioning with the n-th of these system calls failing.
fn with_fault(station: &Station, call: &str, error: &str, nth: usize) -> Output {
    let log = station.directory().join("strace");
    let inject = format!("--inject={call}:error={error}:when={nth}+");
    Command::new("strace")
        .args([
            "-f",
            "-qq",
            "-e",
            "signal=none",
            &format!("--trace={call}"),
            &inject,
            "-o",
        ])
        .arg(&log)
        .arg(env!("CARGO_BIN_EXE_keyline"))
        .args(["--json", "--home"])
        .arg(station.home())
        .args(["provision", "--order", "WO-1"])
        .output()
        .expect("these tests need strace (Debian: apt-get install strace)")
}

fn injected(directory: &Path) -> bool {
    let log = std::fs::read_to_string(directory.join("strace")).unwrap();
    log.contains("(INJECTED)")
}

/// From the n-th flush on none succeeds, for every n that a run has.
fn every_failing(call: &str, error: &str) -> Vec<i32> {
    let mut codes = Vec::new();
    for nth in 1..60 {
        let point = format!("{call} {nth} fails with {error}");
        let (_line, station) = bench(u32::try_from(nth).unwrap());
        let first = ran(&with_fault(&station, call, error, nth));
        let reached = injected(station.directory());
        assert_honest(&first, &point);
        assert_finishes(&station, &first, &point);
        codes.push(first.code);
        if !reached {
            assert_eq!(first.code, 0, "{point}: {:?}", first.lines);
            return codes;
        }
    }
    panic!("a run has no end of {call}: {codes:?}");
}

#[test]
fn a_disk_that_can_not_flush_from_any_point_of_a_run_on() {
    let codes = every_failing("fsync,fdatasync", "EIO");
    assert!(codes.len() > 5, "every commit is flushed: {codes:?}");
    assert!(codes.contains(&5), "the journal refused: {codes:?}");
}

/// A line over many units that runs into the full disk: exactly what was told as passed has passed.
#[test]
fn a_full_disk_stops_a_long_line_and_every_pass_that_was_told_is_on_disk() {
    let station = station_over(&["sim", "sim", "sim"], 1_000_000);
    begin_without_space(&station);
    let first = ran(&with_space_left(&station, 6_000, &["--count", "100000"]));
    assert!(
        [3, 5].contains(&first.code),
        "{} {}",
        first.code,
        first.words
    );
    let told: Vec<&str> = ended(&first.lines)
        .into_iter()
        .filter(|event| event["state"] == "passed")
        .map(|event| event["device_id"].as_str().unwrap())
        .collect();
    assert!(!told.is_empty());
    assert_eq!(first.summary()["passed"], told.len());
    let listed = listed(&station, "passed");
    for device_id in told {
        let on_disk = listed.iter().any(|listed| listed == device_id);
        assert!(on_disk, "{device_id} was told as passed");
        only_pin(&station, device_id);
    }
    station.run(&["provision", "--order", "WO-1"]).good();
}
