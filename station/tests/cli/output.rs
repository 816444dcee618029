//! Where the output goes: readers that go away, disks that are full, descriptors that are closed, terminals.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Output, Stdio};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use crate::station::{Station, keyline, ran};
use crate::support::{assert_whole, listed};

fn sim_station(quantity: u32) -> Station {
    crate::support::station_over(&["sim", "sim"], quantity)
}

fn words(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn for_people(station: &Station, arguments: &[&str]) -> Command {
    let mut command = keyline();
    command.arg("--home").arg(station.home()).args(arguments);
    command
}

#[test]
fn an_answer_that_can_not_be_written_is_no_success() {
    let station = sim_station(10);
    station.run(&["provision", "--order", "WO-1"]).good();
    let full = || OpenOptions::new().write(true).open("/dev/full").unwrap();
    for arguments in [
        &["unit", "list"][..],
        &["order", "show", "WO-1"],
        &["doctor"],
        &["completions", "bash"],
        &["man"],
        &["provision", "--order", "WO-1"],
    ] {
        for mut command in [station.command(arguments), for_people(&station, arguments)] {
            let people = !command.get_args().any(|argument| argument == "--json");
            if people && ["doctor", "provision"].contains(&arguments[0]) {
                // These say everything on standard error.
                continue;
            }
            let output = command.stdout(full()).output().unwrap();
            let words = words(&output);
            assert_eq!(output.status.code(), Some(3), "{arguments:?}: {words}");
            assert!(words.contains("could not write its output"), "{words}");
            assert!(words.contains("No space left on device"), "{words}");
            assert!(words.contains("next: "), "{words}");
        }
    }
    assert_whole(&station);
}

#[test]
fn a_reader_that_goes_away_stops_the_line_in_good_order() {
    let station = sim_station(1_000_000);
    let mut process = station
        .command(&["provision", "--order", "WO-1", "--count", "1000000"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut told = Vec::new();
    let mut reader = BufReader::new(process.stdout.take().unwrap());
    while told.len() < 40 {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        told.push(serde_json::from_str::<serde_json::Value>(&line).unwrap());
    }
    drop(reader);
    let output = process.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", words(&output));
    assert!(!words(&output).contains("panicked"), "{}", words(&output));
    assert_whole(&station);
    // What was told is so.
    let passed = listed(&station, "passed");
    for event in crate::support::ended(&told) {
        assert!(passed.contains(&event["device_id"].as_str().unwrap().to_owned()));
    }
    // A reader of an answer has what it wanted.
    for mut command in [
        station.command(&["unit", "list"]),
        for_people(&station, &["unit", "list"]),
        for_people(&station, &["man"]),
        for_people(&station, &["--help"]),
    ] {
        let mut process = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(process.stdout.take());
        let output = process.wait_with_output().unwrap();
        assert!(!words(&output).contains("panicked"), "{}", words(&output));
        assert!(output.status.code().is_some(), "it is not killed either");
    }
}

/// A descriptor that is closed is given to the next file that is opened: a journal must never be it.
#[test]
fn closed_descriptors_do_no_harm() {
    let station = sim_station(10);
    let script = "exec \"$@\" <&- >&- 2>&-";
    for arguments in [&["--json"][..], &[]] {
        let status = Command::new("sh")
            .args(["-c", script, "sh", env!("CARGO_BIN_EXE_keyline")])
            .args(arguments)
            .arg("--home")
            .arg(station.home())
            .args(["provision", "--order", "WO-1"])
            .status()
            .unwrap();
        assert_eq!(status.code(), Some(0));
    }
    assert_eq!(listed(&station, "passed").len(), 4);
    assert_whole(&station);
}

/// What the program writes to a terminal that is its standard error.
fn on_a_terminal(mut command: Command) -> (Option<i32>, String) {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let path = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
    let terminal = OpenOptions::new()
        .read(true)
        .write(true)
        .open(path)
        .unwrap();
    let mut process = command
        .stdout(Stdio::null())
        .stdin(Stdio::null())
        .stderr(terminal)
        .spawn()
        .unwrap();
    // The command still holds the terminal's other end.
    drop(command);
    let reader = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        // A terminal that nobody has open any more ends with an error.
        let _ = File::from(master).read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    });
    let code = process.wait().unwrap().code();
    (code, reader.join().unwrap())
}

#[test]
fn colour_only_where_it_is_wanted_and_never_without_the_word() {
    let station = sim_station(100);
    let provision = || {
        let mut command = for_people(&station, &["provision", "--order", "WO-1"]);
        command.env("TERM", "xterm").env_remove("NO_COLOR");
        command
    };
    let coloured = |text: &str| text.contains("\u{1b}[3") || text.contains("\u{1b}[1;3");
    let (code, text) = on_a_terminal(provision());
    assert_eq!(code, Some(0), "{text}");
    assert!(coloured(&text) && text.contains("PASS"), "{text:?}");
    for (name, value) in [("NO_COLOR", "1"), ("TERM", "dumb")] {
        let mut command = provision();
        command.env(name, value);
        let (code, text) = on_a_terminal(command);
        assert_eq!(code, Some(0), "{text}");
        assert!(
            !coloured(&text) && text.contains("PASS"),
            "{name}: {text:?}"
        );
    }
    // No terminal: no escape at all.
    let output = provision().output().unwrap();
    assert!(!words(&output).contains('\u{1b}'), "{}", words(&output));
    assert!(words(&output).contains("PASS"));
}

#[test]
fn every_command_explains_itself_and_refuses_what_it_does_not_know() {
    let commands: &[&[&str]] = &[
        &[],
        &["demo"],
        &["init"],
        &["doctor"],
        &["product"],
        &["product", "add"],
        &["product", "list"],
        &["product", "show"],
        &["product", "retire"],
        &["order"],
        &["order", "add"],
        &["order", "list"],
        &["order", "show"],
        &["order", "close"],
        &["provision"],
        &["unit"],
        &["unit", "list"],
        &["unit", "show"],
        &["unit", "release"],
        &["unit", "scrap"],
        &["unit", "rework"],
        &["pin"],
        &["pin", "show"],
        &["registry"],
        &["registry", "migrate"],
        &["registry", "status"],
        &["completions"],
        &["man"],
    ];
    for command in commands {
        let output = keyline().args(*command).arg("--help").output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{command:?}");
        let help = String::from_utf8_lossy(&output.stdout);
        assert!(help.contains("Usage: keyline"), "{command:?}: {help}");
        assert!(output.stderr.is_empty(), "{command:?}");

        let output = keyline()
            .args(*command)
            .args(["--frobnicate", "--json"])
            .output()
            .unwrap();
        let refused = ran(&output).refused(2, "usage");
        assert!(
            refused.error_message().contains("--frobnicate"),
            "{}",
            refused.error_message()
        );
    }
}
