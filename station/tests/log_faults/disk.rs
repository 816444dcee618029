//! A disk that fails at a write, a flush, a rename or the making of a file: once, or from then on. Whatever the call and the file, nothing is
//! told that is not on disk; where the journal is hit the line stops with exit code 5; on a sound disk the log verifies and the unit is
//! finished.
//!
//! `strace` injects the errors, into the home's own files only. Positions are tried in turn where they are few, else so many of them by
//! seed; with `KEYLINE_SEEDS` over 50 (`make soak`) every one. Where several threads write, each of them meets the fault at its own n-th call.

use std::collections::{BTreeMap, BTreeSet};

use crate::station::{Ran, ran};
use crate::stored::{StoredLog, assert_deep, assert_published, log_key};
use crate::support::{assert_whole, end, ended, only_pin};
use crate::told::Told;
use crate::traced::{Bench, Fault, Template, positions};

const WRITE: &str = "write,pwrite64,pwritev,pwritev2,writev";
const FLUSH: &str = "fsync,fdatasync";
const RENAME: &str = "rename,renameat,renameat2";
const OPEN: &str = "openat";
const SIZE: &str = "ftruncate,fallocate";

const JOURNAL: &[&str] = &["journal.sqlite", "journal.sqlite-wal", "journal.sqlite-shm"];
const REGISTRY: &[&str] = &[
    "registry.sqlite",
    "registry.sqlite-wal",
    "registry.sqlite-shm",
];
const LOCK: &[&str] = &["keyline.lock"];
const TILES: &[&str] = &["tlog/unfinished", "tlog", "tlog/tile"];

/// What was said of the unit at the end of a run on a bad disk.
fn assert_honest(first: &Ran, point: &str) {
    let passed = ended(&first.lines)
        .iter()
        .filter(|event| event["state"] == "passed")
        .count();
    assert_eq!(
        first.summary()["passed"],
        passed,
        "{point}: {:?}",
        first.lines
    );
    assert!(
        !first.words.contains("panicked"),
        "{point}: {}",
        first.words
    );
    let errors = first.all("error");
    if first.code == 0 {
        assert_eq!((passed, errors.len()), (1, 0), "{point}: {:?}", first.lines);
        return;
    }
    assert_eq!(errors.len(), 1, "{point}: told once: {:?}", first.lines);
    let next = errors[0]["error"]["next"].as_str().unwrap();
    assert!(!next.is_empty(), "{point}: {errors:?}");
}

/// On a sound disk again.
fn assert_finishes(bench: &Bench, first: &Ran, point: &str) {
    let station = &bench.station;
    let key = log_key(station);
    let mut told = Told::of(key.clone());
    told.hear(&first.lines);
    told.look_at_tiles(station);
    told.assert_kept(&StoredLog::read(&station.home(), &key), point);
    assert_deep(station, point);
    let again = station.run(&["provision", "--order", "WO-1"]);
    assert_eq!(
        again.code, 0,
        "{point}: {:?} {}\nbefore: {:?}",
        again.lines, again.words, first.lines
    );
    let unit = end(&again);
    assert_eq!(unit["state"], "passed", "{point}: {unit}");
    if first.summary()["passed"] == 1 {
        assert_eq!(unit["already"], true, "{point}: the PASS was not on disk");
    }
    told.hear(&again.lines);
    let log = StoredLog::read(&station.home(), &key);
    told.assert_kept(&log, point);
    assert_published(station, &key, log.size());
    only_pin(station, unit["device_id"].as_str().unwrap());
    assert_whole(station);
    assert_deep(station, point);
}

/// What must be said of a run whose calls these failed; none where the fault was not reached.
type Judge = fn(&Ran, &[String], &Bench, &str);

/// Has each position of this fault fail, once and from then on.
fn every_position(fault: Fault, judge: Judge) -> BTreeSet<i32> {
    let template = Template::new();
    let quiet = template.bench(1);
    ran(&quiet.traced(fault, None)).good();
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for (thread, ..) in quiet.trace() {
        *counts.entry(thread).or_default() += 1;
    }
    let count = counts.values().copied().max().unwrap();
    let (mut codes, mut number) = (BTreeSet::new(), 1);
    for position in positions(count, count as u64) {
        for lasting in ["", "+"] {
            let when = format!("{position}{lasting}");
            let Fault {
                files,
                calls,
                error,
            } = fault;
            let point = format!("{calls} {when} of {count} on {files:?} fails with {error}");
            number += 1;
            let bench = template.bench(number);
            let first = ran(&bench.traced(fault, Some(&when)));
            let trace = bench.trace().into_iter();
            let hit: Vec<String> = trace
                .filter_map(|(_, call, injected)| injected.then_some(call))
                .collect();
            assert_honest(&first, &point);
            if hit.is_empty() {
                assert_eq!(first.code, 0, "{point}: {:?}", first.lines);
            } else {
                judge(&first, &hit, &bench, &point);
                codes.insert(first.code);
            }
            assert_finishes(&bench, &first, &point);
        }
    }
    codes
}

