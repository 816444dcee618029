//! P-256 in each key policy, over the probe.

use keyline_protocol::identity::{KeyPolicy, LockPolicy};
use keyline_station::record::{Evidence, FailureCode, Product, UnitState};

use crate::common::{Bench, product, station_keys};
use crate::fixture::{assert_failed, assert_passed, bare_unit, bench, evidence, raw_flash, run};
use crate::flash;

fn policy(key_policy: KeyPolicy) -> Bench {
    let mut bench = bench(Product {
        key_policy,
        lock_policy: LockPolicy::Open,
        ..product()
    });
    bench.keys = station_keys();
    bench
}

/// How the evidence says that the key was made, and whether it travelled at first contact.
fn keyed(left: &[Evidence]) -> (KeyPolicy, bool) {
    let found = left.iter().find_map(|evidence| match evidence {
        Evidence::Keyed {
            made,
            first_contact,
            ..
        } => Some((made.0, *first_contact)),
        _ => None,
    });
    found.unwrap()
}

#[test]
fn a_p256_key_is_made_received_or_read() {
    for made in [KeyPolicy::OnDevice, KeyPolicy::Station] {
        let first = policy(made);
        let unit = bare_unit();
        let event = run(&first, &unit);
        let pin = assert_passed(&first, &unit, &event, made.name());
        let travelled = made == KeyPolicy::Station;
        assert_eq!(keyed(&evidence(&first, &event)), (made, travelled));
        let key = flash::key(&raw_flash(&unit)).unwrap();
        let scalar = p256::SecretKey::from_slice(&key.private).unwrap();
        let public = p256::pkcs8::EncodePublicKey::to_public_key_der(&scalar.public_key()).unwrap();
        assert_eq!(public.as_bytes(), key.public, "flash holds a pair");
        let again = run(&first, &unit);
        assert!(again.already, "{:?}", again.error);
        assert_eq!(assert_passed(&first, &unit, &again, made.name()), pin);

        // Another line, whose registry knows nothing, takes the key that is there.
        let second = policy(KeyPolicy::Existing);
        let event = run(&second, &unit);
        let existing = assert_passed(&second, &unit, &event, "existing");
        assert_eq!(existing.public_key, pin.public_key);
        assert_eq!(keyed(&evidence(&second, &event)), (made, false));
    }
}

#[test]
fn a_product_that_expects_a_key_fails_a_chip_without_one() {
    let bench = policy(KeyPolicy::Existing);
    let unit = bare_unit();
    let event = run(&bench, &unit);
    assert_failed(&event, &[FailureCode::KeyMissing], "existing");
    assert!(flash::key(&raw_flash(&unit)).is_none());
    assert!(flash::records(&raw_flash(&unit)).is_empty());
}

#[test]
fn a_key_that_is_there_is_never_replaced() {
    let first = policy(KeyPolicy::OnDevice);
    let unit = bare_unit();
    let event = run(&first, &unit);
    assert_passed(&first, &unit, &event, "on-device");
    let before = raw_flash(&unit);
    let event = run(&policy(KeyPolicy::Station), &unit);
    assert_eq!(event.state, UnitState::Quarantined, "{:?}", event.error);
    assert_eq!(event.error.unwrap().code, FailureCode::KeyUnsuitable);
    assert!(raw_flash(&unit) == before, "nothing was written");
}
