//! Keys, tokens and PIN files that the station does not take, and what it says: exit code 5, what was expected and what came.

use crate::hsm::{Guarded, Hsm, LABEL, PIN};
use crate::support::edit_config;

/// Every command is refused with these words, the doctor says the same, and after the repair everything works and nothing is missing.
fn refused_until(guarded: &Guarded, words: &str, repair: impl FnOnce()) {
    let ran = guarded.provision("1").refused(5, "audit-key");
    let message = ran.error_message();
    assert!(message.contains(words), "{message}");
    assert!(ran.all("unit").is_empty(), "{:?}", ran.lines);
    let check = guarded.check("audit-key");
    assert_eq!(check["state"], "fail", "{check}");
    assert!(check["found"].as_str().unwrap().contains(words), "{check}");
    assert!(!check["next"].as_str().unwrap().is_empty(), "{check}");
    repair();
    guarded.provision("1").good();
    guarded.assert_whole();
}

/// Points the configuration at the key of this label.
fn configure(guarded: &Guarded, label: &str) {
    edit_config(&guarded.station, |line| {
        line.starts_with("label = ")
            .then(|| format!("label = \"{label}\""))
    });
}

#[test]
fn pin_files_that_are_wrong() {
    let guarded = Guarded::new(&["1=sim"]);
    let hsm = &guarded.hsm;
    hsm.write_pin("000000");
    refused_until(&guarded, "refused the PIN", || hsm.write_pin(PIN));
    hsm.pin_mode(0o640);
    refused_until(&guarded, "0600 or stricter", || hsm.pin_mode(0o600));
    hsm.write_pin("");
    refused_until(&guarded, "one line with the PIN", || hsm.write_pin(PIN));
    hsm.write_pin(&format!("{PIN}\n{PIN}"));
    refused_until(&guarded, "one line with the PIN", || hsm.write_pin(PIN));
    std::fs::remove_file(hsm.pin_file()).unwrap();
    refused_until(&guarded, "can't be read", || hsm.write_pin(PIN));
}

#[test]
fn keys_that_the_log_must_not_be_signed_with() {
    let guarded = Guarded::new(&["1=sim"]);
    let hsm = &guarded.hsm;
    let repair = || configure(&guarded, LABEL);

    hsm.make_key("EC:prime256v1", "of-another-kind", &["--sensitive"]);
    configure(&guarded, "of-another-kind");
    refused_until(&guarded, "expected an Ed25519 key", repair);

    hsm.make_key(
        "EC:edwards25519",
        "to-be-read",
        &["--sensitive", "--extractable"],
    );
    configure(&guarded, "to-be-read");
    refused_until(&guarded, "CKA_EXTRACTABLE false", repair);

    for id in ["0a", "0b"] {
        hsm.make_key("EC:edwards25519", "twins", &["--sensitive", "--id", id]);
    }
    configure(&guarded, "twins");
    refused_until(&guarded, "labelled \"twins\" in the token, found 2", repair);

    configure(&guarded, "nobody");
    refused_until(
        &guarded,
        "labelled \"nobody\" in the token, found 0",
        repair,
    );

    hsm.make_key("EC:edwards25519", "half", &["--sensitive", "--id", "0c"]);
    let delete = hsm.pkcs11_tool(&["--delete-object", "--type", "pubkey", "--label", "half"]);
    assert!(delete.status.success(), "{delete:?}");
    configure(&guarded, "half");
    refused_until(&guarded, "public key beside the private key", repair);
}

#[test]
fn a_public_half_that_is_another_keys() {
    let guarded = Guarded::new(&["1=sim"]);
    let hsm = &guarded.hsm;
    for id in ["0d", "0e"] {
        hsm.make_key("EC:edwards25519", "swapped", &["--sensitive", "--id", id]);
    }
    for half in [("pubkey", "0d"), ("privkey", "0e")] {
        let delete = ["--delete-object", "--type", half.0, "--id", half.1];
        assert!(hsm.pkcs11_tool(&delete).status.success());
    }
    let set_id = ["--set-id", "0d", "--id", "0e", "--type", "pubkey"];
    let moved = hsm.pkcs11_tool(&set_id);
    assert!(moved.status.success(), "{moved:?}");
    configure(&guarded, "swapped");
    let ran = guarded.provision("1").refused(5, "audit-key");
    let message = ran.error_message();
    assert!(
        message.contains("expected signatures by the public key"),
        "{message}"
    );
}

#[test]
fn modules_and_tokens_that_are_not_there() {
    let guarded = Guarded::new(&["1=sim"]);
    let module = |path: &str| {
        edit_config(&guarded.station, |line| {
            line.starts_with("module = ")
                .then(|| format!("module = \"{path}\""))
        });
    };
    for (path, words) in [
        ("/nowhere/module.so", "can't be loaded"),
        ("/usr/lib/x86_64-linux-gnu/libc.so.6", "can't be loaded"),
    ] {
        module(path);
        refused_until(&guarded, words, || module(Hsm::module()));
    }
    module("module.so");
    guarded.provision("1").refused(3, "config");
    module(Hsm::module());

    guarded.hsm.pull_out();
    refused_until(&guarded, "labelled \"line-7\", found none", || {
        guarded.hsm.put_back();
    });
    // Two tokens of one label: nobody can say which of them is meant.
    guarded.hsm.make_token();
    let ran = guarded.provision("1").refused(5, "audit-key");
    assert!(
        ran.error_message().contains("found \"line-7\", \"line-7\""),
        "{}",
        ran.error_message()
    );
}

/// A token with a sound key of the same label, but not the key that the log says.
#[test]
fn a_token_that_was_swapped_for_another() {
    let guarded = Guarded::new(&["1=sim"]);
    let hsm = &guarded.hsm;
    hsm.pull_out();
    hsm.make_token();
    hsm.make_key("EC:edwards25519", LABEL, &["--sensitive", "--id", "01"]);
    let ran = guarded.provision("1").refused(5, "journal");
    let message = ran.error_message();
    assert!(
        message.contains("because the log says that it signs"),
        "{message}"
    );
    assert_eq!(guarded.check("journal")["state"], "fail");
    hsm.put_back();
    guarded.provision("1").good();
    guarded.assert_whole();
}

/// What was made in the token by an `init` that did not come to its end is in nobody's way.
#[test]
fn an_init_without_a_token_leaves_no_home() {
    let guarded = Guarded::bare();
    guarded.hsm.pull_out();
    guarded.init(&["1=sim"]).refused(5, "audit-key");
    guarded.run(&["product", "list"]).refused(3, "home-missing");
    guarded.hsm.put_back();
    guarded.init(&["1=sim"]).good();
    guarded.add_order();
    guarded.provision("1").good();
}
