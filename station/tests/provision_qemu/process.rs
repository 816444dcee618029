//! A running station from outside: stopped at a moment, and all of its memory read.
//!
//! The station can't be dumped (`keyline_station::secret`), so its memory is read as only root can: that is more than a core dump
//! would hold, for it includes what is left out of dumps.

use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::process::{Child, ChildStdout, ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::search::Needle;
use crate::station::Station;

/// A process waits at most so many looks of a millisecond to be seen standing still.
const LOOKS_MAX: u32 = 10_000;

/// A `keyline provision` on its way.
pub(crate) struct Provisioning {
    process: Child,
    output: BufReader<ChildStdout>,
}

impl Provisioning {
    /// Starts it for more units than there will be, so that it waits for the next one after the first.
    pub(crate) fn start(station: &Station) -> Self {
        let mut process = station
            .command(&["provision", "--order", "WO-1", "--count", "2"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let output = BufReader::new(process.stdout.take().unwrap());
        Self { process, output }
    }

    /// Waits for the end of the first unit's run, and stops the process there.
    pub(crate) fn stop_after_the_unit(&mut self) -> Value {
        let event = loop {
            let mut line = String::new();
            assert_ne!(
                self.output.read_line(&mut line).unwrap(),
                0,
                "the station ended before its unit"
            );
            let event: Value = serde_json::from_str(&line).unwrap();
            assert_ne!(event["event"], "error", "{event}");
            if event["event"] == "unit" && event["state"] != "in-progress" {
                break event;
            }
        };
        self.signal(Signal::STOP);
        for _ in 0..LOOKS_MAX {
            if self.stands_still() {
                return event;
            }
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        panic!("the station does not stand still");
    }

    fn stands_still(&self) -> bool {
        let status = std::fs::read_to_string(format!("/proc/{}/stat", self.process.id())).unwrap();
        // The state follows the name, which stands in parentheses.
        status.rsplit(") ").next().unwrap().starts_with('T')
    }

    /// How often each of these stands in all readable memory of the process.
    pub(crate) fn count_in_memory<const N: usize>(&self, needles: [&Needle; N]) -> [usize; N] {
        let id = self.process.id();
        let maps = std::fs::read_to_string(format!("/proc/{id}/maps"))
            .expect("this test reads another process's memory: it must be run as root");
        let mut memory = std::fs::File::open(format!("/proc/{id}/mem"))
            .expect("this test reads another process's memory: it must be run as root");
        let (mut counts, mut read_length) = ([0; N], 0);
        for line in maps.lines() {
            let mut words = line.split_whitespace();
            let (range, permissions) = (words.next().unwrap(), words.next().unwrap());
            // The kernel's own pages are no memory of the process, and can't be read from outside.
            if !permissions.starts_with('r')
                || line.ends_with("[vvar]")
                || line.ends_with("[vsyscall]")
            {
                continue;
            }
            let mapping = read_range(&mut memory, range);
            read_length += mapping.len();
            for (count, needle) in counts.iter_mut().zip(needles) {
                *count += needle.count(&mapping);
            }
        }
        eprintln!("{read_length} bytes of memory were searched");
        assert!(read_length > 1 << 20, "a process is larger than this");
        counts
    }

    /// Lets the process go on, asks it to stop, and waits for its end.
    pub(crate) fn finish(mut self) -> ExitStatus {
        self.signal(Signal::CONT);
        self.signal(Signal::INT);
        let mut rest = String::new();
        self.output.read_to_string(&mut rest).unwrap();
        self.process.wait().unwrap()
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.process), signal).unwrap();
    }
}

impl Drop for Provisioning {
    fn drop(&mut self) {
        // It has ended, or it is this test's own child and no longer needed.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Reads one mapping; parts of a file behind its end have no content.
fn read_range(memory: &mut std::fs::File, range: &str) -> Vec<u8> {
    let (start, end) = range.split_once('-').unwrap();
    let [start, end] = [start, end].map(|number| u64::from_str_radix(number, 16).unwrap());
    memory.seek(SeekFrom::Start(start)).unwrap();
    let mut bytes = vec![0; usize::try_from(end - start).unwrap()];
    let mut length = 0;
    while length < bytes.len() {
        match memory.read(&mut bytes[length..]) {
            Ok(0) | Err(_) => break,
            Ok(count) => length += count,
        }
    }
    bytes.truncate(length);
    bytes
}
