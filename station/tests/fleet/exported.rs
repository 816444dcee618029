//! What is written can be taken in again, and is the same.

use std::convert::Infallible;

use futures_util::stream;
use keyline_protocol::identity::{Algorithm, fingerprint};
use keyline_station::fleet::{
    ExportedKey, FleetError, FleetFormat, FleetWriter, ImportedKey, KeyForm, RefusalCode,
    export_file,
};
use keyline_station::record::{AlgorithmName, DeviceIdText};
use proptest::prelude::*;

use crate::fixture::{device, p256, rows};
use crate::weak_keys::{ordinary_modulus, rsa_spki};

/// A device with a serial where it has a product.
fn exported(number: u64, public_key: Vec<u8>, product: Option<String>) -> ExportedKey {
    let algorithm = match public_key.len() {
        91 => Algorithm::P256,
        _ => Algorithm::Rsa2048,
    };
    ExportedKey {
        device_id: DeviceIdText::try_from(device(number)).unwrap(),
        fingerprint: fingerprint(&public_key),
        algorithm: AlgorithmName(algorithm),
        state: "active".to_owned(),
        public_key,
        serial: product.as_ref().map(|_| format!("TH-{number}")),
        product,
        pinned_at_ms: Some(1_764_000_000_000),
        revoked_at_ms: None,
    }
}

fn written(keys: &[ExportedKey], format: FleetFormat, form: KeyForm) -> Vec<u8> {
    let mut writer = FleetWriter::begin(Vec::new(), format, form).unwrap();
    for key in keys {
        writer.write(key).unwrap();
    }
    writer.finish().unwrap()
}

const ALL: [(FleetFormat, KeyForm); 4] = [
    (FleetFormat::Csv, KeyForm::Base64),
    (FleetFormat::Csv, KeyForm::Pem),
    (FleetFormat::Jsonl, KeyForm::Base64),
    (FleetFormat::Jsonl, KeyForm::Pem),
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn an_exported_fleet_comes_in_as_it_was(
        products in prop::collection::vec(prop::option::of("[A-Za-z0-9._-]{1,64}"), 1..20),
        rsa: bool,
    ) {
        let mut keys: Vec<_> = (0..)
            .zip(products)
            .map(|(number, product)| exported(number, p256(number), product))
            .collect();
        if rsa {
            let modulus = ordinary_modulus(2048, 9).to_bytes_be();
            keys.push(exported(1_000, rsa_spki(&modulus, &[1, 0, 1]), None));
        }
        for (format, form) in ALL {
            let content = written(&keys, format, form);
            let read = rows(&content);
            prop_assert_eq!(read.len(), keys.len());
            for (row, key) in read.into_iter().zip(&keys) {
                let row: ImportedKey = row.unwrap();
                prop_assert_eq!(row.device_id, key.device_id);
                prop_assert_eq!(&row.public_key, &key.public_key);
                prop_assert_eq!(row.algorithm, key.algorithm);
                prop_assert_eq!(&row.product, &key.product);
                prop_assert_eq!(&row.serial, &key.serial);
            }
        }
    }
}

#[test]
fn a_revoked_key_does_not_come_back() {
    let mut key = exported(1, p256(1), None);
    key.state = "revoked".to_owned();
    key.revoked_at_ms = Some(1_764_000_000_001);
    for (format, form) in ALL {
        let row = rows(&written(std::slice::from_ref(&key), format, form)).pop();
        assert_eq!(row.unwrap().unwrap_err().code, RefusalCode::NotActive);
    }
}

#[test]
fn a_row_of_each_format_as_it_is_written() {
    let key = exported(1, p256(1), Some("thermostat".to_owned()));
    let mark = hex::encode(fingerprint(&p256(1)));
    let csv = written(
        std::slice::from_ref(&key),
        FleetFormat::Csv,
        KeyForm::Base64,
    );
    let start = format!(
        "device_id,fingerprint,algorithm,state,public_key,product,serial,pinned_at_ms,revoked_at_ms\r\n{},{mark},p256,active,MFkw",
        device(1)
    );
    let csv = String::from_utf8(csv).unwrap();
    assert!(csv.starts_with(&start), "{csv}");
    assert!(
        csv.ends_with(",thermostat,TH-1,1764000000000,\r\n"),
        "{csv}"
    );
    let json = written(&[key], FleetFormat::Jsonl, KeyForm::Base64);
    let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
    assert_eq!(json["fingerprint"], mark);
    assert_eq!(json["revoked_at_ms"], serde_json::Value::Null);
}

#[tokio::test]
async fn a_file_appears_whole_or_not_at_all() {
    #[derive(Debug, thiserror::Error)]
    #[error("the registry went away")]
    struct Gone;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("fleet.jsonl");
    let broken = stream::iter([Ok(exported(1, p256(1), None)), Err(Gone)]);
    let error = export_file(&path, FleetFormat::Jsonl, KeyForm::Base64, broken).await;
    assert!(matches!(error, Err(FleetError::Source { .. })), "{error:?}");
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    let keys = || stream::iter((0..9).map(|n| Ok::<_, Infallible>(exported(n, p256(n), None))));
    let count = export_file(&path, FleetFormat::Jsonl, KeyForm::Base64, keys()).await;
    assert_eq!(count.unwrap(), 9);
    assert_eq!(rows(&std::fs::read(&path).unwrap()).len(), 9);
    let again = export_file(&path, FleetFormat::Jsonl, KeyForm::Base64, keys()).await;
    assert!(
        matches!(again, Err(FleetError::Occupied { .. })),
        "{again:?}"
    );
}
