//! What can go wrong on a bench: each has its own words, nothing is lost or half-written, and running again finishes. Invariants 7 and 8.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests"
)]

mod common;

use std::sync::Arc;

use common::{Bench, Told, product, unit};
use keyline_protocol::identity::{LockPolicy, Platform};
use keyline_station::event::UnitEvent;
use keyline_station::exit::ExitCode;
use keyline_station::line::{LineError, Presented, Slot, UnitSource, provision};
use keyline_station::link::SimTarget;
use keyline_station::record::{Change, DeviceIdText, FailureCode, Product, UnitState};
use keyline_station::stop::Stop;
use keyline_virtual_unit::sim::{
    Direction, FrameFaultKind, GeneratorFault, ProtectionFault, SimOptions, SimUnit,
};

fn code(event: &UnitEvent) -> Option<FailureCode> {
    event.error.as_ref().map(|failure| failure.code)
}

fn special(change: impl FnOnce(&mut SimOptions)) -> SimUnit {
    let mut options = SimOptions::seeded(Platform::Nrf51822, (1, 0x4b4c), 1);
    change(&mut options);
    SimUnit::new(options)
}

/// One pin, one history, and the unit's words are on record.
fn assert_whole(bench: &Bench, unit: &SimUnit) {
    let device_id = DeviceIdText(unit.device_id());
    let pin = bench.pin(unit.device_id()).expect("a pin");
    assert!(pin.is_active());
    let history = bench
        .runtime
        .block_on(bench.registry.history(device_id))
        .unwrap();
    let active: Vec<_> = history
        .iter()
        .filter(|event| event.fingerprint == pin.fingerprint)
        .collect();
    assert!(!active.is_empty());
    assert!(
        history
            .iter()
            .all(|event| event.fingerprint == pin.fingerprint),
        "only one key was ever claimed for this unit"
    );
    let known = bench
        .runtime
        .block_on(bench.journal.unit(device_id))
        .unwrap()
        .unwrap();
    assert_eq!(known.state, UnitState::Passed);
    assert!(
        bench
            .runtime
            .block_on(bench.journal.recover())
            .unwrap()
            .is_empty(),
        "every run has its end"
    );
    unit.with_chip(|chip| {
        assert!(
            chip.flash.violations().is_empty(),
            "{:?}",
            chip.flash.violations()
        );
    });
}

#[test]
fn the_cable_is_pulled_at_each_frame_and_the_next_run_finishes() {
    let (to_unit, to_station) = {
        let bench = Bench::for_product(product());
        let whole = unit(Platform::Nrf51822, 1);
        bench.run(&whole);
        whole.frame_counts()
    };
    let directions = [
        (Direction::ToUnit, to_unit),
        (Direction::ToStation, to_station),
    ];
    let bench = Bench::for_product(product());
    let mut number = 100;
    for (direction, frames) in directions {
        for kind in [FrameFaultKind::PullCable, FrameFaultKind::CutPower] {
            for frame in 1..=frames {
                number += 1;
                let unit = unit(Platform::Nrf51822, number);
                unit.fault(direction, frame, kind);
                let event = bench.run(&unit);
                assert_eq!(
                    event.state,
                    UnitState::Failed,
                    "{direction:?} {frame} {kind:?}"
                );
                assert!(
                    matches!(
                        code(&event),
                        Some(
                            FailureCode::ConnectionLost
                                | FailureCode::UnitTimeout
                                | FailureCode::UnitNotConnected
                        )
                    ),
                    "{direction:?} {frame} {kind:?}: {:?}",
                    event.error
                );
                unit.set_cable(true);
                unit.power_cycle();
                let event = bench.run(&unit);
                assert_eq!(
                    event.state,
                    UnitState::Passed,
                    "{direction:?} {frame} {kind:?}: {:?}",
                    event.error
                );
                assert_whole(&bench, &unit);
            }
        }
    }
}

