//! Keys and certificates as `openssl` writes them, and everything that people hand over by mistake.

use std::path::Path;

use keyline_station::cloud_key::{CloudKey, CloudKeyError, CloudKeyKind};
use proptest::prelude::*;

use crate::station::openssl;

fn read(directory: &Path, file: &str) -> Result<CloudKey, CloudKeyError> {
    CloudKey::read(&directory.join(file))
}

/// A key pair of this kind: `name.private`, `name.pem`, `name.der` and a certificate in `name.crt` and `name.cer`.
fn make(directory: &Path, name: &str, generate: &[&str]) {
    let (private, pem, der) = (
        format!("{name}.private"),
        format!("{name}.pem"),
        format!("{name}.der"),
    );
    let mut arguments = vec!["genpkey", "-out", &private, "-algorithm"];
    arguments.extend(generate);
    openssl(directory, &arguments);
    openssl(
        directory,
        &["pkey", "-in", &private, "-pubout", "-out", &pem],
    );
    openssl(
        directory,
        &[
            "pkey", "-in", &private, "-pubout", "-outform", "DER", "-out", &der,
        ],
    );
    let (crt, cer) = (format!("{name}.crt"), format!("{name}.cer"));
    openssl(
        directory,
        &[
            "req",
            "-new",
            "-x509",
            "-key",
            &private,
            "-subj",
            "/CN=cloud",
            "-days",
            "1",
            "-text",
            "-out",
            &crt,
        ],
    );
    openssl(
        directory,
        &["x509", "-in", &crt, "-outform", "DER", "-out", &cer],
    );
}

const P256: [&str; 3] = ["EC", "-pkeyopt", "ec_paramgen_curve:P-256"];

#[test]
fn keys_and_certificates_give_the_very_spki_that_openssl_gives() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    for (name, generate, kind) in [
        ("p256", &P256[..], CloudKeyKind::P256),
        (
            "rsa2048",
            &["RSA", "-pkeyopt", "rsa_keygen_bits:2048"][..],
            CloudKeyKind::Rsa { bits: 2048 },
        ),
        (
            "rsa4096",
            &["RSA", "-pkeyopt", "rsa_keygen_bits:4096"][..],
            CloudKeyKind::Rsa { bits: 4096 },
        ),
    ] {
        make(directory, name, generate);
        let expected = std::fs::read(directory.join(format!("{name}.der"))).unwrap();
        for form in ["pem", "der", "crt", "cer"] {
            let key = read(directory, &format!("{name}.{form}")).unwrap();
            assert_eq!(key.spki(), expected, "{name}.{form}");
            assert_eq!(key.kind(), kind, "{name}.{form}");
        }
        let windows = std::fs::read_to_string(directory.join(format!("{name}.pem")))
            .unwrap()
            .replace('\n', "\r\n");
        assert_eq!(
            CloudKey::parse(windows.as_bytes()).unwrap().spki(),
            expected,
            "{name} with other line ends"
        );
    }
}

#[test]
fn a_private_key_of_any_kind_is_refused_as_one() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    make(directory, "ec", &P256);
    make(
        directory,
        "rsa",
        &["RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
    );
    for name in ["ec", "rsa"] {
        let private = format!("{name}.private");
        for (form, more) in [
            ("PEM", &[][..]),
            ("DER", &[][..]),
            ("PEM", &["-traditional"][..]),
            ("DER", &["-traditional"][..]),
        ] {
            let mut arguments = vec!["pkey", "-in", &private, "-out", "out", "-outform", form];
            arguments.extend(more);
            openssl(directory, &arguments);
            refused_as_private(directory, "out");
        }
        for form in ["PEM", "DER"] {
            openssl(
                directory,
                &[
                    "pkcs8",
                    "-topk8",
                    "-in",
                    &private,
                    "-out",
                    "out",
                    "-outform",
                    form,
                    "-passout",
                    "pass:secret",
                ],
            );
            refused_as_private(directory, "out");
        }
        openssl(
            directory,
            &[
                "pkcs12",
                "-export",
                "-inkey",
                &private,
                "-in",
                &format!("{name}.crt"),
                "-out",
                "out",
                "-passout",
                "pass:secret",
            ],
        );
        refused_as_private(directory, "out");
        let both = [
            std::fs::read(directory.join(format!("{name}.crt"))).unwrap(),
            std::fs::read(directory.join(&private)).unwrap(),
        ]
        .concat();
        std::fs::write(directory.join("out"), both).unwrap();
        refused_as_private(directory, "out");
    }
    for text in [
        "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAA\n-----END OPENSSH PRIVATE KEY-----\n",
        "PuTTY-User-Key-File-3: ecdsa-sha2-nistp256\n",
        "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AA\",\"y\":\"AA\",\"d\":\"AA\"}",
    ] {
        std::fs::write(directory.join("out"), text).unwrap();
        refused_as_private(directory, "out");
    }
    // Cut off, it is a private key all the same.
    openssl(
        directory,
        &[
            "pkey",
            "-in",
            "ec.private",
            "-out",
            "out",
            "-outform",
            "DER",
        ],
    );
    let whole = std::fs::read(directory.join("out")).unwrap();
    std::fs::write(directory.join("out"), &whole[..60]).unwrap();
    refused_as_private(directory, "out");
}

