//! The station is killed (SIGKILL) at seeded moments before and after each effect. Whatever the moment: a restart knows the unit's
//! state within 5 seconds, and running again ends in PASS with one pin and one history. Invariant 7.
//!
//! The real program, over a pseudo-terminal, with a simulated unit that outlives it. 500 seeds in four parts; `KEYLINE_SEED=n` runs
//! one of them.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod common;
#[path = "common/pty.rs"]
mod pty;

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use keyline_protocol::identity::Platform;
use keyline_station::link::AgentImage;
use keyline_virtual_unit::sim::{SimOptions, SimUnit};
use pty::{Moment, PtyUnit};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use serde_json::Value;

/// `KEYLINE_SEEDS` asks for more; `make soak` does.
const SEEDS: u64 = 500;
const PARTS: u64 = 4;
/// A unit's run is about this many frames; kills behind the last one hit the end of the run.
const FRAMES: u64 = 10;

fn keyline(home: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_keyline"));
    command
        .arg("--home")
        .arg(home)
        .args(arguments)
        .stdin(Stdio::null());
    command
}

fn ok(mut command: Command) -> Vec<Value> {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", text(&output));
    lines(&output)
}

fn text(output: &Output) -> String {
    format!(
        "{:?}\n{}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

fn lines(output: &Output) -> Vec<Value> {
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn events<'a>(lines: &'a [Value], event: &str) -> Vec<&'a Value> {
    lines.iter().filter(|line| line["event"] == event).collect()
}

fn run_part(part: u64) {
    if let Ok(seed) = std::env::var("KEYLINE_SEED") {
        if part == 0 {
            let home = new_home();
            run_seed(home.path(), seed.parse().unwrap());
        }
        return;
    }
    let home = new_home();
    let all = std::env::var("KEYLINE_SEEDS").map_or(SEEDS, |seeds| seeds.parse().unwrap());
    let (mut seeds, mut killed) = (0, 0);
    for seed in (part..all).step_by(usize::try_from(PARTS).unwrap()) {
        let seeded = std::panic::catch_unwind(|| run_seed(home.path(), seed));
        let Ok(was_killed) = seeded else {
            panic!("failed with KEYLINE_SEED={seed}")
        };
        seeds += 1;
        killed += u32::from(was_killed);
    }
    assert!(
        killed * 10 >= seeds * 7,
        "most stations were killed in the middle: {killed} of {seeds}"
    );
}

fn new_home() -> tempfile::TempDir {
    let home = tempfile::TempDir::new().unwrap();
    let directory = home.path().join("home");
    std::fs::write(home.path().join("cloud.der"), common::cloud_key()).unwrap();
    ok(keyline(&directory, &["init", "--slot", "1=sim", "--json"]));
    let cloud_key = home.path().join("cloud.der");
    ok(keyline(
        &directory,
        &[
            "product",
            "add",
            "--name",
            "p",
            "--platform",
            "nrf51822",
            "--cloud-address",
            "cloud.example:5684",
            "--json",
            "--cloud-key",
            cloud_key.to_str().unwrap(),
        ],
    ));
    ok(keyline(
        &directory,
        &[
            "order",
            "add",
            "--name",
            "WO",
            "--product",
            "p",
            "--quantity",
            "100000",
            "--json",
        ],
    ));
    home
}

/// Kills a station at the seed's moment and has another finish the unit. `true` where the first was killed before its own end.
fn run_seed(home: &Path, seed: u64) -> bool {
    let home = &home.join("home");
    let mut random = SmallRng::seed_from_u64(seed);
    let kill_frame = random.random_range(0..=FRAMES);
    let kill_moment = [Moment::Before, Moment::Between, Moment::After][random.random_range(0..3)];
    let delay = Duration::from_micros(random.random_range(0..4000));

    let mut options =
        SimOptions::seeded(Platform::Nrf51822, (u32::try_from(seed).unwrap(), 7), seed);
    options.image = Arc::from(
        AgentImage::for_platform(Platform::Nrf51822)
            .unwrap()
            .bytes
            .as_slice(),
    );
    let unit = SimUnit::new(options);
    let victim = Arc::new(AtomicI32::new(0));
    let killed = Arc::new(Mutex::new(false));
    let watcher = {
        let (victim, killed) = (Arc::clone(&victim), Arc::clone(&killed));
        Box::new(move |frame, moment| {
            let mut killed = killed.lock().unwrap();
            if !*killed && frame == kill_frame && moment == kill_moment {
                if moment == Moment::After {
                    std::thread::sleep(delay);
                }
                *killed = true;
                kill(victim.load(Ordering::SeqCst));
            }
        })
    };
    let line = PtyUnit::new(unit.clone(), watcher);
    point_slot_at(home, line.path());

    let provision = ["provision", "--order", "WO", "--slot", "1", "--json"];
    let child = keyline(home, &provision)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    victim.store(i32::try_from(child.id()).unwrap(), Ordering::SeqCst);
    let first = child.wait_with_output().unwrap();
    *killed.lock().unwrap() = true;

    let restarted = Instant::now();
    let known = ok(keyline(
        home,
        &["unit", "list", "--limit", "100000", "--json"],
    ));
    assert!(restarted.elapsed() < Duration::from_secs(5));
    let device_id = unit.device_id().to_string();
    let state = events(&known, "unit-record")
        .into_iter()
        .find(|unit| unit["device_id"] == device_id.as_str());
    let pinned = |state: &Value| state["state"] == "passed";
    assert!(
        state.is_none_or(|state| pinned(state) || state["state"] == "in-progress"),
        "{state:?}"
    );
    assert!(
        !state.is_some_and(pinned) || kill_frame >= 5,
        "PASS before the proof: {}",
        text(&first)
    );

    let again = keyline(home, &provision).output().unwrap();
    assert_eq!(
        again.status.code(),
        Some(0),
        "first: {}\nagain: {}",
        text(&first),
        text(&again)
    );
    let ended = lines(&again);
    let ended = events(&ended, "unit")
        .into_iter()
        .next_back()
        .unwrap()
        .clone();
    assert_eq!(
        (&ended["state"], &ended["device_id"]),
        (&"passed".into(), &device_id.as_str().into())
    );
    let shown = ok(keyline(home, &["pin", "show", &device_id, "--json"]));
    let pins = events(&shown, "pin");
    assert_eq!(pins.len(), 1, "{shown:?}");
    assert_eq!(pins[0]["state"], "active", "{shown:?}");
    let history: Vec<_> = pins[0]["history"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| event["kind"].as_str().unwrap())
        .collect();
    assert_eq!(history, ["claimed", "pinned"], "one history");
    unit.with_chip(|chip| assert!(chip.flash.violations().is_empty()));
    first.status.code().is_none()
}

fn point_slot_at(home: &Path, path: &Path) {
    let config = home.join("config.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    let lines: Vec<String> = text
        .lines()
        .map(|line| {
            if line.starts_with("link = ") {
                format!("link = \"serial:{}\"", path.display())
            } else {
                line.to_owned()
            }
        })
        .collect();
    std::fs::write(config, lines.join("\n") + "\n").unwrap();
}

fn kill(process: i32) {
    if let Some(process) = rustix::process::Pid::from_raw(process) {
        rustix::process::kill_process(process, rustix::process::Signal::KILL).unwrap();
    }
}

#[test]
fn seeds_part_1() {
    run_part(0);
}

#[test]
fn seeds_part_2() {
    run_part(1);
}

#[test]
fn seeds_part_3() {
    run_part(2);
}

#[test]
fn seeds_part_4() {
    run_part(3);
}
