//! Another program's opinion: `openssl` reads the keys and checks the signatures.

use std::path::Path;
use std::process::{Command, Output};

/// Runs openssl in a directory.
pub(crate) fn run(directory: &Path, arguments: &[&str]) -> Output {
    Command::new("openssl")
        .args(arguments)
        .current_dir(directory)
        .output()
        .expect("these tests need openssl (Debian: apt-get install openssl)")
}

/// What openssl prints of a public key in SPKI DER; a key that is none ends the test.
pub(crate) fn describe(directory: &Path, spki: &[u8]) -> String {
    std::fs::write(directory.join("described.der"), spki).unwrap();
    let arguments = [
        "pkey",
        "-pubin",
        "-inform",
        "DER",
        "-in",
        "described.der",
        "-text",
        "-noout",
    ];
    let output = run(directory, &arguments);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// Whether this P-256 signature (`r ‖ s`) is the key's over the message.
pub(crate) fn verifies(directory: &Path, spki: &[u8], message: &[u8], signature: &[u8]) -> bool {
    std::fs::write(directory.join("key.der"), spki).unwrap();
    std::fs::write(directory.join("message"), message).unwrap();
    std::fs::write(directory.join("signature"), to_der(signature)).unwrap();
    let output = run(
        directory,
        &[
            "dgst",
            "-sha256",
            "-keyform",
            "DER",
            "-verify",
            "key.der",
            "-signature",
            "signature",
            "message",
        ],
    );
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    match (output.status.success(), said.trim()) {
        (true, "Verified OK") => true,
        (false, "Verification failure" | "Verification Failure") => false,
        _ => panic!("{said} {}", String::from_utf8_lossy(&output.stderr)),
    }
}

/// `r ‖ s` as `SEQUENCE { INTEGER, INTEGER }` (RFC 3279, 2.2.3).
fn to_der(signature: &[u8]) -> Vec<u8> {
    assert_eq!(signature.len(), 64);
    let integer = |number: &[u8]| {
        let mut bytes: Vec<u8> = number
            .iter()
            .copied()
            .skip_while(|byte| *byte == 0)
            .collect();
        if bytes.first().is_none_or(|byte| byte & 0x80 != 0) {
            bytes.insert(0, 0);
        }
        let mut element = vec![2, u8::try_from(bytes.len()).unwrap()];
        element.extend(bytes);
        element
    };
    let body = [integer(&signature[..32]), integer(&signature[32..])].concat();
    let mut der = vec![0x30, u8::try_from(body.len()).unwrap()];
    der.extend(body);
    der
}
