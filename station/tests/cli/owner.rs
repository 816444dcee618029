//! Several commands at once on one home: who comes first owns it, the others go through its socket, and nobody notices.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::station::{Ran, Station, ran};
use crate::support::{assert_whole, ended, listed, station_over};

const SLOTS: usize = 6;

fn start(station: &Station, slot: usize, count: u32) -> Child {
    let (slot, count) = (slot.to_string(), count.to_string());
    station
        .command(&[
            "provision",
            "--order",
            "WO-1",
            "--slot",
            &slot,
            "--count",
            &count,
        ])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn finish(process: Child) -> Ran {
    ran(&process.wait_with_output().unwrap())
}

fn signal(process: &Child, signal: Signal) {
    kill_process(Pid::from_child(process), signal).unwrap();
}

/// The ownership changes hands while the others run: short and long commands begin together, several times.
#[test]
fn commands_on_different_slots_at_once_all_end_well() {
    let station = station_over(&["sim"; SLOTS], 1_000_000);
    let mut expected = 0;
    for round in 0..4 {
        let counts: Vec<u32> = (0..SLOTS)
            .map(|slot| [1, 12, 3, 25, 6, 2][(slot + round) % SLOTS])
            .collect();
        let processes: Vec<Child> = counts
            .iter()
            .enumerate()
            .map(|(index, count)| start(&station, index + 1, *count))
            .collect();
        for (index, process) in processes.into_iter().enumerate() {
            let ran = finish(process).good();
            let ended = ended(&ran.lines);
            assert_eq!(ended.len(), counts[index] as usize, "{:?}", ran.words);
            assert!(
                ended.iter().all(|event| event["slot"] == index + 1),
                "its own events only"
            );
            assert_eq!(ran.summary()["passed"], counts[index]);
        }
        expected += counts.iter().sum::<u32>() as usize;
    }
    assert_eq!(listed(&station, "passed").len(), expected);
    assert_whole(&station);
}

#[test]
fn a_client_that_is_stopped_or_killed_gives_its_slot_back_and_the_owner_goes_on() {
    let station = station_over(&["sim", "sim"], 1_000_000);
    let owner = drain(start(&station, 1, 1_000_000));
    let client = drain(start(&station, 2, 1_000_000));
    signal(&client.process, Signal::TERM);
    let client = client.finish();
    assert_eq!(client.code, 130, "{}", client.words);
    let ended = ended(&client.lines);
    assert!(ended.iter().all(|event| event["slot"] == 2));
    let summary = client.summary();
    let counted = summary["passed"].as_u64().unwrap() + summary["failed"].as_u64().unwrap();
    assert_eq!(counted, ended.len() as u64);

    let client = drain(start(&station, 2, 1_000_000));
    signal(&client.process, Signal::KILL);
    client.finish_killed();
    let mut free = false;
    for _ in 0..400 {
        let ran = station.run(&["provision", "--order", "WO-1", "--slot", "2"]);
        free = ran.code == 0;
        if free {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert!(free, "a killed client gives its slot back");

    signal(&owner.process, Signal::TERM);
    let owner = owner.finish();
    assert_eq!(owner.code, 130, "{}", owner.words);
    owner.summary();
    assert_whole(&station);
}

/// A process whose output somebody reads all the time.
struct Drained {
    process: Child,
    reader: std::thread::JoinHandle<Vec<u8>>,
}

/// Reads on all the time; returns when the first unit's event has come.
fn drain(mut process: Child) -> Drained {
    let mut output = BufReader::new(process.stdout.take().unwrap());
    let mut bytes = Vec::new();
    loop {
        let before = bytes.len();
        let length = output.read_until(b'\n', &mut bytes).unwrap();
        assert_ne!(
            length,
            0,
            "it ended early: {}",
            String::from_utf8_lossy(&bytes)
        );
        if String::from_utf8_lossy(&bytes[before..]).contains("\"event\":\"unit\"") {
            break;
        }
    }
    let reader = std::thread::spawn(move || {
        output.read_to_end(&mut bytes).unwrap();
        bytes
    });
    Drained { process, reader }
}

impl Drained {
    fn finish(self) -> Ran {
        let mut output = self.process.wait_with_output().unwrap();
        output.stdout = self.reader.join().unwrap();
        ran(&output)
    }

    fn finish_killed(mut self) {
        self.process.wait().unwrap();
        self.reader.join().unwrap();
    }
}
