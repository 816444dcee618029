//! What makes an identity: one pin, one history, nobody else's key. Invariants 1, 2 and 7 of the design, over simulated units.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests"
)]

mod common;

use common::{Bench, product, unit};
use keyline_protocol::identity::{Algorithm, KeyPolicy, LockPolicy, Platform};
use keyline_station::link::SimTarget;
use keyline_station::record::{
    DeviceIdText, FailureCode, Product, RunResult, Step, StepPhase, UnitState,
};
use keyline_virtual_unit::sim::{Direction, FrameFaultKind, SimOptions, SimUnit};

fn code(event: &keyline_station::event::UnitEvent) -> Option<FailureCode> {
    event.error.as_ref().map(|failure| failure.code)
}

#[test]
fn a_bare_unit_becomes_a_device_and_every_step_leaves_evidence() {
    let bench = Bench::for_product(product());
    let unit = unit(Platform::Nrf51822, 1);
    let event = bench.run(&unit);
    assert_eq!(
        (event.state, event.already, code(&event)),
        (UnitState::Passed, false, None)
    );
    let pin = bench.pin(unit.device_id()).unwrap();
    assert!(pin.is_active() && !pin.weak);

    let run = event.run.unwrap();
    let steps = bench.runtime.block_on(bench.journal.steps_of(run)).unwrap();
    let done: Vec<Step> = steps
        .iter()
        .filter(|step| step.phase == StepPhase::Done)
        .map(|step| step.step)
        .collect();
    assert_eq!(done, Step::ALL, "each step once, in order");
    for intended in steps
        .iter()
        .filter(|step| step.phase == StepPhase::Intended)
    {
        let effect = steps
            .iter()
            .find(|step| step.step == intended.step && step.phase == StepPhase::Done)
            .unwrap();
        assert!(
            intended.leaf < effect.leaf,
            "{:?} was journalled before its effect",
            intended.step
        );
    }
    let run = bench
        .runtime
        .block_on(bench.journal.run(run))
        .unwrap()
        .unwrap();
    assert_eq!(run.result, Some(RunResult::Passed));
}

#[test]
fn a_finished_unit_says_so_and_keeps_its_pin() {
    let bench = Bench::for_product(product());
    let unit = unit(Platform::Nrf51822, 1);
    bench.run(&unit);
    let history = |bench: &Bench| {
        bench
            .runtime
            .block_on(bench.registry.history(DeviceIdText(unit.device_id())))
            .unwrap()
    };
    let (pin, before) = (bench.pin(unit.device_id()), history(&bench));
    for _ in 0..2 {
        let event = bench.run(&unit);
        assert_eq!((event.state, event.already), (UnitState::Passed, true));
    }
    assert_eq!(bench.pin(unit.device_id()), pin);
    assert_eq!(history(&bench).len(), before.len(), "no second history");
    let counts = bench
        .runtime
        .block_on(bench.journal.order_counts(bench.order.id))
        .unwrap()
        .unwrap();
    assert_eq!(counts.passed, 1, "one unit fills one place");
}

#[test]
fn a_finished_unit_fills_no_place_of_another_order() {
    let mut bench = Bench::for_product(product());
    let unit = unit(Platform::Nrf51822, 1);
    bench.run(&unit);
    bench.another_order(|_| {});
    // Trying again does not help: the first refusal has not moved the unit to the order.
    for _ in 0..2 {
        let event = bench.run(&unit);
        assert_eq!(code(&event), Some(FailureCode::UnitOfAnotherOrder));
    }
    assert!(bench.pin(unit.device_id()).unwrap().is_active());
}

