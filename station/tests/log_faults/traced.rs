//! A station that provisions one unit under `strace`, which makes chosen calls on chosen files fail.

use std::collections::{BTreeMap, BTreeSet};
use std::process::{Command, Output};

use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::pty::PtyUnit;
use crate::station::Station;
use crate::support::{link, on_a_line, point_slots_at, station_over, unit};

/// The most positions of one kind of fault, unless `make soak` asks for all.
const POSITIONS_MAX: usize = 12;

/// A fault: these calls on these files fail with this error.
#[derive(Clone, Copy)]
pub(crate) struct Fault {
    pub(crate) files: &'static [&'static str],
    pub(crate) calls: &'static str,
    pub(crate) error: &'static str,
}

/// A home to copy from, so that each fault meets a station that has run a unit before.
pub(crate) struct Template(Station);

/// A station with one unit on its line.
pub(crate) struct Bench {
    pub(crate) station: Station,
    _line: PtyUnit,
}

impl Template {
    pub(crate) fn new() -> Self {
        let station = station_over(&["sim"], 1_000);
        station.run(&["provision", "--order", "WO-1"]).good();
        Self(station)
    }

    pub(crate) fn bench(&self, number: u32) -> Bench {
        let station = Station::bare();
        let copied = Command::new("cp")
            .arg("-a")
            .args([self.0.home(), station.home()])
            .status();
        assert!(copied.unwrap().success());
        let line = on_a_line(&unit(number));
        point_slots_at(&station, &link(&line));
        Bench {
            station,
            _line: line,
        }
    }
}

impl Bench {
    /// Provisions under `strace`, which looks at these calls on these files only.
    pub(crate) fn traced(&self, fault: Fault, when: Option<&str>) -> Output {
        let mut command = Command::new("strace");
        command.args(["-f", "-qq", "-y", "-s", "0", "-e", "signal=none"]);
        command.arg(format!("--trace={}", fault.calls));
        if let Some(when) = when {
            command.arg(format!(
                "--inject={}:error={}:when={when}",
                fault.calls, fault.error
            ));
        }
        for file in fault.files {
            command.arg("-P").arg(self.station.home().join(file));
        }
        command
            .arg("-o")
            .arg(self.station.directory().join("trace"))
            .arg(env!("CARGO_BIN_EXE_keyline"))
            .args(["--json", "--home"])
            .arg(self.station.home())
            .args(["provision", "--order", "WO-1"])
            .output()
            .expect("these tests need strace (Debian: apt-get install strace)")
    }

    /// The calls that were seen: by which thread, the call with its file, and whether it was made to fail.
    pub(crate) fn trace(&self) -> Vec<(String, String, bool)> {
        let text = std::fs::read_to_string(self.station.directory().join("trace")).unwrap();
        let mut begun: BTreeMap<&str, &str> = BTreeMap::new();
        let mut calls = Vec::new();
        for line in text.lines() {
            let (thread, call) = line.split_once(' ').unwrap();
            if let Some(call) = call.strip_suffix("<unfinished ...>") {
                begun.insert(thread, call);
                continue;
            }
            let injected = call.contains("(INJECTED)");
            let call = if call.contains("resumed>") {
                begun.remove(thread).unwrap()
            } else {
                call
            };
            calls.push((thread.to_owned(), call.trim().to_owned(), injected));
        }
        calls
    }
}

/// The positions to try, of so many.
pub(crate) fn positions(count: usize, seed: u64) -> BTreeSet<usize> {
    let all = std::env::var("KEYLINE_SEEDS").is_ok_and(|seeds| seeds.parse::<u64>().unwrap() > 50);
    if all || count <= POSITIONS_MAX {
        return (1..=count).collect();
    }
    let mut random = SmallRng::seed_from_u64(seed);
    let mut chosen = BTreeSet::from([1, count]);
    while chosen.len() < POSITIONS_MAX {
        chosen.insert(random.random_range(1..=count));
    }
    chosen
}
