//! What is sealed opens with plain `openssl cms -decrypt`, with the one key only, and whole only.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that can't go on has failed"
)]

use std::path::Path;
use std::process::{Command, Output};

use keyline_station::seal::{CONTENT_LENGTH_MAX, Recipient, RecipientError, SealError, seal};

/// What openssl says to these arguments.
fn openssl(directory: &Path, arguments: &[&str]) -> Output {
    Command::new("openssl")
        .args(arguments)
        .current_dir(directory)
        .output()
        .expect("these tests need openssl (Debian: apt-get install openssl)")
}

fn succeed(directory: &Path, arguments: &[&str]) -> Vec<u8> {
    let output = openssl(directory, arguments);
    assert!(
        output.status.success(),
        "openssl {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}

/// Makes a private key in `NAME.key` and its public half in `NAME.pem`.
fn make_key(directory: &Path, name: &str, algorithm: &[&str]) {
    let private = format!("{name}.key");
    let mut arguments = vec!["genpkey", "-out", &private];
    arguments.extend(algorithm);
    succeed(directory, &arguments);
    let public = format!("{name}.pem");
    succeed(
        directory,
        &["pkey", "-in", &private, "-pubout", "-out", &public],
    );
}

const P256: [&str; 4] = ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"];

fn rsa(bits: &str) -> [String; 4] {
    [
        "-algorithm".to_owned(),
        "RSA".to_owned(),
        "-pkeyopt".to_owned(),
        format!("rsa_keygen_bits:{bits}"),
    ]
}

/// Two keys of each kind that can be sealed to: their names, the right one and another one.
fn keys(directory: &Path) -> Vec<(String, String)> {
    let mut made = Vec::new();
    for bits in ["2048", "3072", "4096"] {
        let algorithm = rsa(bits);
        let algorithm: Vec<&str> = algorithm.iter().map(String::as_str).collect();
        let (right, other) = (format!("rsa{bits}"), format!("other{bits}"));
        make_key(directory, &right, &algorithm);
        make_key(directory, &other, &algorithm);
        made.push((right, other));
    }
    make_key(directory, "p256", &P256);
    make_key(directory, "other256", &P256);
    made.push(("p256".to_owned(), "other256".to_owned()));
    made
}

fn recipient(directory: &Path, name: &str) -> Recipient {
    Recipient::read(&directory.join(format!("{name}.pem"))).unwrap()
}

fn sealed(recipient: &Recipient, content: &[u8]) -> Vec<u8> {
    let sealed = seal(recipient, content.to_vec()).unwrap();
    let mut bytes = Vec::new();
    sealed.write_to(&mut bytes).unwrap();
    assert_eq!(bytes.len(), sealed.length());
    bytes
}

/// Opens `bytes` with the command that people are told.
fn open(directory: &Path, bytes: &[u8], key: &str) -> Output {
    std::fs::write(directory.join("export.cms"), bytes).unwrap();
    let key = format!("{key}.key");
    openssl(
        directory,
        &[
            "cms",
            "-decrypt",
            "-binary",
            "-inform",
            "DER",
            "-in",
            "export.cms",
            "-inkey",
            &key,
        ],
    )
}

#[test]
fn the_right_key_opens_it_and_no_other_does() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let content: Vec<u8> = (0..70_000_u32).flat_map(u32::to_be_bytes).collect();
    let keys = keys(directory);
    for (right, other) in &keys {
        let recipient = recipient(directory, right);
        for content in [&content[..], b"", b"\r\n.\n"] {
            let bytes = sealed(&recipient, content);
            let opened = open(directory, &bytes, right);
            assert!(
                opened.status.success(),
                "{right}: {}",
                String::from_utf8_lossy(&opened.stderr)
            );
            assert!(opened.stdout == content, "{right}");
            let refused = open(directory, &bytes, other);
            assert!(!refused.status.success(), "{right}: {other} opened it");
            assert!(content.is_empty() || refused.stdout != content, "{right}");
        }
        let bytes = sealed(&recipient, &content);
        for (stranger, _) in keys.iter().filter(|(name, _)| name != right) {
            assert!(!open(directory, &bytes, stranger).status.success());
        }
        assert_ne!(
            sealed(&recipient, &content),
            bytes,
            "a fresh key each time: equal contents are not seen to be equal"
        );
    }
}

#[test]
fn a_changed_byte_is_refused_wherever_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    make_key(directory, "p256", &P256);
    let algorithm = rsa("2048");
    let algorithm: Vec<&str> = algorithm.iter().map(String::as_str).collect();
    make_key(directory, "rsa", &algorithm);
    for name in ["p256", "rsa"] {
        let content = vec![0x5a; 600];
        let bytes = sealed(&recipient(directory, name), &content);
        // The whole of the content and the tag, and every seventh byte of what stands before them.
        let head = bytes.len() - 16 - 2 - content.len();
        let places = (0..head).step_by(7).chain((head..bytes.len()).step_by(31));
        let mut changed_nothing = 0;
        for place in places {
            let mut damaged = bytes.clone();
            damaged[place] ^= 1;
            let opened = open(directory, &damaged, name);
            if opened.status.success() {
                // Version numbers, names of types and the identifier of the key say nothing of the content; openssl goes on without them.
                assert!(opened.stdout == content, "{name}: byte {place}");
                changed_nothing += 1;
            }
        }
        assert!(changed_nothing <= 8, "{name}: {changed_nothing} bytes");
        for length in [0, 1, bytes.len() / 2, bytes.len() - 1] {
            let opened = open(directory, &bytes[..length], name);
            assert!(!opened.status.success(), "{name}: cut to {length}");
        }
    }
}

