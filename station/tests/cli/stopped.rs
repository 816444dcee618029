//! SIGTERM in the middle of a unit: what is in hand is finished, the last line is a summary, and running again ends in PASS.

use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::pty::{Moment, PtyUnit};
use crate::station::{Ran, Station};
use crate::support::{
    assert_whole, end, ended, link, only_pin, point_slots_at, station_over, unit,
};

/// More frames than a run has: the last ones never come.
const FRAMES: u64 = 12;

/// How long the station may take to see a signal, at most.
const SEEN_WITHIN: Duration = Duration::from_secs(20);

/// Provisions the unit on a line that sends SIGTERM at this frame, and holds the frame back until the station has seen the signal.
fn stopped_at(station: &Station, number: u32, frame: u64) -> (Ran, bool) {
    let victim = Arc::new(AtomicI32::new(0));
    let seen = Arc::new(AtomicBool::new(false));
    let sent = Arc::new(Mutex::new(false));
    let watcher = {
        let (victim, seen, sent) = (Arc::clone(&victim), Arc::clone(&seen), Arc::clone(&sent));
        Box::new(move |at, moment| {
            let mut sent = sent.lock().unwrap();
            if *sent || at != frame || moment != Moment::Before {
                return;
            }
            *sent = true;
            let begun = Instant::now();
            while victim.load(Ordering::SeqCst) == 0 {
                std::thread::yield_now();
            }
            let process = Pid::from_raw(victim.load(Ordering::SeqCst)).unwrap();
            kill_process(process, Signal::TERM).unwrap();
            while !seen.load(Ordering::SeqCst) && begun.elapsed() < SEEN_WITHIN {
                std::thread::sleep(Duration::from_millis(1));
            }
        })
    };
    let line = PtyUnit::new(unit(number), watcher);
    point_slots_at(station, &link(&line));
    let mut process = station
        .command(&["provision", "--order", "WO-1", "-v"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    victim.store(process.id().try_into().unwrap(), Ordering::SeqCst);
    let errors = process.stderr.take().unwrap();
    let listener = std::thread::spawn(move || {
        for line in BufReader::new(errors).lines() {
            if line.unwrap().contains("asked to stop") {
                seen.store(true, Ordering::SeqCst);
            }
        }
    });
    let output = process.wait_with_output().unwrap();
    listener.join().unwrap();
    let first = crate::station::ran(&output);
    // The next run is left alone.
    let stopped = std::mem::replace(&mut *sent.lock().unwrap(), true);

    assert_whole(station);
    // The same unit, on the same line, goes on where it stopped.
    let again = station.run(&["provision", "--order", "WO-1"]).good();
    assert_eq!(end(&again)["state"], "passed", "{:?}", again.lines);
    only_pin(station, end(&again)["device_id"].as_str().unwrap());
    (first, stopped)
}

#[test]
fn a_signal_at_any_frame_stops_between_two_steps_and_the_next_run_finishes_the_unit() {
    let station = station_over(&["sim"], 100);
    let mut steps = Vec::new();
    for frame in 0..FRAMES {
        let number = u32::try_from(frame).unwrap() + 1;
        let (first, stopped) = stopped_at(&station, number, frame);
        if !stopped {
            assert_eq!(first.code, 0, "frame {frame}: {:?}", first.lines);
            continue;
        }
        assert_eq!(first.code, 130, "frame {frame}: {:?}", first.lines);
        first.summary();
        let last = end(&first);
        if last["state"] == "passed" {
            steps.push("passed".to_owned());
            continue;
        }
        assert_eq!(last["state"], "failed", "{last}");
        assert_eq!(last["error"]["code"], "stopped", "{last}");
        let next = last["error"]["next"].as_str().unwrap();
        assert!(next.contains("Run again"), "{next}");
        steps.push(last["step"].as_str().unwrap_or("none").to_owned());
    }
    // The signal came in many different steps, and each of them was a good place to stop.
    let mut different = steps.clone();
    different.dedup();
    assert!(different.len() >= 5, "{steps:?}");
}

/// Being stopped is nobody's fault: a unit is not set apart for it.
#[test]
fn a_unit_is_not_set_apart_because_its_line_was_stopped() {
    let station = station_over(&["sim"], 100);
    crate::support::edit_config(&station, |line| {
        line.starts_with("failures_max")
            .then(|| "failures_max = 1".to_owned())
    });
    let (first, stopped) = stopped_at(&station, 1, 4);
    assert!(stopped);
    assert_eq!(end(&first)["state"], "failed", "{:?}", first.lines);
    assert_eq!(end(&first)["error"]["code"], "stopped");
}

#[test]
fn a_line_that_waits_for_units_stops_at_a_signal() {
    let station = station_over(&["sim", "sim"], 1_000_000);
    for signal in [Signal::TERM, Signal::INT] {
        let mut process = station
            .command(&["provision", "--order", "WO-1", "--count", "1000000"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(process.stdout.take().unwrap());
        let mut text = String::new();
        while !text.contains("\"passed\"") {
            assert_ne!(output.read_line(&mut text).unwrap(), 0, "{text}");
        }
        kill_process(Pid::from_child(&process), signal).unwrap();
        output.read_to_string(&mut text).unwrap();
        assert_eq!(process.wait().unwrap().code(), Some(130));
        let lines: Vec<Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let last = lines.last().unwrap();
        assert_eq!(
            (&last["event"], &last["exit_code"]),
            (&"summary".into(), &130.into())
        );
        let ended = ended(&lines);
        let counted = last["passed"].as_u64().unwrap() + last["failed"].as_u64().unwrap();
        assert_eq!(
            ended.len() as u64,
            counted,
            "every unit that began is counted"
        );
        assert_whole(&station);
    }
}