#[test]
fn a_copied_flash_in_another_chip_raises_a_clone_alarm() {
    for lock_policy in [LockPolicy::Open, LockPolicy::Sealed] {
        let bench = Bench::for_product(Product {
            lock_policy,
            ..product()
        });
        let first = unit(Platform::Nrf51822, 1);
        bench.run(&first);
        let pin = bench.pin(first.device_id()).unwrap();
        let clone =
            SimUnit::with_flash_of(&first, SimOptions::seeded(Platform::Nrf51822, (2, 2), 2));
        let (ended, summary, _) = bench.run_all(vec![keyline_station::line::Presented {
            target: Box::new(SimTarget::new(clone.clone())),
            serial: None,
        }]);
        assert_eq!(
            code(&ended[0]),
            Some(FailureCode::KeyBelongsToAnother),
            "{lock_policy:?}"
        );
        assert_eq!(ended[0].state, UnitState::Quarantined);
        assert_eq!(summary.exit_code.number(), 1);
        assert_eq!(
            bench.pin(first.device_id()),
            Some(pin),
            "the first unit's pin is untouched"
        );
        assert!(bench.pin(clone.device_id()).is_none());
        let alarms = bench.runtime.block_on(bench.journal.alarms(10)).unwrap();
        assert!(
            alarms
                .iter()
                .any(|alarm| alarm.kind == "clone-alarm" && alarm.device_id.0 == clone.device_id())
        );
    }
}

#[test]
fn a_known_device_id_with_another_key_raises_a_clone_alarm() {
    for lock_policy in [LockPolicy::Open, LockPolicy::Sealed] {
        let bench = Bench::for_product(Product {
            lock_policy,
            ..product()
        });
        let first = unit(Platform::Nrf51822, 1);
        bench.run(&first);
        let pin = bench.pin(first.device_id()).unwrap();
        let impostor = SimUnit::new(SimOptions::seeded(Platform::Nrf51822, (1, 0x4b4c), 99));
        assert_eq!(impostor.device_id(), first.device_id());
        let event = bench.run(&impostor);
        assert_eq!(
            code(&event),
            Some(FailureCode::DeviceHasAnotherKey),
            "{lock_policy:?}"
        );
        assert_eq!(
            bench.pin(first.device_id()),
            Some(pin),
            "the first unit's pin is untouched"
        );
        let again = bench.run(&impostor);
        assert_eq!(
            code(&again),
            Some(FailureCode::Quarantined),
            "set apart means set apart"
        );
    }
}

#[test]
fn a_claim_that_never_proved_itself_is_superseded_and_its_key_stays_burnt() {
    let bench = Bench::for_product(Product {
        lock_policy: LockPolicy::Open,
        ..product()
    });
    let unit = unit(Platform::Nrf51822, 1);
    let device_id = DeviceIdText(unit.device_id());
    // The cable is pulled after the claim, before the proof.
    unit.fault(
        Direction::ToUnit,
        frames_before_the_proof(&bench),
        FrameFaultKind::PullCable,
    );
    let event = bench.run(&unit);
    assert_eq!(event.state, UnitState::Failed);
    assert!(
        bench.pin(unit.device_id()).is_none(),
        "the cloud does not trust a pending claim"
    );
    let first_key = bench
        .runtime
        .block_on(bench.registry.history(device_id))
        .unwrap();
    let burnt = first_key.first().unwrap().fingerprint;

    // A full chip erase: the unit makes another key.
    let erased = SimUnit::new(SimOptions::seeded(Platform::Nrf51822, (1, 0x4b4c), 1234));
    let event = bench.run(&erased);
    assert_eq!(event.state, UnitState::Passed, "{:?}", event.error);
    let pin = bench.pin(erased.device_id()).unwrap();
    assert_ne!(pin.fingerprint, burnt);
    // The first key comes back: refused, for ever.
    unit.set_cable(true);
    let event = bench.run(&unit);
    assert!(
        matches!(
            code(&event),
            Some(FailureCode::DeviceHasAnotherKey | FailureCode::KeyRevoked)
        ),
        "{:?}",
        event.error
    );
    assert_eq!(bench.pin(erased.device_id()), Some(pin));
}

