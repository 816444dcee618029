//! Where an export goes: whole or not at all, and nowhere else.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use keyline_station::export::verify;

use crate::factory::{export, factory, log_key};
use crate::station::{Station, ran};

fn names(station: &Station) -> Vec<String> {
    let entries = std::fs::read_dir(station.directory()).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_new_or_empty_directory_is_filled_and_nobody_else_can_enter_it() {
    let station = factory();
    std::fs::create_dir(station.directory().join("empty")).unwrap();
    for out in ["new", "empty", "./again/../dotted"] {
        std::fs::create_dir_all(station.directory().join("again")).unwrap();
        export(&station, out, &[]).good();
        let directory = station.directory().join(out);
        let mode = |path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(directory.clone()), 0o700);
        for name in ["units.csv", "manifest.txt", "checkpoint.txt"] {
            assert_eq!(mode(directory.join(name)), 0o600);
        }
        verify(&directory, &[log_key(&station)]).unwrap();
    }
    let absolute = station.directory().join("absolute").display().to_string();
    export(&station, &absolute, &[]).good();
}

#[test]
fn what_is_there_is_not_touched() {
    let station = factory();
    let directory = station.directory();
    std::fs::create_dir(directory.join("full")).unwrap();
    std::fs::write(directory.join("full/mine"), "mine").unwrap();
    std::fs::write(directory.join("file"), "mine").unwrap();
    std::fs::create_dir(directory.join("target")).unwrap();
    std::os::unix::fs::symlink(directory.join("target"), directory.join("link")).unwrap();
    std::os::unix::fs::symlink("nowhere", directory.join("dangling")).unwrap();
    let before = names(&station);
    for out in ["full", "file", "link", "dangling", "missing/out", "home"] {
        export(&station, out, &[]).refused(2, "export-place");
    }
    assert_eq!(names(&station), before, "nothing is left");
    assert_eq!(
        std::fs::read_to_string(directory.join("full/mine")).unwrap(),
        "mine"
    );
    assert_eq!(
        std::fs::read_dir(directory.join("target")).unwrap().count(),
        0
    );
}

#[test]
fn a_place_that_can_not_be_written_is_named() {
    let station = factory();
    let ran = export(&station, "/proc/out", &[]).refused(3, "export-file");
    assert!(ran.error_message().contains("/proc/out"), "{:?}", ran.lines);
}

/// In a mount namespace of its own: the export goes to a disk of so many KiB.
const SMALL_DISK: &str = r#"
disk=$1 size_kib=$2; shift 2
mount -t tmpfs -o size=${size_kib}k none "$disk"
"$@" || code=$?
find "$disk" -mindepth 1 >&2
exit ${code:-0}
"#;

#[test]
fn a_full_disk_leaves_nothing_behind() {
    let station = factory();
    let disk = station.directory().join("disk");
    std::fs::create_dir(&disk).unwrap();
    let mut codes = Vec::new();
    for size_kib in [8, 32, 64, 128, 4096] {
        for format in ["csv", "jsonl", "parquet"] {
            let output = Command::new("unshare")
                .args(["--user", "--map-root-user", "--mount", "sh", "-ec"])
                .args([SMALL_DISK, "sh"])
                .arg(&disk)
                .arg(size_kib.to_string())
                .arg(env!("CARGO_BIN_EXE_keyline"))
                .args(["--json", "--home"])
                .arg(station.home())
                .args(["audit", "export", "--rows", "leaves", "--format", format])
                .arg("--out")
                .arg(disk.join("out"))
                .output()
                .expect("these tests need unshare (util-linux)");
            let ran = ran(&output);
            let left = ran.words.contains("/disk/");
            if ran.code == 0 {
                assert!(left && ran.words.contains("manifest.txt"), "{}", ran.words);
            } else {
                assert!(!left, "{size_kib} KiB, {format}: {}", ran.words);
            }
            codes.push(ran.code);
            if ran.code != 0 {
                ran.refused(3, "export-file");
            }
        }
    }
    assert!(codes.contains(&0) && codes.contains(&3), "{codes:?}");
}
