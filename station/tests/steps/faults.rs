//! Frames that are damaged, lost or repeated; cables pulled and power cut; at every frame of a run.

use keyline_protocol::identity::{Algorithm, KeyPolicy, LockPolicy, Platform};
use keyline_station::link::SimTarget;
use keyline_station::record::FailureCode;
use keyline_station::steps::{Failed, attach};
use keyline_virtual_unit::sim::{Direction, FrameFaultKind, SimUnit};

use crate::bench::{Job, TestKeys};

const DIRECTIONS: [Direction; 2] = [Direction::ToUnit, Direction::ToStation];

/// The kinds of run that differ in their frames: in the clear, and with an encrypted session in two of its steps.
fn jobs() -> [Job; 2] {
    [
        Job::usual().with_lock(LockPolicy::ReadBack),
        Job::new(Platform::Nrf52840, KeyPolicy::Station, Algorithm::P256)
            .with_credentials(b"wifi: hunter2"),
    ]
}

/// Every frame of an undisturbed run: its direction and its number.
fn frames(job: &Job) -> impl Iterator<Item = (Direction, u64)> {
    let unit = job.unit(1);
    job.run(&unit).unwrap();
    let (to_unit, to_station) = unit.frame_counts();
    let both = [
        (Direction::ToUnit, to_unit),
        (Direction::ToStation, to_station),
    ];
    both.into_iter()
        .flat_map(|(direction, count)| (1..=count).map(move |frame| (direction, frame)))
}

#[test]
fn a_damaged_lost_or_repeated_frame_anywhere_is_made_good() {
    for job in jobs() {
        for (direction, frame) in frames(&job) {
            for kind in [
                FrameFaultKind::Corrupt,
                FrameFaultKind::Truncate,
                FrameFaultKind::Oversize,
                FrameFaultKind::Duplicate,
                FrameFaultKind::Drop,
                FrameFaultKind::Replay,
            ] {
                let unit = job.unit(2);
                unit.fault(direction, frame, kind);
                let finished = job
                    .run(&unit)
                    .unwrap_or_else(|failed| panic!("{kind:?} {direction:?} {frame}: {failed:?}"));
                job.check(&unit, &finished);
            }
        }
    }
}

#[test]
fn a_line_that_damages_every_frame_is_given_up_with_words() {
    for (kind, code) in [
        (FrameFaultKind::Corrupt, FailureCode::ProtocolError),
        (FrameFaultKind::Truncate, FailureCode::ProtocolError),
        (FrameFaultKind::Drop, FailureCode::UnitTimeout),
    ] {
        for direction in DIRECTIONS {
            let job = Job::usual();
            let unit = job.unit(3);
            for frame in 3..30 {
                unit.fault(direction, frame, kind);
            }
            let failed = job.run(&unit).unwrap_err();
            assert_eq!(
                failed.error.code(),
                code,
                "{kind:?} {direction:?}: {failed:?}"
            );
        }
    }
}

#[test]
fn whatever_frame_the_cable_or_the_power_goes_at_the_next_run_ends_well() {
    for job in jobs() {
        for (direction, frame) in frames(&job) {
            for kind in [FrameFaultKind::PullCable, FrameFaultKind::CutPower] {
                interrupt(&job, direction, frame, kind);
            }
        }
    }
}

fn interrupt(job: &Job, direction: Direction, frame: u64, kind: FrameFaultKind) {
    let unit = job.unit(4);
    unit.fault(direction, frame, kind);
    let told = format!("{kind:?} {direction:?} {frame}");
    let failed = job.run(&unit).expect_err(&told);
    let code = failed.error.code();
    assert!(
        matches!(
            code,
            FailureCode::ConnectionLost | FailureCode::UnitTimeout | FailureCode::UnitNotConnected
        ),
        "{told}: {failed:?}"
    );
    assert!(failed.device_id.is_some(), "{told}");
    unit.set_cable(true);
    unit.power_cycle();
    match job.run(&unit) {
        Ok(finished) => job.check(&unit, &finished),
        // The run had come as far as the seal, or farther: what is left is to recognise the unit.
        Err(failed) => assert!(
            matches!(
                failed.error.code(),
                FailureCode::UnitSealed | FailureCode::LockedUnknown
            ),
            "{told}: {failed:?}"
        ),
    }
}

#[test]
fn power_cut_at_every_flash_operation_of_a_run_leaves_a_unit_that_the_next_run_finishes() {
    for job in jobs() {
        let job = job.with_lock(LockPolicy::Open);
        let unit = job.unit(5);
        job.run(&unit).unwrap();
        let counts = unit.counts();
        for operation in 1..=counts.flash_writes + counts.flash_erases {
            let unit = job.unit(5);
            let failed = cut_short(&job, &unit, operation);
            assert_eq!(failed.error.code(), FailureCode::UnitTimeout, "{operation}");
            unit.power_cycle();
            let finished = job
                .run(&unit)
                .unwrap_or_else(|failed| panic!("after a cut at {operation}: {failed:?}"));
            job.check(&unit, &finished);
        }
    }
}

/// A run in whose key or record the power goes, at the chosen flash operation.
fn cut_short(job: &Job, unit: &SimUnit, operation: u64) -> Failed {
    let plan = job.plan();
    let (attached, _) = attach(Box::new(SimTarget::new(unit.clone())), &plan).unwrap();
    let (identified, _) = attached.identify().unwrap();
    unit.with_chip(|chip| chip.flash.cut_power_at(operation));
    identified
        .key(&TestKeys, None)
        .and_then(|(keyed, _)| keyed.claim_held().inject())
        .err()
        .unwrap_or_else(|| panic!("the cut at {operation} went unnoticed"))
}
