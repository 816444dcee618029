//! A disk that fails at every point of a cosignature's way: none leaves that a restart forgets, and none leaves before it is on disk.

use std::process::Command;

use crate::kept::assert_never_forks;
use crate::log::Log;
use crate::process::{Store, Witness, origin_path, post_to, step};

const ORIGIN: &str = "log.example/1";

/// `keyline` under `strace`; injections hit the log's file, its temporary one and their directory only.
fn traced(store: &Store, arguments: &[&str]) -> Command {
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-y", "-s", "80", "-e", "signal=none", "-o"]);
    command.arg(store.directory().join("strace"));
    command.args(arguments);
    command.arg(env!("CARGO_BIN_EXE_keyline"));
    command
}

fn with_fault(store: &Store, call: &str, error: &str, when: &str) -> Option<Witness> {
    let directory = store.path().join("logs");
    let file = directory.join(&origin_path(ORIGIN)[1..65]);
    let temporary = file.with_extension("new");
    let paths = [directory, file, temporary].map(|path| path.display().to_string());
    let trace = format!("--trace={call}");
    let inject = format!("--inject={call}:error={error}:when={when}");
    let mut arguments = vec![trace.as_str(), inject.as_str()];
    for path in &paths {
        arguments.extend(["-P", path]);
    }
    store.serve_as(traced(store, &arguments))
}

fn trace(store: &Store) -> String {
    std::fs::read_to_string(store.directory().join("strace")).unwrap()
}

/// Moves a log on through whatever fails, and gives the largest size that anybody saw cosigned.
fn drive(witness: &Witness, log: &Log) -> (u64, usize) {
    let (mut old, mut seen, mut failures) = (0, 0, 0);
    for _ in 0..8 {
        let new = old + 3;
        let reply = post_to(&witness.address, &step(log, old, new)).unwrap();
        match reply.status {
            200 => {
                witness.cosignature(&log.checkpoint(new).text(), &reply);
                (old, seen) = (new, new);
            }
            // Whether it is on disk is not known: what it says next must be the old or the new.
            409 => {
                let size = reply.conflict();
                assert!(size >= seen && size <= old + 3, "{size} after {seen}");
                old = size;
            }
            500 => {
                assert!(!reply.body.contains('\u{2014}'), "{reply:?}");
                failures += 1;
            }
            _ => panic!("{reply:?}"),
        }
        // A monitor's cosignature counts as much as the log's.
        let shown = witness.request("GET", &origin_path(log.origin()));
        if shown.status == 200 {
            let latest = witness.latest_in(log, &shown);
            assert!(latest.size >= seen, "{} after {seen}", latest.size);
            seen = latest.size;
        } else {
            assert!([404, 500].contains(&shown.status), "{shown:?}");
        }
    }
    (seen, failures)
}

fn every_fault(call: &str, error: &str) {
    let log = Log::new(ORIGIN, 60);
    let mut hit = 0;
    for nth in 1..=5 {
        for when in [nth.to_string(), format!("{nth}+")] {
            let point = format!("{call} {when} fails with {error}");
            let store = Store::new(&[&log.key.key]);
            let seen = match with_fault(&store, call, error, &when) {
                Some(witness) => {
                    let (seen, failures) = drive(&witness, &log);
                    if when.ends_with('+') {
                        // As strace counts by thread, a late fault may meet only the last of the calls.
                        assert!(failures > 0, "{point}");
                    } else {
                        // strace counts the calls of each thread by itself: as many fail once as there are threads that write.
                        assert!(seen > 0, "{point}: it never recovered");
                    }
                    witness.kill();
                    seen
                }
                None => 0,
            };
            hit += usize::from(trace(&store).contains("(INJECTED)"));
            let witness = store.serve();
            let latest = witness.latest(&log);
            let size = latest.as_ref().map_or(0, |latest| latest.size);
            assert!(size >= seen, "{point}: {size} after {seen}");
            if let Some(latest) = latest {
                assert_eq!(latest, log.checkpoint(size), "{point}");
            }
            assert_never_forks(&witness, &log, size);
            witness.good(&log, size, 60);
        }
    }
    assert_eq!(hit, 10, "every run met its fault");
}

#[test]
fn a_flush_that_fails() {
    every_fault("fsync", "EIO");
}

#[test]
fn a_full_disk_at_a_write() {
    every_fault("write", "ENOSPC");
}

#[test]
fn a_write_that_fails() {
    every_fault("write", "EIO");
}

#[test]
fn a_rename_that_fails() {
    every_fault("rename", "EIO");
}

#[test]
fn a_file_that_can_not_be_opened() {
    every_fault("openat", "ENOSPC");
}

/// The order that the promise needs, seen from outside: the new file is flushed, takes its place, the directory is flushed, and only then
/// does the answer leave.
#[test]
fn the_answer_leaves_after_the_last_flush() {
    let log = Log::new(ORIGIN, 9);
    let store = Store::new(&[&log.key.key]);
    let arguments = ["--trace=fsync,rename,write,writev,sendto,sendmsg"];
    let witness = store.serve_as(traced(&store, &arguments)).unwrap();
    for size in 1..=9 {
        witness.good(&log, size - 1, size);
    }
    witness.kill();
    let trace = trace(&store);
    let (mut order, mut answers) = (String::new(), 0);
    // A call that another thread interrupted is there twice; its end is what counts.
    for line in trace
        .lines()
        .filter(|line| line.ends_with("= 0") || line.contains("HTTP/1.1 200"))
    {
        if line.contains("HTTP/1.1 200") {
            assert!(
                order.ends_with("file rename directory "),
                "{order}\n{trace}"
            );
            order.clear();
            answers += 1;
        } else if line.contains("rename") {
            order += "rename ";
        } else if line.contains("fsync") {
            order += if line.contains("/logs>") {
                "directory "
            } else {
                "file "
            };
        }
    }
    assert_eq!(answers, 9, "{trace}");
}