#[test]
fn a_bad_frame_is_sent_again_and_the_run_goes_on() {
    let bench = Bench::for_product(product());
    let kinds = [
        FrameFaultKind::Corrupt,
        FrameFaultKind::Truncate,
        FrameFaultKind::Oversize,
        FrameFaultKind::Duplicate,
        FrameFaultKind::Replay,
    ];
    let mut number = 100;
    for direction in [Direction::ToUnit, Direction::ToStation] {
        for kind in kinds {
            for frame in 1..=8 {
                number += 1;
                let unit = unit(Platform::Nrf51822, number);
                unit.fault(direction, frame, kind);
                let event = bench.run(&unit);
                assert_eq!(
                    event.state,
                    UnitState::Passed,
                    "{direction:?} {frame} {kind:?}: {:?}",
                    event.error
                );
                assert_whole(&bench, &unit);
            }
        }
    }
}

#[test]
fn power_is_cut_at_every_flash_operation_and_the_next_run_finishes() {
    let bench = Bench::for_product(product());
    let operations = {
        let whole = unit(Platform::Nrf51822, 1);
        bench.run(&whole);
        whole.with_chip(|chip| chip.flash.operations())
    };
    assert!(operations > 20, "key, record and seal are many words");
    for operation in 1..=operations {
        let unit = unit(Platform::Nrf51822, 1000 + u32::try_from(operation).unwrap());
        unit.with_chip(|chip| chip.flash.cut_power_at(operation));
        let event = bench.run(&unit);
        assert_eq!(event.state, UnitState::Failed, "operation {operation}");
        unit.power_cycle();
        let event = bench.run(&unit);
        assert_eq!(
            event.state,
            UnitState::Passed,
            "operation {operation}: {:?}",
            event.error
        );
        assert_whole(&bench, &unit);
    }
}

#[test]
fn a_unit_that_is_not_what_it_should_be_is_told_from_the_others() {
    let cases = [
        (
            special(|options| options.generator = GeneratorFault::Stuck(0xa5)),
            FailureCode::GeneratorUnhealthy,
            UnitState::Quarantined,
        ),
        (
            special(|options| options.newer_protocol = Some((2, 3))),
            FailureCode::ProtocolVersion,
            UnitState::Quarantined,
        ),
        (
            special(|options| options.image = Arc::from(&b"another agent"[..])),
            FailureCode::AgentDigest,
            UnitState::Quarantined,
        ),
        (
            special(|options| options.agent_chip_id = Some((9, 9))),
            FailureCode::DeviceIdMismatch,
            UnitState::Quarantined,
        ),
        (
            unit(Platform::Nrf52840, 1),
            FailureCode::WrongChip,
            UnitState::Failed,
        ),
    ];
    for (unit, expected, state) in cases {
        let bench = Bench::for_product(product());
        let event = bench.run(&unit);
        assert_eq!(
            (code(&event), event.state),
            (Some(expected), state),
            "{:?}",
            event.error
        );
        let failure = event.error.unwrap();
        assert!(
            failure.message.contains("expected") || failure.message.len() > 20,
            "{}",
            failure.message
        );
        assert!(!failure.next.is_empty());
        assert!(bench.pin(unit.device_id()).is_none());
        unit.with_chip(|chip| assert_eq!(chip.flash.operations(), 0, "nothing was written"));
    }
}

#[test]
fn a_unit_that_failed_three_times_goes_to_quarantine_not_round_again() {
    let bench = Bench::for_product(product());
    let unit = unit(Platform::Nrf51822, 1);
    for expected in [UnitState::Failed, UnitState::Failed, UnitState::Quarantined] {
        // The cable is pulled when the unit has said who it is.
        unit.fault(Direction::ToUnit, 3, FrameFaultKind::PullCable);
        let event = bench.run(&unit);
        assert_eq!(event.state, expected, "{:?}", event.error);
        unit.set_cable(true);
    }
    assert_eq!(code(&bench.run(&unit)), Some(FailureCode::Quarantined));
    bench.commit(vec![Change::UnitReleased {
        device_id: DeviceIdText(unit.device_id()),
        operator: "supervisor".to_owned(),
        reason: "the fixture's cable was replaced".to_owned(),
    }]);
    assert_eq!(bench.run(&unit).state, UnitState::Passed);
}

