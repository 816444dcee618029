//! Private keys are nowhere on the station: not in its home, not in its memory. Invariant 3.

use crate::fixture::{bare_unit, device_id, raw_flash, station_for};
use crate::flash;
use crate::process::Provisioning;
use crate::search::{Needle, in_files};
use crate::station::Station;

/// The unit's private key is in no file of the home; its public key is, in journal and registry.
fn assert_only_public_in_files(station: &Station, private: &Needle, public: &Needle, when: &str) {
    let found: Vec<_> = in_files(&station.home(), private)
        .into_iter()
        .filter(|(_, count)| *count > 0)
        .collect();
    assert!(found.is_empty(), "{when}: the private key is in {found:?}");
    let files = in_files(&station.home(), public);
    for store in ["journal", "registry"] {
        assert!(
            files
                .iter()
                .any(|(name, count)| name.contains(store) && *count > 0),
            "{when}: the search finds what must be there, in the {store}: {files:?}"
        );
    }
    assert!(
        files.iter().any(|(name, _)| name.starts_with("log/")),
        "{when}: {files:?}"
    );
}

fn assert_private_key_is_nowhere(key_policy: &str) {
    let unit = bare_unit();
    let station = station_for(&unit, key_policy);
    let mut provisioning = Provisioning::start(&station);
    let event = provisioning.stop_after_the_unit();
    assert_eq!(event["state"], "passed", "{event}");
    assert_eq!(event["device_id"], hex::encode(device_id(&unit).as_bytes()));

    let key = flash::key(&raw_flash(&unit)).unwrap();
    let private = Needle::new(&key.private);
    // The x coordinate of the point at the end of the SPKI.
    let public = Needle::new(&key.public[27..59]);
    assert_only_public_in_files(&station, &private, &public, "while the station runs");
    let [private_count, public_count] = provisioning.count_in_memory([&private, &public]);
    assert_eq!(
        private_count, 0,
        "the private key is in the station's memory"
    );
    assert!(public_count > 0, "the search finds what must be there");

    assert_eq!(provisioning.finish().code(), Some(130));
    assert_only_public_in_files(&station, &private, &public, "after the station's end");
    let pin = station
        .run(&["pin", "show", event["device_id"].as_str().unwrap()])
        .good();
    assert_eq!(pin.all("pin")[0]["state"], "active");
}

#[test]
fn the_private_key_of_a_unit_that_made_its_own_is_nowhere_on_the_station() {
    assert_private_key_is_nowhere("on-device");
}

#[test]
fn a_key_that_the_station_made_is_nowhere_after_the_run() {
    assert_private_key_is_nowhere("station");
}
