//! Who may enter a serial for which device, tried statement by statement.

use crate::fixture::device;
use crate::roles::{Cast, Who, scrap};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_serial_stands_on_a_proof_of_the_station_or_on_people() {
    let cast = Cast::new().await;
    let mine = format!("'\\x{}'", hex::encode(cast.station.as_bytes()));
    let nonce_of = |n: u32| {
        let sql = format!(
            "SELECT encode(nonce, 'hex') FROM proof WHERE device_id = '\\x{}'",
            hex::encode(device(n).0.as_bytes())
        );
        let found = cast.server().sql("owner", "keyline", &sql).unwrap();
        format!("'\\x{found}'")
    };
    let label = |n: u32, nonce: &str, station: &str| {
        format!(
            "INSERT INTO serial_use VALUES ('valve', 'V-1', 1, '\\x{}', 1, NULL, NULL, NULL, {nonce}, {station}, 0)",
            hex::encode(device(n).0.as_bytes())
        )
    };
    let (own, other) = (nonce_of(1), nonce_of(2));
    cast.only(&[Who::Station], &label(1, &own, &mine));
    // Not on the proof of another unit, not another station's unit, not in another's name, not without a proof.
    cast.only(&[], &label(1, &other, &mine));
    cast.only(&[], &label(2, &other, &mine));
    cast.only(&[], &label(2, &own, &mine));
    cast.only(&[], &label(1, "NULL", "NULL"));
    // Nor under a pin that is revoked.
    cast.only(
        &[],
        &format!("{}; {}", scrap(1, &mine), label(1, &own, &mine)),
    );
    // People label what people entered: an import.
    let (key, new_device, id) = ("01".repeat(32), "02".repeat(12), "0b".repeat(16));
    let imported = format!(
        "INSERT INTO key_claim (fingerprint, device_id, generation, turn, basis, algorithm, public_key, run, rework, claimed_at_ms) \
         VALUES ('\\x{key}', '\\x{new_device}', 1, 1, 'import', 'p256', '\\x03', '\\x{id}', 0, 0); \
         INSERT INTO pin VALUES ('\\x{new_device}', 1, 1, NULL, 0, NULL, 0); \
         INSERT INTO serial_use VALUES ('valve', 'V-1', 1, '\\x{new_device}', 1, NULL, NULL, NULL, NULL, NULL, 0)"
    );
    cast.only(&[Who::KeyAdministrator], &imported);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_serial_of_another_station_s_is_found_by_naming_it_only() {
    let cast = Cast::new().await;
    let all = [
        Who::Station,
        Who::OtherStation,
        Who::RetiredStation,
        Who::KeyAdministrator,
        Who::Auditor,
    ];
    for of_other in [
        "serials_by_name('[[\"thermostat\",\"TH-2\"]]')".to_owned(),
        "serials_by_label('TH-2', 10)".to_owned(),
        format!(
            "serials_by_device('\\x{}')",
            hex::encode(device(2).0.as_bytes())
        ),
    ] {
        let sql = format!("SELECT COUNT(*) FROM {of_other}");
        assert_eq!(cast.count(Who::Station, &sql), "1", "{sql}");
        assert_eq!(cast.count(Who::RetiredStation, &sql), "0", "{sql}");
        assert_eq!(cast.count(Who::Auditor, &sql), "1", "{sql}");
        cast.only(&all, &sql);
    }
}