/// How many frames a unit of this bench gets before it is asked for its proof.
fn frames_before_the_proof(bench: &Bench) -> u64 {
    let other = unit(Platform::Nrf51822, 77);
    bench.run(&other);
    let (to_unit, _) = other.frame_counts();
    to_unit - 1
}

#[test]
fn every_policy_makes_every_algorithm_that_it_can() {
    let sound = [
        (
            Platform::Nrf51822,
            KeyPolicy::OnDevice,
            Algorithm::P256,
            UnitState::Passed,
        ),
        (
            Platform::Nrf51822,
            KeyPolicy::Station,
            Algorithm::P256,
            UnitState::Passed,
        ),
        (
            Platform::Nrf52840,
            KeyPolicy::Station,
            Algorithm::Rsa2048,
            UnitState::Passed,
        ),
        (
            Platform::Nrf52840,
            KeyPolicy::Station,
            Algorithm::Rsa3072,
            UnitState::Passed,
        ),
        (
            Platform::Nrf52832,
            KeyPolicy::Station,
            Algorithm::Rsa2048,
            UnitState::Weak,
        ),
        (
            Platform::Nrf52832,
            KeyPolicy::Station,
            Algorithm::Rsa3072,
            UnitState::Weak,
        ),
    ];
    for (platform, key_policy, algorithm, expected) in sound {
        let mut bench = Bench::for_product(Product {
            platform,
            key_policy,
            algorithm,
            lock_policy: LockPolicy::Open,
            ..product()
        });
        bench.keys = common::station_keys();
        let unit = unit(platform, 1);
        let event = bench.run(&unit);
        assert_eq!(
            event.state, expected,
            "{key_policy:?} {algorithm:?}: {:?}",
            event.error
        );
        let pin = bench.pin(unit.device_id()).unwrap();
        assert_eq!(pin.weak, expected == UnitState::Weak);
        assert_eq!(pin.algorithm.0, algorithm);
        let again = bench.run(&unit);
        assert_eq!(
            (again.state, again.already),
            (expected, true),
            "{key_policy:?} {algorithm:?}: {:?}",
            again.error
        );

        if expected == UnitState::Passed {
            // The same key, now as one that is already there: built on another line, whose registry knows nothing.
            let bench = Bench::for_product(Product {
                platform,
                key_policy: KeyPolicy::Existing,
                algorithm,
                ..product()
            });
            let event = bench.run(&unit);
            assert_eq!(
                event.state,
                UnitState::Passed,
                "existing {algorithm:?}: {:?}",
                event.error
            );
        }
    }
}

#[test]
fn a_product_that_expects_a_key_fails_a_unit_without_one() {
    let bench = Bench::for_product(Product {
        key_policy: KeyPolicy::Existing,
        ..product()
    });
    let event = bench.run(&unit(Platform::Nrf51822, 1));
    assert_eq!(code(&event), Some(FailureCode::KeyMissing));
}

#[test]
fn a_sealed_unit_refuses_a_second_cloud() {
    let bench = Bench::for_product(product());
    let unit = unit(Platform::Nrf51822, 1);
    bench.run(&unit);
    let thief = Bench::for_product(Product {
        cloud_address: "thief.example:5684".to_owned(),
        ..product()
    });
    let event = thief.run(&unit);
    assert_eq!(code(&event), Some(FailureCode::UnitSealed));
    let again = bench.run(&unit);
    assert_eq!(
        (again.state, again.already),
        (UnitState::Passed, true),
        "the unit is as it was"
    );
}

#[test]
fn a_key_that_was_planted_before_the_bench_is_refused() {
    // Another line, or a thief, had the unit make a key; this one's station and registry know nothing of it.
    let elsewhere = Bench::for_product(Product {
        lock_policy: LockPolicy::Open,
        ..product()
    });
    let unit = unit(Platform::Nrf51822, 1);
    elsewhere.run(&unit);
    let bench = Bench::for_product(product());
    let event = bench.run(&unit);
    assert_eq!(
        code(&event),
        Some(FailureCode::KeyUnsuitable),
        "{:?}",
        event.error
    );
    assert_eq!(event.state, UnitState::Quarantined);
    assert!(bench.pin(unit.device_id()).is_none());
}

