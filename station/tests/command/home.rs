//! Homes: made once, whole or not at all, private, with one owner, on disks that are read-only or full.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use crate::station::{Station, keyline, ran};

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_new_home_is_private_and_is_made_once() {
    let station = Station::new();
    let home = station.home();
    assert_eq!(mode(&home), 0o700);
    for file in [
        "config.toml",
        "journal.sqlite",
        "keys/audit.pem",
        "keys/operator.token",
        "keyline.lock",
    ] {
        assert_eq!(mode(&home.join(file)), 0o600, "{file}");
    }
    station.run(&["init"]).refused(3, "home-exists");
    let checkpoint = station.add_product("sensor", &[]).good();
    let checkpoint = checkpoint.summary()["checkpoint"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(checkpoint.starts_with("station-1\n"), "{checkpoint}");
}

#[test]
fn a_home_is_not_made_among_other_things_and_an_unfinished_one_is_begun_anew() {
    let station = Station::bare();
    let home = station.home();
    std::fs::create_dir(&home).unwrap();
    set_mode(&home, 0o700);
    std::fs::write(home.join("thesis.txt"), "precious").unwrap();
    let ran = station.run(&["init"]).refused(3, "home-exists");
    assert!(
        ran.error_message().contains("thesis.txt"),
        "{}",
        ran.error_message()
    );
    assert_eq!(std::fs::read(home.join("thesis.txt")).unwrap(), b"precious");
    std::fs::remove_file(home.join("thesis.txt")).unwrap();
    std::fs::write(home.join("unfinished"), "").unwrap();
    std::fs::write(home.join("journal.sqlite"), "half of one").unwrap();
    station.run(&["init"]).good();
    assert!(!home.join("unfinished").exists());
    station.run(&["product", "list"]).good();
}

#[test]
fn without_a_home_every_command_says_how_to_make_one() {
    let station = Station::bare();
    for command in [
        &["product", "list"][..],
        &["provision", "--order", "WO-1"],
        &["unit", "show", "x"],
    ] {
        let ran = station.run(command).refused(3, "home-missing");
        assert!(
            ran.all("error")[0]["error"]["next"]
                .as_str()
                .unwrap()
                .contains(" init`")
        );
    }
    let output = keyline()
        .args(["--json", "product", "list"])
        .env("XDG_STATE_HOME", station.directory())
        .output()
        .unwrap();
    let ran = ran(&output).refused(3, "home-missing");
    let expected = station.directory().join("keyline");
    assert!(
        ran.error_message().contains(expected.to_str().unwrap()),
        "{}",
        ran.error_message()
    );
}

#[test]
fn what_others_can_read_is_refused() {
    let station = Station::new();
    let home = station.home();
    station.cloud_key();
    for (path, open, private) in [
        (home.clone(), 0o755, 0o700),
        (home.join("config.toml"), 0o644, 0o600),
        (home.join("keys/audit.pem"), 0o640, 0o600),
    ] {
        set_mode(&path, open);
        let ran = station.add_product("sensor", &[]);
        let ran = ran.refused(3, "home-exposed");
        assert!(
            ran.error_message().contains(path.to_str().unwrap()),
            "{}",
            ran.error_message()
        );
        set_mode(&path, private);
    }
    station.add_product("sensor", &[]).good();
}

#[test]
fn a_wrong_configuration_says_where() {
    let station = Station::new();
    let path = station.home().join("config.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("days = 14", "weeks = 2")).unwrap();
    let ran = station
        .run(&["provision", "--order", "WO-1"])
        .refused(3, "config");
    assert!(
        ran.error_message().contains("unknown field `weeks`"),
        "{}",
        ran.error_message()
    );
    assert!(
        ran.error_message().contains("at line "),
        "{}",
        ran.error_message()
    );
}

/// Runs a shell script in mount and user namespaces of its own, where it may mount what it likes.
fn in_own_namespace(script: &str, arguments: &[&str]) -> Output {
    let output = Command::new("unshare")
        .args([
            "--user",
            "--map-root-user",
            "--mount",
            "sh",
            "-ec",
            script,
            "sh",
        ])
        .args(arguments)
        .output()
        .expect("these tests need unshare (util-linux)");
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(
        !words.contains("unshare:") && !words.contains("mount:"),
        "this machine forbids user namespaces: {words}"
    );
    output
}

#[test]
fn a_read_only_home_is_refused_with_words() {
    let station = Station::new();
    let key = station.cloud_key();
    let home = station.home();
    let output = in_own_namespace(
        "mount --bind \"$1\" \"$1\"; mount -o remount,bind,ro \"$1\"; exec \"$2\" --json --home \"$1\" product add --name x --platform nrf51822 --cloud-key \"$3\" --cloud-address c:1",
        &[home.to_str().unwrap(), env!("CARGO_BIN_EXE_keyline"), &key],
    );
    let ran = ran(&output).refused(3, "home-read-only");
    assert!(
        ran.error_message().contains("read-only"),
        "{}",
        ran.error_message()
    );
    station.add_product("x", &[]).good();
}

#[test]
fn a_full_disk_is_refused_before_anything_begins_and_nothing_is_half_written() {
    let station = Station::with_order(5);
    let home = station.home();
    // Room for the home itself, and for less than a line wants to begin with.
    let script = "mount -t tmpfs -o size=8m none \"$3\"; cp -a \"$1\" \"$3/home\"; \"$2\" --json --home \"$3/home\" provision --order WO-1 || code=$?; \
                  \"$2\" --home \"$3/home\" unit list >&2; exit $code";
    let disk = station.directory().join("disk");
    std::fs::create_dir(&disk).unwrap();
    let output = in_own_namespace(
        script,
        &[
            home.to_str().unwrap(),
            env!("CARGO_BIN_EXE_keyline"),
            disk.to_str().unwrap(),
        ],
    );
    let ran = ran(&output).refused(3, "disk-full");
    assert!(
        ran.error_message().contains("expected at least 64 MiB"),
        "{}",
        ran.error_message()
    );
    // The disk has no block left at all: not even a home can be begun.
    let script = "mount -t tmpfs -o size=64k none \"$1\"; head -c 1m /dev/zero > \"$1/fill\" 2>/dev/null || true; exec \"$2\" --json --home \"$1/home\" init";
    let output = in_own_namespace(
        script,
        &[disk.to_str().unwrap(), env!("CARGO_BIN_EXE_keyline")],
    );
    let ran = crate::station::ran(&output);
    assert_eq!(ran.code, 3, "{:?}", ran.lines);
    assert_eq!(ran.error_code(), "disk-full");
    ran.summary();
}
