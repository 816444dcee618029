//! The forms in which one key can stand in a row, and that each gives the same bytes.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use keyline_protocol::identity::Algorithm;
use keyline_station::fleet::{DeviceKey, ImportedKey};
use x509_cert::der::pem::{LineEnding, encode_string};

use crate::fixture::{csv, device, json, json_key, p256, row, rows};
use crate::weak_keys::{ordinary_modulus, rsa_pkcs1, rsa_spki};

fn only(content: &str) -> ImportedKey {
    let mut rows = rows(content.as_bytes());
    assert_eq!(rows.len(), 1, "{rows:?}");
    rows.pop().unwrap().unwrap()
}

#[test]
fn one_p256_key_in_every_form_is_the_same_key() {
    let spki = p256(7);
    let pem = encode_string("PUBLIC KEY", LineEnding::LF, &spki).unwrap();
    let escaped = pem.replace('\n', "\\n");
    let jwk = format!(
        r#"{{"kty":"EC","crv":"P-256","kid":"7","x":"{}","y":"{}"}}"#,
        URL_SAFE_NO_PAD.encode(&spki[27..59]),
        URL_SAFE_NO_PAD.encode(&spki[59..])
    );
    for text in [
        pem.clone(),
        pem.replace('\n', "\r\n"),
        escaped.clone(),
        pem.replace('\n', "\\r\\n"),
        STANDARD.encode(&spki),
        STANDARD_NO_PAD.encode(&spki),
        URL_SAFE_NO_PAD.encode(&spki),
        hex::encode(&spki),
        hex::encode_upper(&spki),
        jwk.clone(),
    ] {
        assert_eq!(DeviceKey::parse(&text).unwrap().spki(), spki, "{text}");
        assert_eq!(only(&json_key(1, &text)).public_key, spki, "{text}");
        let quoted = format!("{},\"{}\"\n", device(1), text.replace('"', "\"\""));
        assert_eq!(only(&csv(&[quoted])).public_key, spki, "{text}");
    }
    assert_eq!(only(&json(1, &format!("\"jwk\":{jwk}"))).public_key, spki);
}

#[test]
fn one_rsa_key_in_every_form_is_the_same_key() {
    for (bits, algorithm) in [(2048, Algorithm::Rsa2048), (3072, Algorithm::Rsa3072)] {
        let modulus = ordinary_modulus(bits, 1).to_bytes_be();
        let pkcs1 = rsa_pkcs1(&modulus, &[1, 0, 1]);
        let spki = rsa_spki(&modulus, &[1, 0, 1]);
        let jwk = format!(
            r#"{{"kty":"RSA","n":"{}","e":"AQAB","alg":"RS256"}}"#,
            URL_SAFE_NO_PAD.encode(&modulus)
        );
        for text in [
            encode_string("PUBLIC KEY", LineEnding::LF, &spki).unwrap(),
            encode_string("RSA PUBLIC KEY", LineEnding::LF, &pkcs1).unwrap(),
            STANDARD.encode(&spki),
            STANDARD.encode(&pkcs1),
            hex::encode(&pkcs1),
            jwk,
        ] {
            let parsed = DeviceKey::parse(&text).unwrap();
            assert_eq!(parsed.spki(), spki, "{text}");
            assert_eq!(parsed.algorithm(), algorithm);
        }
    }
}

#[test]
fn columns_come_in_any_order_with_a_mark_and_windows_line_ends() {
    let key = STANDARD.encode(p256(3));
    let content = format!(
        "\u{feff}product,serial,public_key,device_id\r\nthermostat,TH-1,{key},{}\r\n\r\nvalve,\"TH \"\"2\"\"\",{},{}\r\n",
        device(1),
        STANDARD.encode(p256(4)),
        device(2).to_uppercase()
    );
    let read: Vec<_> = rows(content.as_bytes())
        .into_iter()
        .map(Result::unwrap)
        .collect();
    assert_eq!(read[0].product.as_deref(), Some("thermostat"));
    assert_eq!(read[0].serial.as_deref(), Some("TH-1"));
    assert_eq!((read[0].line, read[1].line), (2, 4));
    assert_eq!(read[1].product.as_deref(), Some("valve"));
    assert_eq!(read[1].serial.as_deref(), Some("TH \"2\""));
    assert_eq!(String::from(read[1].device_id), device(2));
}

#[test]
fn a_row_counts_from_its_first_line_and_the_next_one_behind_its_last() {
    let pem = encode_string("PUBLIC KEY", LineEnding::LF, &p256(1)).unwrap();
    let content = csv(&[format!("{},\"{pem}\"\n", device(1)), row(2, &p256(2))]);
    let lines: Vec<_> = rows(content.as_bytes())
        .into_iter()
        .map(|row| row.unwrap().line)
        .collect();
    assert_eq!(lines, [2, 2 + pem.lines().count() as u64 + 1]);
}