#[test]
fn the_label_and_the_unit_must_belong_together() {
    let bench = Bench::for_product(Product {
        serial_format: Some("TH-####".to_owned()),
        ..product()
    });
    let (first, second) = (unit(Platform::Nrf51822, 1), unit(Platform::Nrf51822, 2));
    let run =
        |unit: &SimUnit, serial| bench.run_target(Box::new(SimTarget::new(unit.clone())), serial);
    assert_eq!(code(&run(&first, None)), Some(FailureCode::BadSerial));
    assert_eq!(
        code(&run(&first, Some("TH-12"))),
        Some(FailureCode::BadSerial)
    );
    assert_eq!(run(&first, Some("TH-0001")).state, UnitState::Passed);
    assert_eq!(
        code(&run(&second, Some("TH-0001"))),
        Some(FailureCode::SerialMismatch),
        "the wrong board was grabbed"
    );
    assert!(bench.pin(second.device_id()).is_none());
    assert_eq!(
        code(&run(&first, Some("TH-0002"))),
        Some(FailureCode::SerialMismatch),
        "the wrong label was scanned"
    );
    assert_eq!(run(&second, Some("TH-0002")).state, UnitState::Passed);
}

#[test]
fn a_locked_unit_that_comes_back_is_recognised_or_set_apart_but_never_erased() {
    let bench = Bench::for_product(Product {
        lock_policy: LockPolicy::ReadBack,
        serial_format: Some("TH-####".to_owned()),
        ..product()
    });
    let unit = unit(Platform::Nrf51822, 1);
    let over_probe = |serial| bench.run_target(Box::new(SimTarget::new(unit.clone())), serial);
    let first = over_probe(Some("TH-0001"));
    assert_eq!(first.state, UnitState::Passed, "{:?}", first.error);
    let flash = unit.with_chip(|chip| chip.flash.bytes().to_vec());

    let by_serial = over_probe(Some("TH-0001"));
    assert_eq!(
        (by_serial.state, by_serial.already),
        (UnitState::Passed, true),
        "by its serial: {:?}",
        by_serial.error
    );
    assert_eq!(by_serial.device_id, Some(DeviceIdText(unit.device_id())));
    assert_eq!(
        code(&over_probe(Some("TH-0009"))),
        Some(FailureCode::LockedUnknown)
    );
    let by_proof = bench.run_target(
        Box::new(SimTarget::over_serial(unit.clone())),
        Some("TH-0001"),
    );
    assert_eq!(
        (by_proof.state, by_proof.already),
        (UnitState::Passed, true),
        "by its proof: {:?}",
        by_proof.error
    );
    assert_eq!(
        unit.with_chip(|chip| chip.flash.bytes().to_vec()),
        flash,
        "nothing was erased or written"
    );
}

#[test]
fn a_unit_whose_protection_does_not_hold_fails() {
    for fault in [ProtectionFault::DoesNotHold, ProtectionFault::DoesNotTake] {
        let bench = Bench::for_product(Product {
            lock_policy: LockPolicy::ReadBack,
            ..product()
        });
        let unit = special(|options| options.protection = fault);
        let event = bench.run(&unit);
        assert_eq!(
            code(&event),
            Some(FailureCode::ProtectionNotHeld),
            "{fault:?}: {:?}",
            event.error
        );
        assert_eq!(event.state, UnitState::Quarantined);
    }
}

#[test]
fn an_order_takes_no_more_units_than_it_has_places() {
    let mut bench = Bench::for_product(product());
    bench.another_order(|order| order.quantity = 3);
    let units = (1..=5).map(|number| Presented {
        target: Box::new(SimTarget::new(unit(Platform::Nrf51822, number))),
        serial: None,
    });
    let (ended, summary, result) = bench.run_all(units.collect());
    assert!(result.is_ok());
    assert_eq!((ended.len(), summary.passed), (3, 3));
}

#[test]
fn a_line_that_is_asked_to_stop_ends_its_units_in_a_known_state() {
    let bench = Bench::for_product(product());
    let stop = Stop::new();
    stop.request();
    let line = bench.line(Arc::new(Told::default()), stop);
    let slot = Slot {
        number: 1,
        source: Box::new(Endless(0)),
    };
    let (summary, result) = provision(&line, vec![slot], 10, None);
    assert!(result.is_ok());
    assert_eq!(summary.exit_code, ExitCode::Interrupted);
    assert!(
        bench
            .runtime
            .block_on(bench.journal.recover())
            .unwrap()
            .is_empty()
    );
}

