//! Somebody has been at the registry.

use keyline_station::reconcile::Code;
use keyline_station::record::StationId;
use keyline_station::registry::Revocation;

use crate::story::told;
use crate::verify::verify;

/// The device of a unit that passed and was left alone.
const DEVICE: &str = "(SELECT device_id FROM key_state WHERE state = 'active' AND nonce IS NOT NULL ORDER BY device_id LIMIT 1)";

fn tamperings() -> Vec<(String, Code, &'static str)> {
    let of_device = |sql: &str| sql.replace("DEVICE", DEVICE);
    vec![
        (of_device("DELETE FROM pin WHERE device_id = DEVICE"), Code::PinMissing, "the registry has it as pending"),
        (of_device("UPDATE pin SET turn = turn + 1 WHERE device_id = DEVICE"), Code::PinMissing, "the registry has it as superseded"),
        (of_device("UPDATE pin SET weak = 1 WHERE device_id = DEVICE"), Code::PinWeakDiffers, "the registry has one by a MAC"),
        (
            "UPDATE key_claim SET turn = turn + 10 WHERE device_id IN (SELECT device_id FROM key_claim WHERE turn = 2); UPDATE key_claim SET turn = 13 - turn WHERE turn > 10".to_owned(),
            Code::PinDiffers,
            "the registry trusts",
        ),
        ("INSERT INTO pin SELECT device_id, generation, turn, NULL, 0, NULL, 1 FROM key_state WHERE state = 'pending'".to_owned(), Code::PinWithoutProof, "no proof of it"),
        ("DELETE FROM proof".to_owned(), Code::PinWithoutProof, "no proof of it"),
        (of_device("DELETE FROM key_claim WHERE device_id = DEVICE"), Code::ClaimMissing, "the registry has no claim of it"),
        ("DELETE FROM key_claim WHERE fingerprint IN (SELECT fingerprint FROM key_state WHERE state = 'superseded')".to_owned(), Code::ClaimMissing, "the registry has no claim of it"),
        ("UPDATE key_claim SET device_id = zeroblob(12), turn = 100 + rowid".to_owned(), Code::RegistryClaimInvalid, "that of unit 000000000000000000000000"),
        ("UPDATE key_claim SET signature = challenge".to_owned(), Code::RegistryClaimInvalid, "is not by the claimed key"),
        ("UPDATE key_claim SET public_key = (SELECT public_key FROM key_claim LIMIT 1)".to_owned(), Code::RegistryClaimInvalid, "expected the public key of this fingerprint"),
        ("UPDATE proof SET record = replace(record, 'cloud.example', 'evil.example')".to_owned(), Code::RegistryProofInvalid, "does not verify"),
        ("UPDATE proof SET record = 'nothing'".to_owned(), Code::RegistryProofInvalid, "bytes that are none"),
        ("UPDATE proof SET record = (SELECT record FROM proof LIMIT 1)".to_owned(), Code::RegistryProofDiffers, "expected a proof of this unit"),
        (
            "INSERT INTO key_claim SELECT randomblob(32), randomblob(12), 1, 1, NULL, basis, algorithm, made, public_key, challenge, signature, station, customer, product, product_name, work_order, run, rework, claimed_at_ms, NULL FROM key_claim LIMIT 1; \
             INSERT INTO pin SELECT device_id, 1, 1, NULL, 0, NULL, 1 FROM key_claim WHERE device_id NOT IN (SELECT device_id FROM pin)".to_owned(),
            Code::ClaimNotInLog,
            "the log says nothing of this key",
        ),
        ("DELETE FROM serial_use".to_owned(), Code::SerialMissing, "the log says that it passed with this serial of product thermostat"),
        ("UPDATE serial_use SET serial = serial || '0'".to_owned(), Code::SerialNotInLog, "the log has no run of this unit with this serial"),
        (
            "INSERT INTO serial_use SELECT product, 'serial-9', 1, randomblob(12), 1, NULL, NULL, NULL, nonce, station, 1 FROM serial_use LIMIT 1".to_owned(),
            Code::SerialNotInLog,
            "the log has no run of this unit with this serial",
        ),
        ("INSERT INTO alarm SELECT zeroblob(16), 'refused', 'device-has-another-key', device_id, fingerprint, device_id, fingerprint, station, NULL, randomblob(16), '{}', 1 FROM key_claim LIMIT 1".to_owned(), Code::AlarmNotInLog, "the log has no such run"),
        ("UPDATE log SET station = zeroblob(16)".to_owned(), Code::OriginOfAnother, "that of station 00000000000000000000000000000000"),
        ("UPDATE log_checkpoint SET root = zeroblob(32)".to_owned(), Code::ForeignCheckpointNotSigned, "its row says"),
        ("UPDATE log_checkpoint SET note = replace(note, 'line-1', 'line-2')".to_owned(), Code::ForeignCheckpointNotSigned, "expected a signature by a key of this log"),
        ("UPDATE key_claim SET algorithm = 'rot13'".to_owned(), Code::RegistryUnreadable, "rot13"),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_tampering_with_the_registry_is_found_by_its_code() {
    let station = tokio::task::spawn_blocking(told).await.unwrap();
    for (sql, code, words) in tamperings() {
        let copy = station.copy();
        copy.tamper("registry.db", &sql).await;
        let found = verify(&copy).await;
        let told = found.all(code);
        assert!(
            told.iter().any(|finding| finding.message.contains(words)),
            "{sql}: expected {} with \"{words}\", found {:#?}",
            code.name(),
            found.violations()
        );
        assert!(found.report.violations > 0, "{sql}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_others_did_to_the_station_s_keys_is_a_gap_with_their_words() {
    let station = tokio::task::spawn_blocking(told).await.unwrap();
    let registry = station.registry().await;
    let device = crate::common::unit(keyline_protocol::identity::Platform::Nrf51822, 3).device_id();
    let device = keyline_station::record::DeviceIdText(device);
    registry
        .revoke(Revocation {
            device_id: device,
            station: StationId::generate(),
            operator: "security".to_owned(),
            reason: "stolen from the lorry".to_owned(),
        })
        .await
        .unwrap();
    registry.close().await;
    let found = verify(&station).await;
    assert!(found.violations().is_empty(), "{:#?}", found.violations());
    found.expect(Code::RevokedElsewhere, "by operator security");
    found.expect(Code::RevokedElsewhere, "stolen from the lorry");
}
