//! The token goes away in the middle of a line: exit code 5, nothing passes that is not on record, and with the token back the same
//! process goes on.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};

use rustix::fs::{FlockOperation, fcntl_lock};
use rustix::process::{Pid, Signal, kill_process};

use crate::hsm::{Guarded, LABEL, PIN};
use crate::pty::{Moment, PtyUnit};
use crate::station::Ran;
use crate::support::{end, ended, unit};

/// More frames than a run has: the last ones never come.
const FRAMES: u64 = 14;

/// A process that owns the home and waits for its next unit, for as long as the test likes.
struct Owner {
    process: Child,
    reader: Option<std::thread::JoinHandle<()>>,
    _line: PtyUnit,
}

/// A home with two serial lines. What they lead to may change while the owner lives.
fn bench() -> Guarded {
    let guarded = Guarded::bare();
    let slots = [1, 2].map(|slot| format!("{slot}=serial:{}", line_path(&guarded, slot).display()));
    guarded.init(&[&slots[0], &slots[1]]).good();
    guarded.add_order();
    guarded
}

fn line_path(guarded: &Guarded, slot: u16) -> PathBuf {
    guarded.station.directory().join(format!("line-{slot}"))
}

/// Connects a unit to a slot's line.
fn connect(guarded: &Guarded, slot: u16, line: &PtyUnit) {
    let path = line_path(guarded, slot);
    let _ = std::fs::remove_file(&path);
    symlink(line.path(), path).unwrap();
}

