//! Rows that are refused: each alone, by its line, with its words.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use keyline_protocol::identity::Algorithm;
use keyline_station::fleet::RefusalCode::{
    self, BadDeviceId, BadPoint, BadProduct, BadSerial, Certificate, DamagedKey, DuplicateDevice,
    DuplicateKey, DuplicateSerial, Mismatch, Missing, NotAKey, NotActive, NotCsv, NotJson, NotText,
    PrivateKey, RsaSize, UnknownMember, WrongAlgorithm, WrongCurve,
};
use keyline_station::key_pool::{Library, generate};
use keyline_station::secret::Arena;
use p256::pkcs8::EncodePrivateKey as _;
use x509_cert::der::pem::{LineEnding, encode_string};

use crate::fixture::{device, json, json_key, p256, refused_between, row, rows};
use crate::weak_keys::{element, ordinary_modulus, rsa_spki, sequence};

/// As JSON and as CSV.
fn key_refused(text: &str, code: RefusalCode, message: &str) {
    refused_between(&json_key(1, text), code, message);
    let quoted = format!("{},\"{}\"\n", device(1), text.replace('"', "\"\""));
    refused_between(&quoted, code, message);
}

/// An SPKI of id-ecPublicKey with this curve's identifier (DER) and point.
fn ec(curve: &str, point: &[u8]) -> String {
    let curve = hex::decode(curve).unwrap();
    let oid = hex::decode("06072a8648ce3d0201").unwrap();
    let algorithm = sequence(&[oid, curve].concat());
    let bits = element(0x03, &[&[0], point].concat());
    STANDARD.encode(sequence(&[algorithm, bits].concat()))
}

const P256_CURVE: &str = "06082a8648ce3d030107";

#[test]
fn what_is_no_key_is_refused() {
    let forms = "expected a public key as PEM, as base64 or hexadecimal DER, or as JWK, got";
    key_refused("hello", NotAKey, &format!("{forms} text that is no key"));
    key_refused(
        "ssh-ed25519 AAAAC3Nz me@bench",
        NotAKey,
        &format!("{forms} an OpenSSH public key"),
    );
    let pem = encode_string("PUBLIC KEY", LineEnding::LF, &p256(1)).unwrap();
    key_refused(
        &pem.replace("-----END", "----END"),
        DamagedKey,
        "expected a whole PEM block, got one that is cut off or damaged",
    );
    key_refused(
        &format!("{pem}{pem}"),
        NotAKey,
        "expected one key, got 2 PEM blocks",
    );
    let cut = hex::encode(&p256(1)[..80]);
    key_refused(
        &cut,
        DamagedKey,
        "expected 91 bytes of DER, got 80: the key is cut off",
    );
    let longer = hex::encode([p256(1), vec![0, 0]].concat());
    key_refused(
        &longer,
        DamagedKey,
        "expected nothing after the key, got 2 more bytes",
    );
    key_refused(
        "300306010",
        NotAKey,
        &format!("{forms} text that is no key"),
    );
    refused_between(
        &json_key(1, " "),
        Missing,
        "expected a public key (public_key or jwk), got none",
    );
    let certificate = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
    key_refused(
        certificate,
        Certificate,
        "expected a public key, got a certificate",
    );
}

#[test]
fn another_curve_or_algorithm_is_named() {
    for (curve, name) in [
        ("06052b81040022", "P-384"),
        ("06052b81040023", "P-521"),
        ("06052b8104000a", "secp256k1"),
    ] {
        key_refused(
            &ec(curve, &[4; 97]),
            WrongCurve,
            &format!("expected the curve P-256, got {name}"),
        );
    }
    key_refused(
        r#"{"kty":"EC","crv":"P-384","x":"AA","y":"AA"}"#,
        WrongCurve,
        "expected the curve P-256, got P-384",
    );
    let ed25519 =
        "302a300506032b6570032100d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
    for text in [ed25519, r#"{"kty":"OKP","crv":"Ed25519","x":"AA"}"#] {
        key_refused(
            text,
            WrongAlgorithm,
            "expected a P-256 or RSA key, got Ed25519",
        );
    }
}

#[test]
fn what_is_no_point_on_the_curve_is_refused() {
    let not_on_it = "expected a point on the curve P-256, got one that is not on it";
    let mut off = p256(1);
    off[90] ^= 1;
    key_refused(&hex::encode(&off), BadPoint, not_on_it);
    let jwk = format!(
        r#"{{"kty":"EC","crv":"P-256","x":"{}","y":"{}"}}"#,
        URL_SAFE_NO_PAD.encode(&off[27..59]),
        URL_SAFE_NO_PAD.encode(&off[59..])
    );
    key_refused(&jwk, BadPoint, not_on_it);
    key_refused(
        &ec(P256_CURVE, &[0]),
        BadPoint,
        "expected a point on the curve P-256, got the point at infinity",
    );
    let mut compressed = vec![2];
    compressed.extend(&p256(1)[27..59]);
    key_refused(
        &ec(P256_CURVE, &compressed),
        BadPoint,
        "expected an uncompressed point of 65 bytes, got 33 bytes",
    );
}

