//! `keyline audit report` and `keyline audit verify` by command.

use std::fs;
use std::path::PathBuf;

use crate::station::{Ran, Station, keyline, ran};

fn built() -> Station {
    let station = Station::with_order(20);
    let arguments = [
        "provision",
        "--order",
        "WO-1",
        "--slot",
        "1",
        "--count",
        "9",
    ];
    station.run(&arguments).good();
    station
}

fn report(station: &Station, out: &str, more: &[&str]) -> Ran {
    let arguments = [&["audit", "report", "--order", "WO-1", "--out", out], more].concat();
    station.run(&arguments)
}

/// The file of the policy that the station prints.
fn policy(station: &Station) -> PathBuf {
    let output = keyline()
        .arg("--home")
        .arg(station.home())
        .args(["audit", "policy"])
        .output()
        .unwrap();
    assert!(output.status.success());
    let path = station.directory().join("policy");
    fs::write(&path, output.stdout).unwrap();
    path
}

/// Verifies on a machine that has no home.
fn verify(path: &std::path::Path, policy: &std::path::Path) -> Ran {
    let elsewhere = tempfile::tempdir().unwrap();
    let output = keyline()
        .arg("--json")
        .arg("--home")
        .arg(elsewhere.path().join("none"))
        .args(["audit", "verify"])
        .arg(path)
        .arg("--policy")
        .arg(policy)
        .output()
        .unwrap();
    ran(&output)
}

#[test]
fn it_is_written_beside_the_home_and_verified_without_it() {
    let station = built();
    let policy = policy(&station);
    let before = fs::read(station.home().join("journal.sqlite")).unwrap();
    report(&station, "lot.html", &[]).good();
    let after = fs::read(station.home().join("journal.sqlite")).unwrap();
    assert_eq!(before, after, "nothing was written into the home");
    let page = station.directory().join("lot.html");
    let verified = verify(&page, &policy).good();
    let verdict = verified.all("verdict")[0];
    assert_eq!(verdict["what"], "report");
    assert_eq!(verdict["subject"], "WO-1");
    assert_eq!(verdict["holds"], true);
    let result = verdict["result"].as_str().unwrap();
    assert!(result.starts_with("9 units: 9 passed"), "{result}");

    let text = fs::read_to_string(&page).unwrap();
    fs::write(&page, text.replacen("passed", "passes", 1)).unwrap();
    let refused = verify(&page, &policy);
    assert_eq!(refused.code, 5, "{:?}", refused.lines);
    assert_eq!(refused.all("verdict")[0]["holds"], false);
}

#[test]
fn a_file_that_is_there_stays_as_it_is() {
    let station = built();
    let there = station.directory().join("lot.html");
    fs::write(&there, "mine").unwrap();
    report(&station, "lot.html", &[]).refused(2, "output");
    assert_eq!(fs::read_to_string(there).unwrap(), "mine");
}

#[test]
fn an_unknown_order_and_a_bad_time_are_refused() {
    let station = built();
    let arguments = ["audit", "report", "--order", "WO-9", "--out", "lot.html"];
    station.run(&arguments).refused(2, "unknown");
    assert_eq!(
        report(&station, "lot.html", &["--from", "yesterday"]).code,
        2
    );
    assert!(!station.directory().join("lot.html").exists());
}

#[test]
fn a_full_disk_leaves_no_half_file() {
    let station = built();
    // Files of this process may not be longer than 34 KiB: what SQLite shares between processes fits, the page does not.
    let output = std::process::Command::new("bash")
        .args(["-c", "trap '' XFSZ; ulimit -f 34; exec \"$@\"", "bash"])
        .arg(env!("CARGO_BIN_EXE_keyline"))
        .arg("--json")
        .arg("--home")
        .arg(station.home())
        .args(["audit", "report", "--order", "WO-1", "--out", "lot.html"])
        .current_dir(station.directory())
        .output()
        .unwrap();
    ran(&output).refused(2, "output");
    assert!(!station.directory().join("lot.html").exists());
}

#[test]
fn a_part_of_an_order_by_time() {
    let station = built();
    let policy = policy(&station);
    report(&station, "none.html", &["--to", "2001-01-01"]).good();
    let verified = verify(&station.directory().join("none.html"), &policy).good();
    let result = verified.all("verdict")[0]["result"].as_str().unwrap();
    assert!(result.starts_with("0 units"), "{result}");
}