/// The serials by which the registry knows a unit, and whether they are in force.
fn serials(bench: &Bench, unit: &SimUnit) -> Vec<(String, bool)> {
    let devices = [DeviceIdText(unit.device_id())];
    let uses = bench.registry.serials_of(&devices);
    let uses = bench.runtime.block_on(uses).unwrap().into_iter();
    uses.map(|one| (one.label.serial.clone(), one.is_living()))
        .collect()
}

#[test]
fn a_serial_of_another_station_s_unit_is_refused_before_anything_is_injected() {
    let first = Bench::for_product(product());
    let mut second = Bench::for_product(product());
    second.registry = first.registry.clone();
    let run = |bench: &Bench, unit: &SimUnit, serial| {
        bench.run_target(Box::new(SimTarget::new(unit.clone())), Some(serial))
    };
    let [labelled, other, third] = [1, 2, 3].map(|n| unit(Platform::Nrf51822, n));
    assert_eq!(run(&first, &labelled, "TH-1").state, UnitState::Passed);

    let refused = run(&second, &other, "TH-1");
    assert_eq!(
        (refused.state, code(&refused), refused.step),
        (
            UnitState::Failed,
            Some(FailureCode::SerialInUse),
            Some(Step::Keyed)
        )
    );
    let message = &refused.error.as_ref().unwrap().message;
    let words = format!("names unit {} since", labelled.device_id());
    assert!(message.contains(&words), "{message}");
    assert!(second.pin(other.device_id()).is_none());
    // The label was wrong, not the unit: with another one it passes.
    assert_eq!(run(&second, &other, "TH-2").state, UnitState::Passed);
    assert_eq!(serials(&second, &other), [("TH-2".to_owned(), true)]);
    // The same unit, the same label, another station: nothing changes.
    let mut visiting = Bench::for_product(first.product.clone());
    visiting.registry = first.registry.clone();
    assert!(run(&visiting, &labelled, "TH-1").already);
    let renamed = run(&visiting, &labelled, "TH-4");
    assert_eq!(code(&renamed), Some(FailureCode::SerialMismatch));

    let scrapped = first
        .registry
        .revoke(keyline_station::registry::Revocation {
            device_id: DeviceIdText(labelled.device_id()),
            station: first.station,
            operator: "test".to_owned(),
            reason: "board swapped".to_owned(),
        });
    first.runtime.block_on(scrapped).unwrap();
    assert_eq!(serials(&first, &labelled), [("TH-1".to_owned(), false)]);
    assert_eq!(run(&second, &third, "TH-1").state, UnitState::Passed);
    assert_eq!(serials(&second, &third), [("TH-1".to_owned(), true)]);
}

#[test]
fn a_unit_keeps_the_label_that_an_earlier_run_scanned() {
    let bench = Bench::for_product(Product {
        lock_policy: LockPolicy::Open,
        ..product()
    });
    let unit = unit(Platform::Nrf51822, 1);
    unit.fault(
        Direction::ToUnit,
        frames_before_the_proof(&bench),
        FrameFaultKind::PullCable,
    );
    let failed = bench.run_target(Box::new(SimTarget::new(unit.clone())), Some("TH-1"));
    assert_eq!(failed.state, UnitState::Failed);
    assert!(
        serials(&bench, &unit).is_empty(),
        "it has not proven itself"
    );
    unit.set_cable(true);
    assert_eq!(bench.run(&unit).state, UnitState::Passed);
    assert_eq!(serials(&bench, &unit), [("TH-1".to_owned(), true)]);
}