#[test]
fn pem_der_and_certificate_name_the_same_person() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    make_key(directory, "p256", &P256);
    let spki = succeed(
        directory,
        &["pkey", "-pubin", "-in", "p256.pem", "-outform", "DER"],
    );
    let certificate = succeed(
        directory,
        &[
            "req", "-x509", "-new", "-key", "p256.key", "-subj", "/CN=Ada",
        ],
    );
    let certificate_der = succeed(
        directory,
        &[
            "req", "-x509", "-new", "-key", "p256.key", "-subj", "/CN=Ada", "-outform", "DER",
        ],
    );
    let by_pem = recipient(directory, "p256");
    for form in [&spki, &certificate, &certificate_der] {
        let recipient = Recipient::parse(form).unwrap();
        assert_eq!(recipient, by_pem);
        assert_eq!(recipient.fingerprint(), by_pem.fingerprint());
        let bytes = sealed(&recipient, b"data");
        assert!(open(directory, &bytes, "p256").stdout == b"data");
    }
    // Whoever has the certificate at hand may name it: its key identifier is the one in the file.
    std::fs::write(directory.join("ada.crt"), certificate).unwrap();
    std::fs::write(directory.join("export.cms"), sealed(&by_pem, b"data")).unwrap();
    let opened = succeed(
        directory,
        &[
            "cms",
            "-decrypt",
            "-binary",
            "-inform",
            "DER",
            "-in",
            "export.cms",
            "-inkey",
            "p256.key",
            "-recip",
            "ada.crt",
        ],
    );
    assert!(opened == b"data");
}

#[test]
fn weak_foreign_and_private_keys_are_refused_with_words() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let short = rsa("1024");
    let short: Vec<&str> = short.iter().map(String::as_str).collect();
    make_key(directory, "rsa1024", &short);
    for curve in ["P-384", "secp256k1"] {
        let parameter = format!("ec_paramgen_curve:{curve}");
        make_key(
            directory,
            curve,
            &["-algorithm", "EC", "-pkeyopt", &parameter],
        );
    }
    make_key(directory, "ed25519", &["-algorithm", "ED25519"]);
    make_key(directory, "x25519", &["-algorithm", "X25519"]);
    make_key(directory, "p256", &P256);
    for (name, words) in [
        ("rsa1024", "an RSA key of 1024 bits"),
        ("P-384", "P-384"),
        ("secp256k1", "secp256k1"),
        ("ed25519", "Ed25519"),
        ("x25519", "X25519"),
    ] {
        let error = Recipient::read(&directory.join(format!("{name}.pem"))).unwrap_err();
        assert!(
            matches!(error, RecipientError::Unsuitable { .. }),
            "{error:?}"
        );
        assert!(error.to_string().contains(words), "{error}");
    }
    let private = Recipient::read(&directory.join("p256.key")).unwrap_err();
    assert!(matches!(private, RecipientError::PrivateKey { .. }));
    for content in [&b""[..], b"hello", b"-----BEGIN PUBLIC KEY-----\nAAAA"] {
        let error = Recipient::parse(content).unwrap_err();
        assert!(matches!(error, RecipientError::NoKey { .. }), "{error:?}");
    }
    let missing = Recipient::read(&directory.join("nothing")).unwrap_err();
    assert!(matches!(missing, RecipientError::Unreadable { .. }));
    // Nothing of an error speaks of clouds: these are people's keys.
    assert!(!private.to_string().contains("cloud"));
}

#[test]
fn more_than_the_limit_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    make_key(directory.path(), "p256", &P256);
    let recipient = recipient(directory.path(), "p256");
    let refused = seal(&recipient, vec![0; CONTENT_LENGTH_MAX + 1]).unwrap_err();
    assert!(matches!(refused, SealError::TooLarge { got } if got == CONTENT_LENGTH_MAX as u64 + 1));
}
