//! What the key is like, seen from outside; and that its signatures are worth something to others.

use keyline_station::audit::VerifierKey;

use crate::hsm::{Guarded, LABEL, PIN, verified_by};

#[test]
fn the_key_is_made_in_the_token_and_is_sensitive_and_not_extractable() {
    let guarded = Guarded::new(&["1=sim"]);
    let hsm = &guarded.hsm;
    let listed = hsm.pkcs11_tool(&["--list-objects", "--type", "privkey"]);
    let listed = String::from_utf8(listed.stdout).unwrap();
    assert_eq!(listed.matches("Private Key Object").count(), 1, "{listed}");
    assert!(listed.contains("EC_EDWARDS"), "{listed}");
    assert!(
        listed.contains("sensitive, always sensitive, never extractable, local"),
        "{listed}"
    );
    let usage = listed.lines().find(|line| line.contains("Usage:")).unwrap();
    assert_eq!(usage.split_once(':').unwrap().1.trim(), "sign", "{listed}");
}

#[test]
fn software_that_nobody_here_wrote_verifies_its_checkpoints() {
    let guarded = Guarded::new(&["1=sim"]);
    let ran = guarded.provision("1").good();
    let checkpoint = ran.summary()["checkpoint"].as_str().unwrap();
    // The public key comes from the token by way of another program.
    let public_key = guarded.hsm.public_key(LABEL);
    let key = VerifierKey::new("station-1", &public_key).unwrap();
    assert!(verified_by(checkpoint, &key.to_string()), "{checkpoint}");
    let other = VerifierKey::new("station-2", &public_key).unwrap();
    assert!(!verified_by(checkpoint, &other.to_string()));

    let notes: Vec<String> = guarded.ask("SELECT note FROM checkpoint ORDER BY tree_size");
    assert!(notes.len() > 10, "{}", notes.len());
    for note in notes {
        assert!(verified_by(&note, &key.to_string()), "{note}");
    }
    guarded.assert_whole();
}

#[test]
fn the_doctor_is_content_and_the_pin_is_written_nowhere() {
    let guarded = Guarded::new(&["1=sim"]);
    guarded.provision("1").good();
    let check = guarded.check("audit-key");
    assert_eq!(check["state"], "ok", "{check}");
    let run = guarded.run(&["-vvv", "audit", "key", "list"]).good();
    assert!(!run.words.contains(PIN), "{}", run.words);
    let log = guarded.station.home().join("log");
    let mut files: Vec<_> = std::fs::read_dir(log).unwrap().collect();
    files.extend(std::fs::read_dir(guarded.station.home()).unwrap());
    for file in files {
        let path = file.unwrap().path();
        if path.is_file() {
            let bytes = std::fs::read(&path).unwrap();
            let holds = bytes.windows(PIN.len()).any(|part| part == PIN.as_bytes());
            assert!(!holds, "{}", path.display());
        }
    }
}

/// A key that was brought in from outside may have a copy there: the doctor says so, and the line runs.
#[test]
fn a_key_that_came_from_outside_is_told_apart() {
    let guarded = Guarded::bare();
    let directory = guarded.station.directory();
    crate::station::openssl(
        directory,
        &["genpkey", "-algorithm", "ed25519", "-out", "outside.pem"],
    );
    guarded.hsm.import("outside.pem", LABEL);
    guarded.init(&["1=sim"]).good();
    let check = guarded.check("audit-key");
    assert_eq!(check["state"], "warn", "{check}");
    assert!(check["found"].as_str().unwrap().contains("always was"));
}

