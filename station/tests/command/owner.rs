//! One process owns a home; the commands of others go through its socket.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::process::{Child, ChildStdout, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::station::Station;

/// A line that runs until it is stopped, and so owns the home.
struct Owner {
    process: Child,
    output: BufReader<ChildStdout>,
}

impl Owner {
    /// Returns when it has finished its first unit.
    fn start(station: &Station) -> Self {
        let mut process = station
            .command(&[
                "provision",
                "--order",
                "WO-1",
                "--slot",
                "1",
                "--count",
                "100000",
            ])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(process.stdout.take().unwrap());
        let mut line = String::new();
        while !line.contains("\"passed\"") {
            line.clear();
            assert_ne!(
                output.read_line(&mut line).unwrap(),
                0,
                "the owner ended early"
            );
        }
        // Somebody must read on, or the owner would wait for its reader.
        Self { process, output }
    }

    fn id(&self) -> u32 {
        self.process.id()
    }

    /// Stops it and gives its exit code and last line.
    fn stop(mut self, signal: Signal) -> (Option<i32>, Value) {
        kill_process(Pid::from_child(&self.process), signal).unwrap();
        let mut rest = String::new();
        self.output.read_to_string(&mut rest).unwrap();
        let last = serde_json::from_str(rest.lines().last().unwrap()).unwrap();
        (self.process.wait().unwrap().code(), last)
    }
}

#[test]
fn commands_of_others_go_through_the_owner() {
    let station = Station::with_order(1_000_000);
    let owner = Owner::start(&station);
    let socket = station.home().join("keyline.sock");
    assert_eq!(
        std::fs::metadata(&socket).unwrap().permissions().mode() & 0o777,
        0o600
    );

    std::thread::scope(|scope| {
        // Four at once, changes and questions, while the owner's own line runs.
        for index in 0..4 {
            let station = &station;
            station.cloud_key();
            scope.spawn(move || {
                let name = format!("other-{index}");
                station.add_product(&name, &[]).good();
                station.run(&["product", "show", &name]).good();
            });
        }
    });
    assert_eq!(
        station
            .run(&["product", "list"])
            .good()
            .all("product")
            .len(),
        5
    );
    station.add_product("sensor", &[]).refused(2, "refused");
    station
        .run(&["provision", "--order", "WO-1", "--slot", "1"])
        .refused(3, "not-ready");
    station
        .run(&["provision", "--order", "WO-1", "--slot", "2"])
        .good();
    let doctor = station.run(&["doctor"]);
    let checks = doctor.all("check");
    let check = checks
        .iter()
        .find(|check| check["check"] == "owner")
        .unwrap();
    assert_eq!(check["state"], "ok", "{check}");
    assert!(
        check["found"]
            .as_str()
            .unwrap()
            .contains(&owner.id().to_string()),
        "{check}"
    );

    let (code, last) = owner.stop(Signal::TERM);
    assert_eq!(code, Some(130));
    assert_eq!(
        (&last["event"], &last["exit_code"]),
        (&"summary".into(), &130.into())
    );
    assert!(!socket.exists(), "it takes its socket away");
    assert!(
        station
            .run(&["unit", "list", "--state", "in-progress"])
            .good()
            .all("unit-record")
            .is_empty(),
        "the unit in hand was concluded"
    );
}

#[test]
fn an_owner_that_was_killed_leaves_a_home_that_opens() {
    let station = Station::with_order(1_000_000);
    let mut owner = Owner::start(&station);
    owner.process.kill().unwrap();
    owner.process.wait().unwrap();
    assert!(
        station.home().join("keyline.sock").exists(),
        "the stale socket"
    );
    station.run(&["unit", "list"]).good();
    station.run(&["provision", "--order", "WO-1"]).good();
}

/// What the owner answers to these bytes: the kinds of its replies, and the words of its error.
fn answer(station: &Station, bytes: &[u8]) -> (Vec<String>, String) {
    let mut stream = UnixStream::connect(station.home().join("keyline.sock")).unwrap();
    stream.write_all(bytes).unwrap();
    let mut kinds = Vec::new();
    let mut words = String::new();
    for line in BufReader::new(stream).lines() {
        // An owner that refuses may close before it has read everything.
        let Ok(line) = line else { break };
        let reply: Value = serde_json::from_str(&line).unwrap();
        let kind = if reply["reply"] == "event" {
            &reply["event"]["event"]
        } else {
            &reply["reply"]
        };
        kinds.push(kind.as_str().unwrap().to_owned());
        if let Some(message) = reply["event"]["error"]["message"].as_str() {
            message.clone_into(&mut words);
        }
    }
    (kinds, words)
}

#[test]
fn garbage_on_the_socket_is_refused_with_words_and_harms_nobody() {
    let station = Station::with_order(1_000_000);
    let owner = Owner::start(&station);
    let refused = ["error", "summary"];
    for (bytes, expected) in [
        (&b"hello\n"[..], "expected a line in the form of schema 1"),
        (b"{\"schema\":2,\"anything\":true}\n", "expected schema 1, got 2"),
        (b"{\"schema\":1,\"request\":{\"command\":\"rule-the-world\"}}\n", "expected a line in the form of schema 1"),
        (b"{\"schema\":1,\"token\":null,\"request\":{\"command\":\"order-close\",\"order\":\"WO-1\",\"really\":true}}\n", "unknown field"),
        (b"{\"schema\":1,\"token\":null,\"request\":{\"command\":\"order-add\",\"name\":\"../x\",\"product\":\"sensor\",\"quantity\":1,\"rework\":false}}\n", "expected only letters"),
    ] {
        let (kinds, words) = answer(&station, bytes);
        assert_eq!(kinds, refused, "{words}");
        assert!(words.contains(expected), "{words}");
    }
    let (kinds, words) = answer(&station, &vec![b'x'; 64 * 1024 + 1]);
    assert!(
        kinds.is_empty() || words.contains("expected a line of at most 65536 bytes"),
        "{words}"
    );
    // Without a token nothing changes, and a token that is none is nobody's.
    for token in ["null", "\"letmein\""] {
        let request = format!(
            "{{\"schema\":1,\"token\":{token},\"request\":{{\"command\":\"order-close\",\"order\":\"WO-1\"}}}}\n"
        );
        let (kinds, words) = answer(&station, request.as_bytes());
        assert_eq!(kinds, ["accepted", "error", "summary"], "{words}");
        assert!(words.contains("expected an operator's token"), "{words}");
    }
    let (kinds, _) = answer(
        &station,
        b"{\"schema\":1,\"token\":null,\"request\":{\"command\":\"ping\"}}\n",
    );
    assert_eq!(kinds, ["accepted", "summary"]);
    assert_eq!(
        station.run(&["order", "show", "WO-1"]).good().all("order")[0]["state"],
        "open"
    );
    assert_eq!(owner.stop(Signal::INT).0, Some(130));
}