#[test]
fn too_many_failures_stop_the_line() {
    let bench = Bench::for_product(Product {
        platform: Platform::Nrf52840,
        ..product()
    });
    let line = bench.line(Arc::new(Told::default()), Stop::new());
    let slot = Slot {
        number: 1,
        source: Box::new(Endless(0)),
    };
    let (summary, result) = provision(&line, vec![slot], 100, Some(4));
    assert!(result.is_ok());
    assert_eq!((summary.failed, summary.passed), (4, 0));
    assert_eq!(summary.exit_code, ExitCode::UnitsFailed);
}

#[test]
fn sixteen_slots_side_by_side_give_each_unit_its_own_pin() {
    let bench = Bench::for_product(product());
    let told = Arc::new(Told::default());
    let line = bench.line(told.clone(), Stop::new());
    let slots = (1..=16).map(|number| Slot {
        number,
        source: Box::new(Endless(u32::from(number) * 1000)),
    });
    let (summary, result) = provision(&line, slots.collect(), 200, None);
    assert!(result.is_ok());
    assert_eq!((summary.passed, summary.units), (200, 200));
    let ids: std::collections::HashSet<_> = told
        .ended()
        .iter()
        .filter_map(|event| event.device_id)
        .collect();
    assert_eq!(ids.len(), 200);
    for id in ids {
        assert!(bench.pin(id.0).unwrap().is_active());
    }
}

#[test]
fn a_full_disk_stops_the_line_and_what_was_acknowledged_stays() {
    let bench = Bench::for_product(product());
    let unit = unit(Platform::Nrf51822, 1);
    bench.run(&unit);
    bench
        .runtime
        .block_on(bench.journal.clone().close())
        .unwrap();
    let (ended, summary, result) = bench.run_all(vec![Presented {
        target: Box::new(SimTarget::new(common::unit(Platform::Nrf51822, 2))),
        serial: None,
    }]);
    assert!(ended.is_empty(), "nothing is told that is not on disk");
    assert!(matches!(result, Err(LineError::Journal(_))));
    assert_eq!(summary.exit_code, ExitCode::AuditRefused);
    assert_eq!(summary.passed, 0);
}

/// Fresh nRF51822 units for ever.
struct Endless(u32);

impl UnitSource for Endless {
    fn next(&mut self, _: &Stop) -> Option<Presented> {
        self.0 += 1;
        Some(Presented {
            target: Box::new(SimTarget::new(unit(Platform::Nrf51822, self.0))),
            serial: None,
        })
    }

    fn ended(&mut self, _: Option<keyline_protocol::identity::DeviceId>) {}
}

#[test]
fn a_unit_is_held_while_the_registry_is_away_and_passes_when_it_is_back() {
    let mut bench = Bench::for_product(Product {
        when_registry_unreachable: keyline_station::record::WhenRegistryUnreachable::Hold,
        ..product()
    });
    bench.runtime.block_on(bench.registry.clone().close());
    let unit = unit(Platform::Nrf51822, 1);
    let (ended, summary, result) = bench.run_all(vec![Presented {
        target: Box::new(SimTarget::new(unit.clone())),
        serial: None,
    }]);
    assert!(result.is_ok(), "{result:?}");
    assert_eq!(ended[0].state, UnitState::Held, "{:?}", ended[0].error);
    assert_eq!(
        (summary.held, summary.passed, summary.exit_code),
        (1, 0, ExitCode::Held)
    );

    let url = format!("sqlite:{}", bench.home.path().join("registry.db").display());
    bench.registry = bench
        .runtime
        .block_on(keyline_station::registry::Registry::connect(&url))
        .unwrap();
    assert!(bench.pin(unit.device_id()).is_none(), "held is not trusted");
    let event = bench.run(&unit);
    assert_eq!(event.state, UnitState::Passed, "{:?}", event.error);
    assert_whole(&bench, &unit);
}

#[test]
fn a_product_that_does_not_hold_stops_the_line_while_the_registry_is_away() {
    let bench = Bench::for_product(product());
    bench.runtime.block_on(bench.registry.clone().close());
    let (ended, summary, result) = bench.run_all(vec![Presented {
        target: Box::new(SimTarget::new(unit(Platform::Nrf51822, 1))),
        serial: None,
    }]);
    assert_eq!(code(&ended[0]), Some(FailureCode::RegistryUnreachable));
    assert!(result.is_err());
    assert_eq!(summary.exit_code, ExitCode::NotReady);
}
