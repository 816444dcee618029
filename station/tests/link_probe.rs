//! The probe link, by unmodified probe-rs, against the real firmware on an emulated chip.
//!
//! Needs `qemu-system-arm`; without it the tests fail and say so.

#[path = "steps/bench.rs"]
#[allow(dead_code, reason = "shared with the tests of the steps")]
mod bench;

use keyline_protocol::identity::{Algorithm, KeyPolicy, LockPolicy, Platform};
use keyline_station::link::{AgentImage, ProbeTarget, SerialTarget, Target};
use keyline_station::record::FailureCode;
use keyline_virtual_unit::qemu::{Unit, UnitOptions};

use bench::{Finished, Job};

fn job(key_policy: KeyPolicy) -> Job {
    let mut job = Job::new(Platform::Nrf51822, key_policy, Algorithm::P256);
    job.image = AgentImage::for_platform(Platform::Nrf51822).unwrap();
    job
}

fn unit(number: u8) -> Unit {
    Unit::start(UnitOptions::new([number, 0, 0, 0, 7, 0, 0, 0])).unwrap()
}

fn target(unit: &Unit) -> Box<dyn Target> {
    Box::new(ProbeTarget::new(unit.selector()))
}

fn run(job: &Job, unit: &Unit) -> Finished {
    let began = std::time::Instant::now();
    let finished = job
        .run_over(target(unit), None)
        .unwrap_or_else(|failed| panic!("{failed:?}"));
    println!("{:?} {:?}", began.elapsed(), unit.reset_counters().unwrap());
    finished
}

#[test]
fn a_bare_chip_becomes_a_device_with_a_proven_identity() {
    let job = job(KeyPolicy::OnDevice).with_lock(LockPolicy::Open);
    let unit = unit(1);
    let finished = run(&job, &unit);
    assert_eq!(finished.proof.agent_digest, job.image.digest);
    assert!(!finished.proof.weak);
    let flash = unit.read_flash(0..0x4_0000).unwrap();
    assert_eq!(flash[..job.image.bytes.len()], job.image.bytes);
    for part in [
        &job.product.cloud_key[..],
        job.product.cloud_address.as_bytes(),
        &finished.claim.public_key,
    ] {
        assert!(bench::contains(&flash, part));
    }
    let again = run(&job, &unit);
    assert_eq!(again.claim.public_key, finished.claim.public_key);
}

#[test]
fn a_key_of_the_station_and_credentials_travel_over_the_probe() {
    let job = job(KeyPolicy::Station).with_credentials(b"wifi: hunter2");
    let unit = unit(2);
    run(&job, &unit);
    assert!(bench::contains(
        &unit.read_flash(0..0x4_0000).unwrap(),
        b"wifi: hunter2"
    ));
}

#[test]
fn a_locked_unit_keeps_the_probe_out_and_is_recognised_over_its_serial_port() {
    let job = job(KeyPolicy::OnDevice).with_lock(LockPolicy::ReadBack);
    let unit = unit(3);
    let finished = run(&job, &unit);
    let failed = job.run_over(target(&unit), None).unwrap_err();
    assert_eq!(
        failed.error.code(),
        FailureCode::LockedUnknown,
        "{failed:?}"
    );

    let plan = job.plan();
    let serial = Box::new(SerialTarget::new(unit.serial_path().to_string_lossy()));
    let (attached, _) = keyline_station::steps::attach(serial, &plan).unwrap();
    let (identified, _) = attached.identify().unwrap();
    let (proven, _) = identified
        .recognise(&finished.claim.public_key, || bench::CHECKPOINT.to_owned())
        .unwrap();
    assert_eq!(proven.proof().record_digest, finished.proof.record_digest);
}

#[test]
fn what_stands_in_the_way_is_told_apart() {
    let job = job(KeyPolicy::OnDevice);
    let unit = unit(4);
    unit.cable(false).unwrap();
    let failed = job.run_over(target(&unit), None).unwrap_err();
    assert_eq!(
        failed.error.code(),
        FailureCode::UnitNotConnected,
        "{failed:?}"
    );
    unit.cable(true).unwrap();

    let mut other = ProbeTarget::new(unit.selector());
    other.attach(Platform::Nrf51822).unwrap();
    let failed = job.run_over(target(&unit), None).unwrap_err();
    assert_eq!(failed.error.code(), FailureCode::ProbeBusy, "{failed:?}");
    other.detach();

    let selector = unit.selector();
    drop(unit);
    let failed = job
        .run_over(Box::new(ProbeTarget::new(selector)), None)
        .unwrap_err();
    assert_eq!(
        failed.error.code(),
        FailureCode::ProbeNotFound,
        "{failed:?}"
    );
}