impl Owner {
    /// Returns when it has finished its first unit.
    fn start(guarded: &Guarded) -> Self {
        let line = PtyUnit::new(unit(1), Box::new(|_, _| {}));
        connect(guarded, 1, &line);
        let arguments = [
            "provision",
            "--order",
            "WO-1",
            "--slot",
            "1",
            "--count",
            "9",
        ];
        let mut process = guarded
            .command(&arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(process.stdout.take().unwrap());
        let mut text = String::new();
        while !text.contains("\"passed\",\"already\"") {
            text.clear();
            assert_ne!(output.read_line(&mut text).unwrap(), 0, "it ended early");
        }
        let reader = std::thread::spawn(move || {
            let mut rest = String::new();
            output.read_to_string(&mut rest).unwrap();
        });
        Self {
            process,
            reader: Some(reader),
            _line: line,
        }
    }

    fn assert_alive(&mut self) {
        assert_eq!(
            self.process.try_wait().unwrap(),
            None,
            "the owner has ended"
        );
    }

    /// It was the same process all the time.
    fn stop(mut self) {
        self.assert_alive();
        kill_process(Pid::from_child(&self.process), Signal::TERM).unwrap();
        assert_eq!(self.process.wait().unwrap().code(), Some(130));
        self.reader.take().unwrap().join().unwrap();
    }
}

/// A test that fails leaves no process behind.
impl Drop for Owner {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// It stopped because the key was away: no unit passed, and the message names the token and what to do.
fn assert_stopped(ran: Ran, words: &str) {
    let passed = ended(&ran.lines)
        .into_iter()
        .any(|unit| unit["state"] != "failed");
    assert!(!passed, "{:?}", ran.lines);
    let ran = ran.refused(5, "signing-unavailable");
    let error = &ran.all("error")[0]["error"];
    let message = error["message"].as_str().unwrap();
    assert!(message.contains("token \"line-7\""), "{message}");
    assert!(message.contains(words), "{message}");
    assert!(!error["next"].as_str().unwrap().is_empty(), "{error}");
    assert_eq!(ran.summary()["passed"], 0);
}

#[test]
fn a_token_pulled_out_at_any_frame_stops_the_line_and_the_same_process_goes_on_when_it_is_back() {
    let guarded = Arc::new(bench());
    let mut owner = Owner::start(&guarded);
    let mut outages = 0;
    for frame in 0..FRAMES {
        let pulled = Arc::new(Mutex::new(false));
        let watcher = {
            let (guarded, pulled) = (Arc::clone(&guarded), Arc::clone(&pulled));
            Box::new(move |at, moment| {
                let mut pulled = pulled.lock().unwrap();
                if at == frame && moment == Moment::Between && !*pulled {
                    *pulled = true;
                    guarded.hsm.pull_out();
                }
            })
        };
        let number = 100 + u32::try_from(frame).unwrap();
        let line = PtyUnit::new(unit(number), watcher);
        connect(&guarded, 2, &line);
        let first = guarded.provision("2");
        // The next runs are left alone.
        let happened = std::mem::replace(&mut *pulled.lock().unwrap(), true);
        if !happened {
            first.good();
            break;
        }
        outages += 1;
        assert_stopped(first, "found none");
        owner.assert_alive();
        assert_stopped(guarded.provision("2"), "found none");
        guarded.hsm.put_back();
        let again = guarded.provision("2").good();
        assert_eq!(end(&again)["state"], "passed", "{:?}", again.lines);
        assert_eq!(again.summary()["passed"], 1);
    }
    assert!(outages > 5, "{outages} frames in a run");
    owner.stop();
    // Whoever opens the home next ends the runs that others took over.
    guarded.run(&["audit", "key", "list"]).good();
    guarded.assert_whole();
    let resumed = "SELECT count(*) FROM entry WHERE body LIKE '{\"kind\":\"signing-resumed\",%'";
    assert_eq!(guarded.ask::<i64>(resumed), [outages]);
    let started = "SELECT count(*) FROM entry WHERE body LIKE '{\"kind\":\"started\",%'";
    assert_eq!(guarded.ask::<i64>(started).len(), 1);
    let passed = "SELECT count(*) FROM run WHERE result = 'passed'";
    assert_eq!(
        guarded.ask::<i64>(passed),
        [outages + 2],
        "one for each unit"
    );
}

#[test]
fn a_token_that_hangs_stops_the_line_but_not_the_process_for_ever() {
    let guarded = Guarded::new(&["1=sim", "2=sim"]);
    let mut process = guarded
        .command(&[
            "provision",
            "--order",
            "WO-1",
            "--slot",
            "1",
            "--count",
            "900",
        ])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(process.stdout.take().unwrap());
    let mut text = String::new();
    while !text.contains("\"passed\",\"already\"") {
        assert_ne!(output.read_line(&mut text).unwrap(), 0, "it ended early");
    }
    // SoftHSM takes a record lock on its files for each operation, and waits for it without a limit.
    let files = std::fs::read_dir(guarded.hsm.token()).unwrap();
    let held: Vec<File> = files
        .map(|file| {
            File::options()
                .read(true)
                .write(true)
                .open(file.unwrap().path())
        })
        .map(|file| file.unwrap())
        .inspect(|file| fcntl_lock(file, FlockOperation::LockExclusive).unwrap())
        .collect();
    output.read_to_string(&mut text).unwrap();
    assert_eq!(process.wait().unwrap().code(), Some(5), "{text}");
    let (told, last) = (text.lines().rev().nth(1), text.lines().last().unwrap());
    let told = told.unwrap();
    assert!(told.contains("signing-unavailable"), "{told}");
    assert!(
        told.contains("an answer of the token within 10 s"),
        "{told}"
    );
    let summary: serde_json::Value = serde_json::from_str(last).unwrap();
    let passed = text.matches("\"passed\",\"already\"").count() as u64;
    assert_eq!(summary["passed"], passed);
    drop(held);
    let recorded = "SELECT count(*) FROM run WHERE result = 'passed'";
    assert_eq!(
        guarded.ask::<i64>(recorded),
        [i64::try_from(passed).unwrap()]
    );
    guarded.provision("2").good();
    guarded.assert_log_verifies();
}

#[test]
fn a_token_that_comes_back_as_another_is_refused_and_the_right_one_is_taken() {
    let guarded = bench();
    let mut owner = Owner::start(&guarded);
    let line = PtyUnit::new(unit(2), Box::new(|_, _| {}));
    connect(&guarded, 2, &line);
    let hsm = &guarded.hsm;
    hsm.pull_out();
    hsm.make_token();
    hsm.make_key("EC:edwards25519", LABEL, &["--sensitive", "--id", "01"]);
    assert_stopped(guarded.provision("2"), "the token now has");
    owner.assert_alive();
    hsm.put_back();
    guarded.provision("2").good();
    owner.stop();
    guarded.assert_log_verifies();
}

#[test]
fn a_pin_that_is_wrong_when_the_token_is_back_is_not_tried_again_before_it_was_changed() {
    let guarded = bench();
    let mut owner = Owner::start(&guarded);
    let line = PtyUnit::new(unit(2), Box::new(|_, _| {}));
    connect(&guarded, 2, &line);
    let hsm = &guarded.hsm;
    hsm.pull_out();
    assert_stopped(guarded.provision("2"), "found none");
    hsm.write_pin("000000");
    hsm.put_back();
    assert_stopped(guarded.provision("2"), "refused the PIN");
    hsm.pin_mode(0o604);
    assert_stopped(guarded.provision("2"), "0600 or stricter");
    owner.assert_alive();
    hsm.write_pin(PIN);
    guarded.provision("2").good();
    owner.stop();
    guarded.assert_log_verifies();
}
