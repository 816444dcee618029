//! SIGKILL under load: eight slots, a witness beside, again and again on the same home. After each kill the log holds all that was told.
//!
//! 50 seeds; `KEYLINE_SEEDS=n` asks for more, `make soak` does. Ten seeds share a home, and `KEYLINE_HOME=n` runs one home alone.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::stored::{StoredLog, assert_deep, assert_published};
use crate::support::station_over;
use crate::told::Told;
use crate::witnessed::Witnessed;

/// `KEYLINE_SEEDS` asks for more.
const SEEDS: u64 = 50;
const KILLS_PER_HOME: u64 = 10;
const PARTS: u64 = 5;
const SLOTS: usize = 8;

/// When a station is killed.
#[derive(Clone, Copy, Debug)]
enum Moment {
    /// So long after so many of its events were read.
    Events(usize, Duration),
    /// So long after it was started.
    Time(Duration),
}

impl Moment {
    fn of(seed: u64) -> Self {
        let mut random = SmallRng::seed_from_u64(seed);
        if random.random_ratio(2, 3) {
            let delay = Duration::from_micros(random.random_range(0..4_000));
            return Self::Events(random.random_range(0..400), delay);
        }
        Self::Time(Duration::from_micros(random.random_range(0..400_000)))
    }
}

fn kill(process: Pid) {
    // It is not waited for yet, so that the id is still its own.
    kill_process(process, Signal::KILL).unwrap();
}

/// Provisions without end, is killed at this moment, and gives the lines that it wrote whole.
fn killed_at(home: &Witnessed, moment: Moment) -> Vec<Value> {
    let mut child = home
        .station
        .command(&["provision", "--order", "WO-1", "--count", "100000"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let process = Pid::from_child(&child);
    let by_time = match moment {
        Moment::Time(after) => Some(std::thread::spawn(move || {
            std::thread::sleep(after);
            kill(process);
        })),
        Moment::Events(..) => None,
    };
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut lines = Vec::new();
    loop {
        if let Moment::Events(count, delay) = moment
            && lines.len() == count
        {
            std::thread::sleep(delay);
            kill(process);
        }
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        // A line that was cut told nothing.
        let Some(whole) = line.strip_suffix('\n') else {
            break;
        };
        lines.push(serde_json::from_str(whole).unwrap());
    }
    if let Some(by_time) = by_time {
        by_time.join().unwrap();
    }
    let status = child.wait().unwrap();
    assert_eq!(status.code(), None, "it was killed: {lines:?}");
    lines
}

/// Kills stations on one home, and gives how many units were told as passed.
fn kills_on_a_home(seeds: std::ops::Range<u64>) -> usize {
    let station = station_over(&["sim"; SLOTS], 10_000_000);
    let home = Witnessed::new(station, 1_000_000);
    let mut told = Told::of(home.key.clone());
    for seed in seeds {
        let moment = Moment::of(seed);
        let point = format!("seed {seed}, killed at {moment:?}");
        told.hear(&killed_at(&home, moment));
        told.look_at_tiles(&home.station);
        if let Some(note) = home.cosigned() {
            told.checkpoint("the witness", &note);
        }
        let log = StoredLog::read(&home.station.home(), &home.key);
        told.assert_kept(&log, &point);
        // Half of the next starts meet the files as the kill left them.
        if seed % 2 == 0 {
            assert_deep(&home.station, &point);
        }
    }
    let last = home
        .station
        .run(&["provision", "--order", "WO-1", "--count", "8"])
        .good();
    assert_eq!(last.summary()["passed"], 8);
    told.hear(&last.lines);
    let log = StoredLog::read(&home.station.home(), &home.key);
    told.assert_kept(&log, "at the end");
    assert_published(&home.station, &home.key, log.size());
    assert_deep(&home.station, "at the end");
    let cosigned = home.cosigned().unwrap();
    assert_eq!(
        cosigned.lines().nth(1),
        Some(log.size().to_string().as_str()),
        "the last round shows the whole log"
    );
    told.passed()
}

fn run_part(part: u64) {
    let seeds = std::env::var("KEYLINE_SEEDS").map_or(SEEDS, |seeds| seeds.parse().unwrap());
    let only = std::env::var("KEYLINE_HOME").map(|home| home.parse::<u64>().unwrap());
    let homes = seeds.div_ceil(KILLS_PER_HOME);
    for home in (0..homes).filter(|home| home % PARTS == part) {
        if only.as_ref().is_ok_and(|only| *only != home) {
            continue;
        }
        let first = home * KILLS_PER_HOME;
        let range = first..seeds.min(first + KILLS_PER_HOME);
        let passed = std::panic::catch_unwind(|| kills_on_a_home(range.clone()));
        let Ok(passed) = passed else {
            panic!("failed with KEYLINE_HOME={home}, seeds {range:?}")
        };
        assert!(passed > SLOTS, "it was under load: {passed} units passed");
    }
}

#[test]
fn homes_part_1() {
    run_part(0);
}

#[test]
fn homes_part_2() {
    run_part(1);
}

#[test]
fn homes_part_3() {
    run_part(2);
}

#[test]
fn homes_part_4() {
    run_part(3);
}

#[test]
fn homes_part_5() {
    run_part(4);
}
