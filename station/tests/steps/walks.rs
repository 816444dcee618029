//! Runs that end well.

use keyline_protocol::identity::{Algorithm, KeyPolicy, LockPolicy, Platform};
use keyline_station::link::SimTarget;
use keyline_station::record::{AgentDigestSource, Evidence};

use crate::bench::{Job, contains};

#[test]
fn a_unit_makes_its_own_key_and_proves_it() {
    let job = Job::usual();
    let unit = job.unit(1);
    let finished = job.run(&unit).unwrap();
    job.check(&unit, &finished);
    assert!(!finished.proof.weak);
    assert_eq!(finished.proof.session_hash, None);
    assert!(matches!(
        finished.evidence[1],
        Evidence::Identified {
            agent_digest_source: AgentDigestSource::Measured,
            ..
        }
    ));
    assert!(matches!(
        finished.evidence[2],
        Evidence::Keyed {
            signed_by_unit: true,
            first_contact: false,
            ..
        }
    ));
}

#[test]
fn the_station_makes_keys_of_every_algorithm() {
    for algorithm in Algorithm::ALL {
        let job = Job::new(Platform::Nrf52840, KeyPolicy::Station, algorithm);
        let unit = job.unit(2);
        let finished = job.run(&unit).unwrap();
        job.check(&unit, &finished);
        assert!(!finished.proof.weak, "{}", algorithm.name());
        assert!(matches!(
            finished.evidence[2],
            Evidence::Keyed {
                signed_by_unit: true,
                first_contact: true,
                ..
            }
        ));
    }
}

#[test]
fn an_existing_key_of_every_algorithm_is_taken_as_it_is() {
    for algorithm in Algorithm::ALL {
        let first =
            Job::new(Platform::Nrf52840, KeyPolicy::Station, algorithm).with_lock(LockPolicy::Open);
        let unit = first.unit(3);
        let before = first.run(&unit).unwrap();
        let second = Job::new(Platform::Nrf52840, KeyPolicy::Existing, algorithm);
        let finished = second.run(&unit).unwrap();
        second.check(&unit, &finished);
        assert_eq!(finished.proof.public_key, before.proof.public_key);
        assert_eq!(finished.proof.made.0, KeyPolicy::Station);
        assert_eq!(finished.proof.key_policy.0, KeyPolicy::Existing);
    }
}

#[test]
fn a_chip_that_cannot_sign_is_weak_and_never_plain() {
    let job = Job::new(Platform::Nrf52832, KeyPolicy::Station, Algorithm::Rsa2048);
    let unit = job.unit(4);
    let finished = job.run(&unit).unwrap();
    job.check(&unit, &finished);
    assert!(finished.proof.weak);
    assert!(finished.proof.session_hash.is_some());
    assert!(matches!(
        finished.evidence[2],
        Evidence::Keyed {
            signed_by_unit: false,
            ..
        }
    ));
}

#[test]
fn over_a_serial_line_everything_is_claimed_and_nothing_measured() {
    let job = Job::usual();
    let unit = job.unit(5);
    let target = Box::new(SimTarget::over_serial(unit.clone()));
    let finished = job.run_over(target, None).unwrap();
    job.check(&unit, &finished);
    assert!(matches!(
        finished.evidence[0],
        Evidence::Attached { probe: None, .. }
    ));
    assert!(matches!(
        finished.evidence[1],
        Evidence::Identified {
            agent_digest_source: AgentDigestSource::Claimed,
            ..
        }
    ));
}

#[test]
fn credentials_reach_flash_and_nothing_else() {
    let secret = b"wifi: hunter2 hunter2";
    let job = Job::usual()
        .with_lock(LockPolicy::Open)
        .with_credentials(secret);
    let unit = job.unit(6);
    let finished = job.run(&unit).unwrap();
    job.check(&unit, &finished);
    let flash = unit.with_chip(|chip| chip.flash.bytes().to_vec());
    assert!(contains(&flash, secret));
    let told = format!("{finished:?}") + &serde_json::to_string(&finished.evidence).unwrap();
    assert!(!told.contains("hunter2"));
    assert!(!told.contains(&hex::encode(secret)));
    // Nobody but the unit can tell whether they are the same, so they are written again.
    let again = job.run(&unit).unwrap();
    assert!(again.proof.record_sequence > finished.proof.record_sequence);
}

#[test]
fn running_again_takes_key_and_record_as_they_are() {
    let job = Job::usual().with_lock(LockPolicy::Open);
    let unit = job.unit(7);
    let first = job.run(&unit).unwrap();
    let second = job.run(&unit).unwrap();
    assert_eq!(first.claim.public_key, second.claim.public_key);
    assert_eq!(first.proof.record_digest, second.proof.record_digest);
    assert_ne!(first.proof.nonce, second.proof.nonce);
    assert!(
        second
            .evidence
            .iter()
            .any(|left| matches!(left, Evidence::Injected { already: true, .. }))
    );
}
