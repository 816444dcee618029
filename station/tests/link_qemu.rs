//! The probe link, by unmodified probe-rs, against the real firmware on an emulated chip.
//!
//! Needs `qemu-system-arm`; without it the tests fail and say so.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests end a test by panicking, as the tests do"
)]

#[path = "steps/bench.rs"]
#[allow(dead_code, reason = "shared with the tests of the steps")]
mod bench;

use keyline_protocol::identity::{Algorithm, KeyPolicy, LockPolicy, Platform};
use keyline_station::link::{AgentImage, ProbeTarget, SerialTarget, Target};
use keyline_station::record::FailureCode;
use keyline_virtual_unit::qemu::{ChipModel, Unit, UnitOptions};

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
    job.run_over(target(unit), None)
        .unwrap_or_else(|failed| panic!("{failed:?}"))
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
    // The fewest words that must move: the image there and back, and a few hundred of frames.
    let image_words = job.image.bytes.len().div_ceil(4) as u64;
    let counters = unit.reset_counters().unwrap();
    let transfers_max = 2 * image_words * 115 / 100;
    assert!(counters.transfers <= transfers_max, "{counters:?}");

    let again = run(&job, &unit);
    assert_eq!(again.claim.public_key, finished.claim.public_key);
    let counters = unit.reset_counters().unwrap();
    let transfers_max = image_words * 115 / 100;
    assert!(counters.transfers <= transfers_max, "{counters:?}");
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

#[test]
fn the_same_run_over_the_serial_port_converges_with_one_over_the_probe() {
    let job = job(KeyPolicy::OnDevice).with_lock(LockPolicy::Open);
    let unit = unit(5);
    let over_probe = run(&job, &unit);
    let serial = Box::new(SerialTarget::new(unit.serial_path().to_string_lossy()));
    let over_serial = job.run_over(serial, None).unwrap();
    assert_eq!(over_serial.claim.public_key, over_probe.claim.public_key);
    assert_eq!(
        over_serial.proof.record_digest,
        over_probe.proof.record_digest
    );
}

#[test]
fn another_chip_is_refused_before_anything_is_written() {
    let job = job(KeyPolicy::OnDevice);
    let unit = Unit::start(UnitOptions {
        chip: ChipModel::nrf52832_lookalike(),
        ..UnitOptions::new([6, 0, 0, 0, 7, 0, 0, 0])
    })
    .unwrap();
    let failed = job.run_over(target(&unit), None).unwrap_err();
    assert_eq!(failed.error.code(), FailureCode::WrongChip, "{failed:?}");
    let flash = unit.read_flash(0..0x4000).unwrap();
    assert!(flash.iter().all(|byte| *byte == 0xff));
}

#[test]
fn power_cut_anywhere_gives_an_error_and_the_next_run_ends_well() {
    let job = job(KeyPolicy::OnDevice).with_lock(LockPolicy::Open);
    let unit = unit(7);
    // In the image, at its end, and in the frames that follow.
    for transfers in [9_000, 30_000, 39_500, 39_900] {
        unit.make_blank().unwrap();
        unit.power_on().unwrap();
        unit.power_off_after_transfers(Some(transfers)).unwrap();
        let failed = job.run_over(target(&unit), None).unwrap_err();
        assert!(
            matches!(
                failed.error.code(),
                FailureCode::ConnectionLost
                    | FailureCode::UnitTimeout
                    | FailureCode::UnitNotConnected
            ),
            "{transfers}: {failed:?}"
        );
        unit.power_on().unwrap();
        job.run_over(failed.target, None).unwrap();
    }
}

#[test]
fn a_cable_pulled_or_a_probe_unplugged_in_the_middle_is_no_hang() {
    let job = job(KeyPolicy::OnDevice);
    for unplug in [false, true] {
        let unit = unit(8);
        let target = target(&unit);
        let failed = std::thread::scope(|scope| {
            let run = scope.spawn(|| job.run_over(target, None));
            while unit.counters().unwrap().transfers < 20_000 {
                std::thread::yield_now();
            }
            if unplug {
                unit.probe(false).unwrap();
            } else {
                unit.cable(false).unwrap();
            }
            run.join().unwrap().unwrap_err()
        });
        assert_eq!(
            failed.error.code(),
            FailureCode::ConnectionLost,
            "{failed:?}"
        );
        unit.probe(true).unwrap();
        unit.cable(true).unwrap();
        job.run_over(failed.target, None).unwrap();
    }
}
