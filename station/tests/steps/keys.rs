//! Keys that are there already, and keys that can't be had.

use keyline_protocol::identity::{Algorithm, KeyPolicy, LockPolicy, Platform};
use keyline_station::link::SimTarget;
use keyline_station::record::{Evidence, FailureCode};
use keyline_station::steps::{NoStationKeys, attach};
use keyline_virtual_unit::sim::GeneratorFault;

use crate::bench::{Job, TestKeys};

fn weak_job() -> Job {
    Job::new(Platform::Nrf52832, KeyPolicy::Station, Algorithm::Rsa2048).with_lock(LockPolicy::Open)
}

#[test]
fn a_weak_unit_is_claimed_again_with_its_first_signature() {
    let job = weak_job();
    let unit = job.unit(1);
    let first = job.run(&unit).unwrap();
    let target = Box::new(SimTarget::new(unit.clone()));
    let second = job.run_over(target, Some(&first.claim)).unwrap();
    assert_eq!(second.claim.signature, first.claim.signature);
    assert_eq!(second.claim.public_key, first.claim.public_key);
    job.check(&unit, &second);
}

#[test]
fn a_weak_unit_whose_first_signature_was_lost_gets_a_new_key_only_before_it_has_a_record() {
    let job = weak_job();
    let unit = job.unit(2);
    let plan = job.plan();
    let (attached, _) = attach(Box::new(SimTarget::new(unit.clone())), &plan).unwrap();
    let (identified, _) = attached.identify().unwrap();
    let (keyed, _) = identified.key(&TestKeys, None).unwrap();
    let lost = keyed.claim().public_key.clone();
    drop(keyed.release());

    let finished = job.run(&unit).unwrap();
    assert_ne!(finished.claim.public_key, lost);
    job.check(&unit, &finished);

    let failed = job.run(&unit).unwrap_err();
    assert_eq!(failed.error.code(), FailureCode::KeyUnsuitable);
    assert!(failed.error.to_string().contains("lost"), "{failed:?}");
}

#[test]
fn a_claim_of_another_unit_is_not_taken_for_this_one() {
    let job = weak_job();
    let [one, other] = [job.unit(3), job.unit(4)];
    let foreign = job.run(&other).unwrap().claim;
    job.run(&one).unwrap();
    let target = Box::new(SimTarget::new(one));
    let failed = job.run_over(target, Some(&foreign)).unwrap_err();
    assert_eq!(failed.error.code(), FailureCode::KeyUnsuitable);
}

#[test]
fn a_unit_without_a_key_is_refused_where_one_must_be_there() {
    let job = Job::new(Platform::Nrf51822, KeyPolicy::Existing, Algorithm::P256);
    let failed = job.run(&job.unit(5)).unwrap_err();
    assert_eq!(failed.error.code(), FailureCode::KeyMissing);
}

#[test]
fn a_key_made_another_way_or_of_another_kind_is_refused() {
    let on_device = Job::new(Platform::Nrf52840, KeyPolicy::OnDevice, Algorithm::P256)
        .with_lock(LockPolicy::Open);
    let unit = on_device.unit(6);
    on_device.run(&unit).unwrap();
    for (policy, algorithm) in [
        (KeyPolicy::Station, Algorithm::P256),
        (KeyPolicy::Existing, Algorithm::Rsa2048),
    ] {
        let failed = Job::new(Platform::Nrf52840, policy, algorithm)
            .run(&unit)
            .unwrap_err();
        assert_eq!(failed.error.code(), FailureCode::KeyUnsuitable);
    }
}

#[test]
fn a_chip_without_room_for_the_key_is_refused_before_a_key_is_made() {
    let job = Job::new(Platform::Nrf51822, KeyPolicy::Station, Algorithm::Rsa2048);
    let plan = job.plan();
    let (attached, _) = attach(Box::new(SimTarget::new(job.unit(7))), &plan).unwrap();
    let (identified, _) = attached.identify().unwrap();
    let failed = identified.key(&NoStationKeys, None).err().unwrap();
    assert_eq!(failed.error.code(), FailureCode::KeyUnsuitable);
}

#[test]
fn a_key_of_the_station_does_not_travel_over_a_serial_line() {
    let job = Job::new(Platform::Nrf51822, KeyPolicy::Station, Algorithm::P256);
    let unit = job.unit(8);
    let target = Box::new(SimTarget::over_serial(unit.clone()));
    let failed = job.run_over(target, None).unwrap_err();
    assert_eq!(failed.error.code(), FailureCode::LinkUnsuitable);
    assert_eq!(unit.counts().flash_writes, 0);
}

#[test]
fn a_line_without_keys_says_so() {
    let job = Job::new(Platform::Nrf51822, KeyPolicy::Station, Algorithm::P256);
    let plan = job.plan();
    let (attached, _) = attach(Box::new(SimTarget::new(job.unit(9))), &plan).unwrap();
    let (identified, _) = attached.identify().unwrap();
    let failed = identified.key(&NoStationKeys, None).err().unwrap();
    assert_eq!(failed.error.code(), FailureCode::StationKeyUnavailable);
    assert!(
        failed
            .error
            .failure()
            .message
            .ends_with("this line makes no keys")
    );
}

#[test]
fn a_generator_that_sticks_makes_no_key() {
    let job = Job::usual();
    for generator in [GeneratorFault::Stuck(0x5a), GeneratorFault::Stalled] {
        let mut options = job.options(10);
        options.generator = generator;
        let unit = keyline_virtual_unit::sim::SimUnit::new(options);
        let failed = job.run(&unit).unwrap_err();
        assert_eq!(failed.error.code(), FailureCode::GeneratorUnhealthy);
    }
}

#[test]
fn a_clone_shows_the_first_unit_s_key_under_its_own_name() {
    let job = Job::usual().with_lock(LockPolicy::Open);
    let unit = job.unit(11);
    let first = job.run(&unit).unwrap();
    let clone = keyline_virtual_unit::sim::SimUnit::with_flash_of(&unit, job.options(12));
    let second = job.run(&clone).unwrap();
    assert_eq!(first.claim.public_key, second.claim.public_key);
    assert_ne!(first.claim.device_id, second.claim.device_id);
    assert!(matches!(second.evidence[2], Evidence::Keyed { .. }));
}
