//! Cables and probes pulled in the middle of a run: a clear code, nothing half-written, and the next run ends in PASS.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use keyline_protocol::identity::LockPolicy;
use keyline_station::event::UnitEvent;
use keyline_station::record::{FailureCode, Product, Step};
use keyline_virtual_unit::qemu::Unit;
use rand::RngExt as _;

use crate::common::{Bench, product};
use crate::fixture::{
    LOST, assert_failed, assert_passed, bare_unit, bench, over_probe, over_serial, run,
    run_watched, seeded, unit_with_agent,
};

/// The run has reached this step, and the next one is about to have its effect. Of the registry's two steps the next effect on the
/// unit is the one after.
const REACHED: [Step; 8] = [
    Step::Attached,
    Step::Identified,
    Step::Keyed,
    Step::Claimed,
    Step::Injected,
    Step::Proven,
    Step::Pinned,
    Step::Sealed,
];

/// A run is disturbed in each of so many parts of it.
const PARTS: u64 = 6;

/// Runs the unit over its probe and does something to it when a step is reached.
fn run_and_at(
    bench: &Bench,
    unit: &Arc<Unit>,
    reached: Step,
    act: impl Fn(&Unit) + Send + 'static,
) -> UnitEvent {
    let watched = Arc::clone(unit);
    run_watched(bench, over_probe(unit), None, move |event| {
        if !event.ended() && event.step == Some(reached) {
            act(&watched);
        }
    })
}

#[test]
fn a_cable_pulled_in_each_step_is_told_and_the_next_run_passes() {
    let bench = bench(Product {
        lock_policy: LockPolicy::ReadBack,
        ..product()
    });
    for reached in REACHED {
        let context = format!("pulled after {}", reached.name());
        let unit = Arc::new(unit_with_agent());
        let event = run_and_at(&bench, &unit, reached, |unit| unit.cable(false).unwrap());
        assert_failed(&event, &LOST, &context);
        assert_eq!(
            event.step,
            Some(furthest_without_unit(reached)),
            "{context}: {:?}",
            event.error
        );
        unit.cable(true).unwrap();
        let event = run(&bench, &unit);
        assert_passed(&bench, &unit, &event, &context);
    }
}

/// The registry needs no cable: a run that has shown its key is entered, and one that has proven itself is pinned.
const fn furthest_without_unit(reached: Step) -> Step {
    match reached {
        Step::Keyed => Step::Claimed,
        Step::Proven => Step::Pinned,
        other => other,
    }
}

#[test]
fn a_cable_pulled_in_the_middle_of_any_transfer_is_told_and_the_next_run_passes() {
    let bench = bench(product());
    let whole = {
        let unit = bare_unit();
        run(&bench, &unit);
        unit.counters().unwrap().transfers
    };
    let (_, mut random) = seeded();
    for part in 0..PARTS {
        let transfers = (part * whole + random.random_range(0..whole)) / PARTS;
        let context = format!("pulled after {transfers} of {whole} transfers");
        let unit = bare_unit();
        let over = AtomicBool::new(false);
        let event = std::thread::scope(|scope| {
            scope.spawn(|| {
                let reached = || unit.counters().unwrap().transfers >= transfers;
                while !reached() && !over.load(Ordering::SeqCst) {
                    std::thread::yield_now();
                }
                unit.cable(false).unwrap();
            });
            let event = run(&bench, &unit);
            over.store(true, Ordering::SeqCst);
            event
        });
        // The cable may come too late for a run that has all that it needs of the unit.
        if event.error.is_some() {
            assert_failed(&event, &LOST, &context);
        }
        unit.cable(true).unwrap();
        let event = run(&bench, &unit);
        assert_passed(&bench, &unit, &event, &context);
    }
}

#[test]
fn power_lost_after_any_transfer_is_told_and_the_next_run_passes() {
    let bench = bench(product());
    let whole = {
        let unit = bare_unit();
        run(&bench, &unit);
        unit.counters().unwrap().transfers
    };
    let (_, mut random) = seeded();
    // Each wait for the unit costs some polls, so a run may need fewer transfers than another one did.
    let sure = whole * 9 / 10;
    for part in 0..PARTS {
        let transfers = 1 + (part * sure + random.random_range(0..sure)) / PARTS;
        let context = format!("power lost after {transfers} of {whole} transfers");
        let unit = bare_unit();
        unit.power_off_after_transfers(Some(transfers)).unwrap();
        assert_failed(&run(&bench, &unit), &LOST, &context);
        assert!(!unit.powered().unwrap());
        unit.power_on().unwrap();
        let event = run(&bench, &unit);
        assert_passed(&bench, &unit, &event, &context);
    }
}

#[test]
fn a_probe_unplugged_is_told_and_the_next_run_passes() {
    let bench = bench(product());
    for reached in [
        Step::Attached,
        Step::Identified,
        Step::Claimed,
        Step::Injected,
    ] {
        let context = format!("unplugged after {}", reached.name());
        let unit = Arc::new(unit_with_agent());
        let event = run_and_at(&bench, &unit, reached, |unit| unit.probe(false).unwrap());
        assert_failed(&event, &LOST, &context);
        assert_failed(&run(&bench, &unit), &[FailureCode::ProbeNotFound], &context);
        unit.probe(true).unwrap();
        let event = run(&bench, &unit);
        assert_passed(&bench, &unit, &event, &context);
    }
}

#[test]
fn a_serial_cable_pulled_in_a_step_is_told_and_the_next_run_passes() {
    let bench = bench(product());
    for reached in [Step::Identified, Step::Claimed] {
        let context = format!("serial cable pulled after {}", reached.name());
        let unit = Arc::new(unit_with_agent());
        let watched = Arc::clone(&unit);
        let event = run_watched(&bench, over_serial(&unit), None, move |event| {
            if !event.ended() && event.step == Some(reached) {
                watched.serial_cable(false).unwrap();
            }
        });
        assert_failed(&event, &LOST, &context);
        unit.serial_cable(true).unwrap();
        let event = bench.run_target(over_serial(&unit), None);
        assert_passed(&bench, &unit, &event, &context);
    }
}