fn refused_as_private(directory: &Path, file: &str) {
    match read(directory, file) {
        Err(error @ CloudKeyError::PrivateKey { .. }) => {
            let words = error.to_string();
            assert!(
                words.contains("expected a public key, got a private key"),
                "{words}"
            );
        }
        Err(error) => panic!("expected to be refused as a private key, got: {error}"),
        Ok(key) => panic!("taken for a {} key", key.kind()),
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table of mistakes")]
fn each_mistake_has_its_own_words() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    make(directory, "p256", &P256);
    make(
        directory,
        "p384",
        &["EC", "-pkeyopt", "ec_paramgen_curve:P-384"],
    );
    make(
        directory,
        "secp256k1",
        &["EC", "-pkeyopt", "ec_paramgen_curve:secp256k1"],
    );
    make(
        directory,
        "explicit",
        &[
            "EC",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-pkeyopt",
            "ec_param_enc:explicit",
        ],
    );
    make(directory, "ed25519", &["ED25519"]);
    make(
        directory,
        "short",
        &["RSA", "-pkeyopt", "rsa_keygen_bits:1024"],
    );
    make(
        directory,
        "exponent",
        &[
            "RSA",
            "-pkeyopt",
            "rsa_keygen_bits:2048",
            "-pkeyopt",
            "rsa_keygen_pubexp:3",
        ],
    );
    openssl(
        directory,
        &[
            "rsa",
            "-in",
            "short.private",
            "-RSAPublicKey_out",
            "-out",
            "pkcs1.pem",
        ],
    );
    openssl(
        directory,
        &[
            "rsa",
            "-in",
            "short.private",
            "-RSAPublicKey_out",
            "-outform",
            "DER",
            "-out",
            "pkcs1.der",
        ],
    );
    openssl(
        directory,
        &[
            "req",
            "-new",
            "-key",
            "p256.private",
            "-subj",
            "/CN=x",
            "-out",
            "request.pem",
        ],
    );
    openssl(
        directory,
        &[
            "ec",
            "-in",
            "p256.private",
            "-pubout",
            "-conv_form",
            "compressed",
            "-out",
            "compressed.pem",
        ],
    );
    let der = std::fs::read(directory.join("p256.der")).unwrap();
    let pem = std::fs::read(directory.join("p256.pem")).unwrap();
    let mut off_curve = der.clone();
    off_curve[90] ^= 1;
    let write = |name: &str, content: &[u8]| std::fs::write(directory.join(name), content).unwrap();
    write("off-curve", &off_curve);
    write("truncated", &der[..70]);
    write("trailing", &[der.as_slice(), b"x"].concat());
    write("twice", &[pem.as_slice(), &pem].concat());
    write(
        "damaged",
        &String::from_utf8(pem.clone())
            .unwrap()
            .replace('M', "!")
            .into_bytes(),
    );
    write("cut", &pem[..80]);
    write("empty", b" \n");
    write("big", &vec![b'x'; 16 * 1024 + 1]);
    write("text", b"the cloud key is on the intranet");
    write("bytes", &[0xff; 64]);
    write("jwk", b"{\"kty\":\"EC\"}");
    write(
        "ssh",
        b"ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTY= me@here",
    );
    for (file, words) in [
        (
            "p384.pem",
            "expected the curve P-256 (prime256v1), got P-384",
        ),
        (
            "secp256k1.crt",
            "expected the curve P-256 (prime256v1), got secp256k1",
        ),
        (
            "explicit.pem",
            "expected the curve P-256 (prime256v1), got explicit parameters",
        ),
        ("ed25519.der", "expected a P-256 or RSA key, got Ed25519"),
        (
            "short.pem",
            "expected an RSA modulus of at least 2048 bits, got 1024",
        ),
        (
            "exponent.cer",
            "expected an odd RSA exponent from 65537 to 4294967295, got 3",
        ),
        ("pkcs1.pem", "got a PEM block \"RSA PUBLIC KEY\""),
        ("pkcs1.der", "got a bare RSA public key (PKCS #1)"),
        ("request.pem", "got a PEM block \"CERTIFICATE REQUEST\""),
        (
            "compressed.pem",
            "expected an uncompressed point of 65 bytes, got 33 bytes",
        ),
        (
            "off-curve",
            "expected a point on the curve P-256, got one that is not on it",
        ),
        ("truncated", "expected 91 bytes of DER, got 70"),
        (
            "trailing",
            "expected nothing after the key, got 1 more bytes",
        ),
        ("twice", "expected one key or certificate, got 2 PEM blocks"),
        ("damaged", "expected a whole PEM block"),
        ("cut", "expected a whole PEM block"),
        ("empty", "got an empty file"),
        ("big", "of at most 16384 bytes, got a larger file"),
        ("text", "got text that is no key"),
        ("bytes", "got bytes that are no key"),
        ("jwk", "got JSON"),
        ("ssh", "got an OpenSSH public key"),
        ("not-there", "expected a readable file"),
    ] {
        let error = read(directory, file).expect_err(file).to_string();
        assert!(error.contains(words), "{file}: {error}");
        assert!(error.contains(';'), "{file} says what to do: {error}");
    }
}

/// An SPKI with this modulus and exponent.
fn rsa_spki(modulus: &[u8], exponent: &[u8]) -> Vec<u8> {
    fn element(tag: u8, content: &[u8]) -> Vec<u8> {
        let length = u16::try_from(content.len()).unwrap().to_be_bytes();
        let header = match content.len() {
            0..128 => vec![tag, length[1]],
            128..256 => vec![tag, 0x81, length[1]],
            _ => vec![tag, 0x82, length[0], length[1]],
        };
        [header.as_slice(), content].concat()
    }
    let integer = |bytes: &[u8]| {
        let sign: &[u8] = if bytes[0] & 0x80 == 0 { &[] } else { &[0] };
        element(2, &[sign, bytes].concat())
    };
    let key = element(0x30, &[integer(modulus), integer(exponent)].concat());
    let algorithm = [
        0x30, 0x0d, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1, 5, 0,
    ];
    let bits = element(3, &[&[0][..], &key].concat());
    element(0x30, &[&algorithm[..], &bits].concat())
}

#[test]
fn an_rsa_key_that_is_weak_by_construction_is_refused() {
    // 2^2047 + 1 is divisible by 3; 2^2047 is even.
    let mut divisible = vec![0; 256];
    divisible[0] = 0x80;
    assert!(matches!(
        CloudKey::parse(&rsa_spki(&divisible, &[1, 0, 1])),
        Err(CloudKeyError::ModulusWeak { divisor: 2 })
    ));
    divisible[255] = 1;
    assert!(matches!(
        CloudKey::parse(&rsa_spki(&divisible, &[1, 0, 1])),
        Err(CloudKeyError::ModulusWeak { divisor: 3 })
    ));
    let directory = tempfile::tempdir().unwrap();
    make(
        directory.path(),
        "rsa",
        &["RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
    );
    let good = std::fs::read(directory.path().join("rsa.der")).unwrap();
    let modulus = &good[good.len() - 5 - 256..good.len() - 5];
    assert_eq!(
        CloudKey::parse(&rsa_spki(modulus, &[1, 0, 1]))
            .unwrap()
            .spki(),
        good
    );
    for exponent in [&[1][..], &[3], &[1, 0, 0], &[1, 0, 2], &[1, 0, 0, 0, 1]] {
        assert!(
            matches!(
                CloudKey::parse(&rsa_spki(modulus, exponent)),
                Err(CloudKeyError::Exponent { .. })
            ),
            "{exponent:?}"
        );
    }
    let long: Vec<u8> = modulus.iter().copied().cycle().take(1024).collect();
    assert!(
        CloudKey::parse(&rsa_spki(&long, &[1, 0, 1])).is_err(),
        "longer than a record holds"
    );
}

proptest! {
    /// Whatever is in a file: no panic, and what is accepted is canonical.
    #[test]
    fn any_bytes_are_read_or_refused(mut content in proptest::collection::vec(any::<u8>(), 0..200), flips in proptest::collection::vec((0_usize..91, any::<u8>()), 0..4), use_key in any::<bool>()) {
        if use_key {
            content = hex::decode("3059301306072a8648ce3d020106082a8648ce3d030107034200046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c2964fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5").unwrap();
            for (at, value) in flips {
                content[at] = value;
            }
        }
        if let Ok(key) = CloudKey::parse(&content) {
            prop_assert_eq!(CloudKey::parse(key.spki()).unwrap(), key.clone());
        }
    }
}