/// The journal's files: exit code 5 and nothing else, unless the last leaf that the run has to write was on disk already. What comes after
/// that only moves the write-ahead log into the database, which the next opening does again.
fn stops_the_line(first: &Ran, hit: &[String], bench: &Bench, point: &str) {
    if first.code != 5 {
        let log = StoredLog::read(&bench.station.home(), &log_key(&bench.station));
        assert_eq!(
            (first.code, log.last_kind()),
            (0, "stopped"),
            "{point}: {hit:?} {:?}",
            first.lines
        );
    }
}

/// The registry's files: a unit that it did not acknowledge is not passed, and the line stops. What is hit by the log's checkpoints or by
/// closing stops nobody.
fn stops_or_goes_on(first: &Ran, hit: &[String], _: &Bench, point: &str) {
    assert!(
        [0, 3].contains(&first.code),
        "{point}: {hit:?} {:?}",
        first.lines
    );
    if first.code == 3 {
        let code = first.error_code();
        assert!(code.starts_with("registry"), "{point}: {code}");
    }
}

/// What is derived from the journal.
fn stops_nobody(first: &Ran, hit: &[String], _: &Bench, point: &str) {
    assert_eq!(first.code, 0, "{point}: {hit:?} {:?}", first.lines);
}

/// A home that can't be locked is not begun with.
fn does_not_begin(first: &Ran, hit: &[String], _: &Bench, point: &str) {
    assert_eq!(first.code, 3, "{point}: {hit:?} {:?}", first.lines);
    assert!(first.all("unit").is_empty(), "{point}: {:?}", first.lines);
}

/// This error at every position; some of them must come to this exit code.
fn every_fault(
    files: &'static [&'static str],
    calls: &'static str,
    error: &'static str,
    judge: Judge,
    expected: i32,
) {
    let fault = Fault {
        files,
        calls,
        error,
    };
    let codes = every_position(fault, judge);
    assert!(codes.contains(&expected), "{calls} on {files:?}: {codes:?}");
}

/// Both errors.
fn every_error(files: &'static [&'static str], calls: &'static str, judge: Judge, expected: i32) {
    for error in ["EIO", "ENOSPC"] {
        every_fault(files, calls, error, judge, expected);
    }
}

#[test]
fn journal_writes_that_fail() {
    every_fault(JOURNAL, WRITE, "EIO", stops_the_line, 5);
}

#[test]
fn journal_writes_on_a_full_disk() {
    every_fault(JOURNAL, WRITE, "ENOSPC", stops_the_line, 5);
}

#[test]
fn journal_flushes() {
    every_error(JOURNAL, FLUSH, stops_the_line, 5);
}

#[test]
fn journal_files_that_can_not_be_opened() {
    every_error(JOURNAL, OPEN, stops_the_line, 5);
}

#[test]
fn journal_files_that_can_not_be_sized() {
    every_error(JOURNAL, SIZE, stops_the_line, 5);
}

#[test]
fn registry_writes() {
    every_error(REGISTRY, WRITE, stops_or_goes_on, 3);
}

#[test]
fn registry_flushes() {
    every_error(REGISTRY, FLUSH, stops_or_goes_on, 3);
}

#[test]
fn registry_files_that_can_not_be_opened() {
    every_error(REGISTRY, OPEN, stops_or_goes_on, 3);
}

#[test]
fn tile_writes() {
    every_error(TILES, WRITE, stops_nobody, 0);
}

#[test]
fn tile_flushes() {
    every_error(TILES, FLUSH, stops_nobody, 0);
}

#[test]
fn tile_renames() {
    every_error(TILES, RENAME, stops_nobody, 0);
}

#[test]
fn tile_files_that_can_not_be_made() {
    every_error(TILES, OPEN, stops_nobody, 0);
}

#[test]
fn a_lock_that_can_not_be_made_sized_or_written() {
    for calls in [OPEN, SIZE, WRITE] {
        every_error(LOCK, calls, does_not_begin, 3);
    }
}