#[test]
fn a_key_that_is_there_already_is_used_and_a_label_of_ones_own_makes_a_new_one() {
    let guarded = Guarded::bare();
    guarded
        .hsm
        .make_key("EC:edwards25519", LABEL, &["--sensitive", "--id", "01"]);
    let made_before = guarded.hsm.public_key(LABEL);
    guarded.init(&["1=sim"]).good();
    let listed = guarded.run(&["audit", "key", "list"]).good();
    let key = VerifierKey::new("station-1", &made_before).unwrap();
    assert_eq!(listed.all("log-key")[0]["key"], key.to_string());
    assert_eq!(listed.all("log-key")[0]["place"]["kind"], "token");

    std::fs::remove_dir_all(guarded.station.home()).unwrap();
    let pin_file = guarded.hsm.pin_file().display().to_string();
    let module = crate::hsm::Hsm::module();
    let token = ["init", "--audit-token", crate::hsm::TOKEN];
    let rest = ["--audit-module", module, "--audit-pin-file", &pin_file];
    guarded.run(&[&token[..], &rest[..]].concat()).good();
    let listed = guarded.run(&["audit", "key", "list"]).good();
    let label = listed.all("log-key")[0]["place"]["label"].as_str().unwrap();
    assert!(label.starts_with("keyline-"), "{label}");
    assert_ne!(guarded.hsm.public_key(label), made_before);
}

/// Asks the token for what must not come out of it, in a process of its own: `SOFTHSM2_CONF` is read when the module is initialised.
#[test]
fn neither_reading_nor_wrapping_gets_the_private_key_out() {
    let guarded = Guarded::new(&["1=sim"]);
    // Shows that the attempts are sound: a key that may be read is read.
    guarded
        .hsm
        .make_key("EC:edwards25519", "open", &["--extractable"]);
    for (label, expected) in [("open", "read, wrapped"), (LABEL, "kept, kept")] {
        let output = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "secrecy::attempt", "--nocapture"])
            .env("SOFTHSM2_CONF", guarded.hsm.configuration())
            .env("KEYLINE_ATTEMPT_LABEL", label)
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(
            text.contains(&format!("attempt: {expected}")),
            "{label}: {text}"
        );
    }
}

#[test]
#[ignore = "runs as a process of the test above"]
fn attempt() {
    use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
    use cryptoki::mechanism::Mechanism;
    use cryptoki::object::{Attribute, AttributeType, ObjectClass};
    use cryptoki::session::UserType;
    let Ok(label) = std::env::var("KEYLINE_ATTEMPT_LABEL") else {
        return;
    };
    let context = Pkcs11::new(crate::hsm::Hsm::module()).unwrap();
    context
        .initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK))
        .unwrap();
    let slot = context.get_slots_with_initialized_token().unwrap()[0];
    let session = context.open_rw_session(slot).unwrap();
    session.login(UserType::User, Some(&PIN.into())).unwrap();
    if label == "open" {
        make_open_key(&session);
    }
    let template = [
        Attribute::Class(ObjectClass::PRIVATE_KEY),
        Attribute::Label(label.into()),
    ];
    let key = session.find_objects(&template).unwrap()[0];
    let read = session.get_attributes(key, &[AttributeType::Value]);
    let read = read.is_ok_and(|found| {
        let value = |attribute: &Attribute| matches!(attribute, Attribute::Value(value) if !value.is_empty());
        found.iter().any(value)
    });
    let wrapping_key = session
        .generate_key(
            &Mechanism::AesKeyGen,
            &[
                Attribute::Token(false),
                Attribute::Wrap(true),
                Attribute::ValueLen(32.into()),
            ],
        )
        .unwrap();
    let wrapped = session
        .wrap_key(&Mechanism::AesKeyWrapPad, wrapping_key, key)
        .is_ok();
    println!(
        "attempt: {}, {}",
        if read { "read" } else { "kept" },
        if wrapped { "wrapped" } else { "kept" }
    );
}

/// A key that is neither sensitive nor kept from being extracted. P-256, because SoftHSM wraps no other curve.
fn make_open_key(session: &cryptoki::session::Session) {
    use cryptoki::mechanism::Mechanism;
    use cryptoki::object::Attribute;
    let public = [
        Attribute::Token(false),
        // The object identifier of P-256, 1.2.840.10045.3.1.7.
        Attribute::EcParams(hex::decode("06082a8648ce3d030107").unwrap()),
    ];
    let private = [
        Attribute::Token(false),
        Attribute::Label("open".into()),
        Attribute::Sensitive(false),
        Attribute::Extractable(true),
    ];
    session
        .generate_key_pair(&Mechanism::EccKeyPairGen, &public, &private)
        .unwrap();
}
