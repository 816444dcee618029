//! Sealed exports: one file leaves, and one person opens it, with plain OpenSSL.

use std::path::Path;
use std::process::{Command, Output};

use keyline_station::export::verify;
use serde_json::Value;

use crate::factory::{export, factory, files_with, log_key, rows};
use crate::station::{Station, openssl};

const KEYS: [(&str, &str, &str); 3] = [
    ("rsa2048", "RSA", "rsa_keygen_bits:2048"),
    ("rsa3072", "RSA", "rsa_keygen_bits:3072"),
    ("p256", "EC", "ec_paramgen_curve:P-256"),
];

/// A key pair in `NAME.key` and `NAME.pem`.
fn make_key(directory: &Path, name: &str, algorithm: &str, option: &str) {
    let (private, public) = (format!("{name}.key"), format!("{name}.pem"));
    let make = [
        "genpkey",
        "-algorithm",
        algorithm,
        "-pkeyopt",
        option,
        "-out",
        &private,
    ];
    openssl(directory, &make);
    openssl(
        directory,
        &["pkey", "-in", &private, "-pubout", "-out", &public],
    );
}

/// Runs the very command that the station printed, with this private key.
fn open(station: &Station, command: &str, key: &str, place: &Path) -> Output {
    std::fs::create_dir_all(place).unwrap();
    let key = station.directory().join(format!("{key}.key"));
    let command = command.replace("KEY.pem", &key.display().to_string());
    Command::new("sh")
        .args(["-c", &command])
        .current_dir(place)
        .output()
        .unwrap()
}

#[test]
fn the_printed_command_opens_it_for_the_right_key_only() {
    let station = factory();
    for (name, algorithm, option) in KEYS {
        make_key(station.directory(), name, algorithm, option);
        make_key(
            station.directory(),
            &format!("not-{name}"),
            algorithm,
            option,
        );
        let public = format!("{name}.pem");
        let out = format!("for {name}'s holder");
        let more = ["--customer", "acme", "--seal-to", &public];
        let ran = export(&station, &out, &more).good();
        let exported = ran.all("export")[0];
        let directory = station.directory().join(&out);
        let left: Vec<_> = std::fs::read_dir(&directory).unwrap().collect();
        assert_eq!(left.len(), 1, "one file leaves");
        let command = exported["open_command"].as_str().unwrap();
        assert!(command.starts_with("openssl cms -decrypt "), "{command}");
        let notice = ran.all("notice")[0]["message"].as_str().unwrap();
        assert!(notice.contains(command), "people are told: {notice}");

        let place = station.directory().join(format!("opened-{name}"));
        let opened = open(&station, command, name, &place);
        assert!(
            opened.status.success(),
            "{command}: {}",
            String::from_utf8_lossy(&opened.stderr)
        );
        let place = place.join("opened");
        let verified = verify(&place, &[log_key(&station)]).unwrap();
        assert_eq!(
            hex::encode(verified.manifest_digest),
            exported["manifest_digest"].as_str().unwrap()
        );
        assert_eq!(verified.manifest.files[0].rows, 4);

        let place = station.directory().join(format!("refused-{name}"));
        for other in [format!("not-{name}"), "cloud".to_owned()] {
            let refused = open(&station, command, &other, &place);
            assert!(!refused.status.success(), "{other} opened it");
            assert!(!place.join("opened").exists());
        }
        let sealed = directory.join("export.cms");
        let content = std::fs::read(&sealed).unwrap();
        for place_in_file in [content.len() / 2, content.len() - 1] {
            let mut changed = content.clone();
            changed[place_in_file] ^= 1;
            std::fs::write(&sealed, changed).unwrap();
            let refused = open(&station, command, name, &place);
            assert!(!refused.status.success(), "byte {place_in_file}");
            assert!(!place.join("units.csv").exists(), "nothing was unpacked");
        }
    }
    assert_log_names_recipients(&station);
}

/// Each sealed export is a leaf that says to whose key.
fn assert_log_names_recipients(station: &Station) {
    let log = rows(station, "log", &["--rows", "leaves"]);
    let exports = log.iter().filter(|row| row["kind"] == "exported");
    let sealed: Vec<String> = exports
        .map(|row| {
            let body: Value = serde_json::from_str(row["body"].as_str().unwrap()).unwrap();
            body["sealed_to"].as_str().unwrap().to_owned()
        })
        .collect();
    let expected: Vec<String> = KEYS
        .iter()
        .map(|(name, ..)| {
            let path = station.directory().join(format!("{name}.pem"));
            let key = keyline_station::seal::Recipient::read(&path).unwrap();
            hex::encode(key.fingerprint())
        })
        .collect();
    assert_eq!(sealed, expected);
}

#[test]
fn nothing_of_it_is_left_in_the_clear() {
    let station = factory();
    make_key(station.directory(), "p256", "EC", "ec_paramgen_curve:P-256");
    // What a process that was killed has left is removed by the next one.
    let leftover = station.home().join("export.clear");
    std::fs::create_dir(&leftover).unwrap();
    std::fs::write(leftover.join("units.csv"), "device_id,serial").unwrap();
    export(&station, "sealed", &["--seal-to", "p256.pem"]).good();
    assert!(!leftover.exists());
    let header = b"device_id,serial";
    let found = files_with(station.directory(), header);
    assert!(found.is_empty(), "{found:?}");
    export(&station, "clear", &[]).good();
    let found = files_with(station.directory(), header);
    assert_eq!(found, [station.directory().join("clear/units.csv")]);
}

#[test]
fn a_key_that_nothing_is_sealed_to_is_refused_with_words() {
    let station = factory();
    let directory = station.directory();
    make_key(directory, "short", "RSA", "rsa_keygen_bits:1024");
    make_key(directory, "p384", "EC", "ec_paramgen_curve:P-384");
    make_key(directory, "p256", "EC", "ec_paramgen_curve:P-256");
    for (key, words) in [
        ("short.pem", "an RSA key of 1024 bits"),
        ("p384.pem", "P-384"),
        ("p256.key", "got a private key"),
        ("home/config.toml", "to seal to"),
        ("missing.pem", "readable"),
    ] {
        let ran = export(&station, "out", &["--seal-to", key]).refused(2, "recipient-key");
        assert!(
            ran.error_message().contains(words),
            "{key}: {}",
            ran.error_message()
        );
    }
    assert!(!directory.join("out").exists());
}