#[test]
fn a_private_key_is_refused_and_never_echoed() {
    let secret = p256::SecretKey::from_slice(&[0x2b; 32]).unwrap();
    let pkcs8 = secret.to_pkcs8_der().unwrap();
    let sec1 = secret.to_sec1_der().unwrap();
    let pem = encode_string("PRIVATE KEY", LineEnding::LF, pkcs8.as_bytes()).unwrap();
    let d = URL_SAFE_NO_PAD.encode([0x2b; 32]);
    let jwk = format!(r#"{{"kty":"EC","crv":"P-256","x":"AA","y":"AA","d":"{d}"}}"#);
    let arena = Arena::new(2_048, 1).unwrap();
    let rsa = generate(Algorithm::Rsa2048, Library::AwsLc, &arena).unwrap();
    for (text, kind) in [
        (pem.clone(), "PKCS #8"),
        (pem.replace('\n', "\\n"), "PKCS #8"),
        (STANDARD.encode(pkcs8.as_bytes()), "PKCS #8"),
        (hex::encode(&*sec1), "SEC 1"),
        (STANDARD.encode(rsa.private()), "PKCS #1"),
        (jwk.clone(), "JSON Web Key"),
        (r#"{"kty":"oct","k":"AAECAwQ"}"#.to_owned(), "JSON Web Key"),
    ] {
        let words = format!("expected a public key, got a private key ({kind})");
        key_refused(&text, PrivateKey, &words);
    }
    for (place, code) in [
        (json(1, &format!("\"jwk\":{jwk}")), PrivateKey),
        (json(1, &format!("\"{d}\":1")), UnknownMember),
        (
            json(
                1,
                &format!(
                    "\"serial\":\"{d}{d}\",\"public_key\":\"{}\"",
                    hex::encode(p256(1))
                ),
            ),
            BadSerial,
        ),
        (format!("{{\"device_id\":\"{d}\"}}\n"), BadDeviceId),
        (format!("{{\"device_id\":{{\"d\":\"{d}\"}}}}\n"), NotJson),
        (format!("{{ {d}\n"), NotJson),
    ] {
        let content = format!("{place}{}", json_key(2, &hex::encode(p256(2))));
        let refused = crate::fixture::refused(content.as_bytes());
        assert_eq!(refused.len(), 1, "{place}");
        assert_eq!(refused[0].code, code, "{:?}", refused[0]);
        let told = format!("{:?}", refused[0]);
        assert!(!told.contains(d.get(..8).unwrap()), "{told}");
    }
}

#[test]
fn members_that_are_wrong_are_refused() {
    let key = STANDARD.encode(p256(1));
    let with = |more: &str| json(1, &format!("\"public_key\":\"{key}\"{more}"));
    let members = "expected no other members than device_id, public_key, jwk, product, serial, fingerprint, algorithm, state, pinned_at_ms, revoked_at_ms, got";
    for (bad, code, message) in [
        (
            with(",\"colour\":\"red\""),
            UnknownMember,
            format!("{members} \"colour\""),
        ),
        (
            with(&format!(",\"public_key\":\"{key}\"")),
            UnknownMember,
            "expected each member once, got public_key twice".to_owned(),
        ),
        (
            with(",\"jwk\":{}"),
            NotAKey,
            "expected public_key or jwk, got both".to_owned(),
        ),
        (
            json(1, "\"jwk\":{\"kty\":\"EC\"}"),
            NotAKey,
            "expected a JWK of an EC or RSA public key, got one without a curve (crv)".to_owned(),
        ),
        (
            with(",\"serial\":7"),
            NotJson,
            "expected a text for serial, got something else".to_owned(),
        ),
        (
            with(",\"product\":\"a b\""),
            BadProduct,
            "expected a product's name: 1 to 64 letters, digits and the characters . _ -"
                .to_owned(),
        ),
        (
            with(",\"serial\":\"TH-1\""),
            Missing,
            "expected a product beside the serial, got none".to_owned(),
        ),
        (
            with(&format!(",\"serial\":\"{}\"", "9".repeat(33))),
            BadSerial,
            "expected a serial of 1 to 32 visible characters, got 33".to_owned(),
        ),
        (
            with(",\"state\":\"revoked\""),
            NotActive,
            "expected a key in force (state \"active\"), got one that is not".to_owned(),
        ),
        (
            with(&format!(",\"fingerprint\":\"{}\"", "0".repeat(64))),
            Mismatch,
            "expected the key's own fingerprint, got that of another key".to_owned(),
        ),
        (
            with(",\"algorithm\":\"rsa2048\""),
            Mismatch,
            "expected the key's own algorithm, got that of another key".to_owned(),
        ),
        (
            format!("{{\"public_key\":\"{key}\"}}\n"),
            Missing,
            "expected a device_id, got none".to_owned(),
        ),
        (
            "{\"device_id\":\"4b4c\"}\n".to_owned(),
            BadDeviceId,
            "expected a device id of 24 hexadecimal digits, got 4 characters".to_owned(),
        ),
        (
            "{\"device_id\":\"4b4c5122000000000000000g\"}\n".to_owned(),
            BadDeviceId,
            "expected a device id of 24 hexadecimal digits, got another character at position 24"
                .to_owned(),
        ),
        (
            "{\"device_id\":\n".to_owned(),
            NotJson,
            "expected one JSON object on the line, got one that breaks off".to_owned(),
        ),
        (
            "{\"device_id\"?}\n".to_owned(),
            NotJson,
            "expected one JSON object on the line, got text that is no JSON from character 13 on"
                .to_owned(),
        ),
    ] {
        refused_between(&bad, code, &message);
    }
}

#[test]
fn rows_that_are_no_csv_of_the_header_are_refused() {
    let key = STANDARD.encode(p256(1));
    for (bad, code, message) in [
        (
            format!("{},{key},more\n", device(1)),
            NotCsv,
            "expected 2 fields as in the header, got 3",
        ),
        (
            format!("{},a\"b\n", device(1)),
            NotCsv,
            "expected CSV as RFC 4180 has it, got a quote inside of a field without quotes",
        ),
        (
            format!("{},\"a\"b\n", device(1)),
            NotCsv,
            "expected CSV as RFC 4180 has it, got text behind a closing quote",
        ),
        (
            format!("{},\0\n", device(1)),
            NotText,
            "expected UTF-8 text, got other bytes",
        ),
    ] {
        refused_between(&bad, code, message);
    }
    let content = [
        b"device_id,public_key\n\xff\xfe,x\n".as_slice(),
        row(2, &p256(2)).as_bytes(),
    ]
    .concat();
    let refused = crate::fixture::refused(&content);
    assert_eq!((refused[0].line, refused[0].code), (2, NotText));
    assert_eq!(crate::fixture::good(&content), 1);
}

#[test]
fn a_repeated_device_or_key_is_refused_with_the_first_ones_line() {
    refused_between(
        &row(1_000_001, &p256(5)),
        DuplicateDevice,
        "expected each device once, got one that stands on line 2 already",
    );
    let refused = refused_between(
        &row(5, &p256(1_000_001)),
        DuplicateKey,
        "expected a key of its own for each device, got the key of line 2",
    );
    assert_eq!(refused.device_id.map(String::from), Some(device(5)));
}

#[test]
fn a_repeated_serial_is_refused_with_the_first_ones_line_unless_it_is_another_product_s() {
    let labelled = |number: u64, product: &str, serial: &str| {
        let key = STANDARD.encode(p256(number));
        json(
            number,
            &format!("\"public_key\":\"{key}\",\"product\":\"{product}\",\"serial\":\"{serial}\""),
        )
    };
    let content = [
        labelled(1, "valve", "A-1"),
        labelled(2, "sensor", "A-1"),
        labelled(3, "valve", "A-1"),
        labelled(4, "valve", "A-2"),
    ]
    .concat();
    let read = rows(content.as_bytes());
    let refused: Vec<_> = read.iter().filter_map(|row| row.as_ref().err()).collect();
    assert_eq!((read.len(), refused.len()), (4, 1));
    assert_eq!((refused[0].line, refused[0].code), (3, DuplicateSerial));
    assert_eq!(
        refused[0].message,
        "expected each serial of a product once, got one that stands on line 1 already"
    );
}

#[test]
fn an_rsa_key_of_another_length_is_refused() {
    for bits in [1024, 2047, 2056] {
        let modulus = ordinary_modulus(bits, 2).to_bytes_be();
        key_refused(
            &STANDARD.encode(rsa_spki(&modulus, &[1, 0, 1])),
            RsaSize,
            &format!("expected an RSA modulus of 2048 or 3072 bits, got {bits} bits"),
        );
    }
}
