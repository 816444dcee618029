//! `keyline registry import --dry-run`, as a script and as a person see it.

use std::fs;

use crate::fixture::{csv, device, p256, row};
use crate::station::{Station, keyline};

#[test]
fn a_dry_run_tells_each_refused_row_and_needs_no_home() {
    let station = Station::bare();
    let bad = format!("{},no key\n", device(2));
    let rows = [row(1, &p256(1)), bad, row(3, &p256(3)), row(4, &p256(3))];
    fs::write(station.directory().join("fleet.csv"), csv(&rows)).unwrap();
    let ran = station.run(&[
        "registry",
        "import",
        "fleet.csv",
        "--dry-run",
        "--report",
        "refused.csv",
    ]);
    assert_eq!(ran.code, 1, "{:?} {}", ran.lines, ran.words);
    assert_eq!(ran.summary()["dry_run"], true);
    let refused = ran.all("refused-row");
    let told: Vec<_> = refused
        .iter()
        .map(|row| (row["line"].as_u64().unwrap(), row["code"].as_str().unwrap()))
        .collect();
    assert_eq!(told, [(3, "not-a-key"), (5, "duplicate-key")]);
    assert_eq!(refused[0]["device_id"], device(2));
    let import = ran.all("import")[0];
    for (member, count) in [("rows", 4), ("imported", 2), ("already", 0), ("refused", 2)] {
        assert_eq!(import[member], count, "{import}");
    }
    let report = fs::read_to_string(station.directory().join("refused.csv")).unwrap();
    assert_eq!(report.lines().count(), 3, "{report}");
    assert!(!station.home().exists());
}

#[test]
fn a_person_reads_the_line_and_what_to_do() {
    let station = Station::bare();
    let path = station.directory().join("fleet.csv");
    fs::write(&path, csv(&[row(1, &p256(1)), "x,y\n".to_owned()])).unwrap();
    let output = keyline()
        .args(["registry", "import", "--dry-run"])
        .arg(&path)
        .output()
        .unwrap();
    let words = String::from_utf8(output.stderr).unwrap();
    for expected in [
        "refused  line 3",
        "bad-device-id: expected a device id of 24 hexadecimal digits, got 1 characters",
        "next: Write the family's 8 digits",
        "2 rows, 1 in order, 1 refused. Nothing was changed",
    ] {
        assert!(words.contains(expected), "{words}");
    }
}

#[test]
fn a_good_file_ends_well_and_other_files_are_refused() {
    let station = Station::bare();
    let write = |name: &str, content: &str| {
        fs::write(station.directory().join(name), content).unwrap();
    };
    write("good.csv", &csv(&[row(1, &p256(1))]));
    fs::write(station.directory().join("packed.csv"), b"\x1f\x8b\x08").unwrap();
    let run = |arguments: &[&str]| station.run(&[&["registry", "import"], arguments].concat());
    run(&["good.csv", "--dry-run"]).good();
    let ran = run(&["packed.csv", "--dry-run"]).refused(2, "fleet-file");
    assert!(ran.error_message().ends_with("got a compressed file: gzip"));
    run(&["nothing.csv", "--dry-run"]).refused(2, "input");
    run(&["good.csv", "--dry-run", "--report", "good.csv"]).refused(2, "output");
    run(&["good.csv", "--dry-run", "--state", "s"]).refused(2, "usage");
    run(&["good.csv", "--resume"]).refused(2, "usage");
    run(&["good.csv"]).refused(3, "home-missing");
    let ran = run(&["good.csv", "--dry-run", "--format", "jsonl"]);
    assert_eq!((ran.code, ran.all("refused-row").len()), (1, 2));
}

#[test]
fn more_than_a_hundred_refused_rows_are_counted() {
    let station = Station::bare();
    let rows: Vec<_> = (0..150)
        .map(|n| format!("{},no key\n", device(n)))
        .collect();
    fs::write(station.directory().join("fleet.csv"), csv(&rows)).unwrap();
    let ran = station.run(&["registry", "import", "fleet.csv", "--dry-run"]);
    assert_eq!(ran.all("refused-row").len(), 100);
    assert_eq!(
        ran.all("warning")[0]["message"],
        "50 more rows were refused"
    );
    assert_eq!(ran.all("import")[0]["refused"], 150);
}
