//! The program `keyline-virtual-unit`, as a shell script would use it.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use probe_rs::Permissions;
use probe_rs::probe::list::Lister;

use crate::support::{until, word};

const PROGRAM: &str = env!("CARGO_BIN_EXE_keyline-virtual-unit");

/// A running program with the lines that it printed; killed at the end of the test.
struct Running {
    child: Child,
    lines: Vec<String>,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn run(units: usize, arguments: &[&str]) -> Running {
    let mut child = Command::new(PROGRAM)
        .args(["--units", &units.to_string()])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    let lines = output.lines().take(units).map(Result::unwrap).collect();
    Running { child, lines }
}

/// The emulators that this process has started.
fn emulators(parent: u32) -> Vec<u32> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let status = std::fs::read_to_string(entry.path().join("status")).unwrap_or_default();
        let mine = status
            .lines()
            .any(|line| line == format!("PPid:\t{parent}"));
        if let (true, Ok(process)) = (mine, name.parse()) {
            found.push(process);
        }
    }
    found
}

fn gone(process: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    status.is_empty() || status.contains("State:\tZ")
}

#[test]
fn it_prints_what_a_probe_rs_tool_needs() {
    let running = run(2, &["--json", "--id", "0102030405060708"]);
    let units: Vec<serde_json::Value> = running
        .lines
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(units[0]["device_id"], "0102030405060708");
    assert!(std::path::Path::new(units[1]["serial"].as_str().unwrap()).exists());
    let selector: probe_rs::probe::DebugProbeSelector =
        units[0]["probe"].as_str().unwrap().parse().unwrap();
    let probe = Lister::new().open(selector).unwrap();
    let mut session = probe
        .attach("nRF51822_xxAA", Permissions::default())
        .unwrap();
    assert_eq!(
        word(&mut session.core(0).unwrap(), 0x1000_0060),
        0x0403_0201
    );
}

#[test]
fn it_ends_with_its_units_when_its_input_closes() {
    let mut running = run(2, &[]);
    let emulators = emulators(running.child.id());
    assert_eq!(emulators.len(), 2);
    drop(running.child.stdin.take());
    assert!(running.child.wait().unwrap().success());
    assert!(emulators.into_iter().all(gone));
}

#[test]
fn no_emulator_outlives_a_killed_program() {
    let mut running = run(2, &[]);
    let emulators = emulators(running.child.id());
    assert_eq!(emulators.len(), 2);
    running.child.kill().unwrap();
    until("the emulators end", || {
        emulators.iter().all(|process| gone(*process))
    });
}

#[test]
fn a_port_that_is_taken_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let output = Command::new(PROGRAM)
        .args(["--port", &port])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.contains("listen for debug clients"), "{message}");
}
