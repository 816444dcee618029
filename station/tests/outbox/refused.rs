//! What the registry never takes is set apart with its reason, and keeps nobody else.

use keyline_protocol::identity::Platform;
use keyline_station::link::SimTarget;
use keyline_station::reconcile::Severity;
use keyline_station::record::{Change, DeviceIdText, FailureCode, StationId, UnitState};
use keyline_station::registry::Revocation;
use keyline_virtual_unit::sim::{SimOptions, SimUnit};

use crate::common::{Bench, unit};
use crate::held::{Held, holding};

/// Five held units.
fn five() -> (Held, Vec<SimUnit>) {
    let held = Held::away();
    let units: Vec<_> = (1..=5).map(|n| unit(Platform::Nrf51822, n)).collect();
    for unit in &units {
        assert_eq!(held.bench.run(unit).state, UnitState::Held);
    }
    (held, units)
}

/// Another station pins a unit that says it is the same, with a key of its own.
fn pinned_elsewhere(held: &Held, number: u32) -> DeviceIdText {
    let options = SimOptions::seeded(Platform::Nrf51822, (number, 0x4b4c), 4_711);
    let twin = SimUnit::new(options);
    let mut other = Bench::for_product(holding());
    other.registry = held.bench.registry.clone();
    assert_eq!(other.run(&twin).state, UnitState::Passed);
    DeviceIdText(twin.device_id())
}

fn assert_others_passed(held: &Held, units: &[SimUnit], refused: usize) {
    for (n, unit) in units.iter().enumerate() {
        let expected = if n == refused {
            UnitState::Quarantined
        } else {
            UnitState::Passed
        };
        assert_eq!(held.state(unit), expected, "unit {n}");
    }
    let counts = held.bench.journal.order_counts(held.bench.order.id);
    let counts = held.bench.runtime.block_on(counts).unwrap().unwrap();
    assert_eq!((counts.passed, counts.held, counts.failed), (4, 0, 1));
    assert_eq!(held.outbox().runs, 0);
}

fn kinds(held: &Held, unit: &SimUnit) -> Vec<String> {
    let events = held.events(unit).into_iter();
    events.map(|event| event.kind).collect()
}

#[test]
fn a_conflict_that_is_found_late_raises_the_alarm() {
    let (mut held, units) = five();
    held.link_is_back();
    pinned_elsewhere(&held, 2);
    let (report, told) = held.sync();
    assert_eq!(report.settled.len(), 5);
    assert_others_passed(&held, &units, 1);
    let refused = told
        .iter()
        .find(|event| event.state == UnitState::Quarantined)
        .unwrap();
    let failure = refused.error.as_ref().unwrap();
    assert_eq!(failure.code, FailureCode::DeviceHasAnotherKey);
    assert!(failure.message.contains("is pinned to key"), "{failure:?}");
    assert_eq!(
        kinds(&held, &units[1]),
        ["clone-alarm", "held-refused", "unit-quarantined"]
    );
    let alarms = held.bench.runtime.block_on(held.bench.journal.alarms(10));
    let alarm = alarms
        .unwrap()
        .into_iter()
        .find(|alarm| alarm.kind == "clone-alarm");
    let Change::CloneAlarm {
        run,
        other_fingerprint,
        ..
    } = alarm.unwrap().change
    else {
        panic!("no alarm");
    };
    assert_eq!(Some(run), refused.run);
    assert!(other_fingerprint.is_some(), "it names the other key");
    assert!(held.findings(Severity::Violation).is_empty());
    // The cloud trusts the twin: that stays open until somebody has decided which of them is the real one.
    let open = held.findings(Severity::Gap);
    assert!(
        open.iter()
            .any(|finding| finding.code == "trusted-unfinished"),
        "{open:#?}"
    );
}

#[test]
fn a_key_that_the_registry_will_never_take_sets_its_unit_apart() {
    let (mut held, units) = five();
    held.link_is_back();
    let device_id = pinned_elsewhere(&held, 3);
    let revoked = held.bench.registry.revoke(Revocation {
        device_id,
        // The one that pinned it: in its own name this station's log would have to know.
        station: StationId::generate(),
        operator: "test".to_owned(),
        reason: "returned".to_owned(),
    });
    held.bench.runtime.block_on(revoked).unwrap();
    let (_, told) = held.sync();
    assert_others_passed(&held, &units, 2);
    let failures: Vec<_> = told
        .iter()
        .filter_map(|event| event.error.as_ref())
        .collect();
    assert_eq!(failures.len(), 1);
    assert_eq!(failures[0].code, FailureCode::KeyRevoked);
    assert_eq!(
        kinds(&held, &units[2]),
        ["held-refused", "unit-quarantined"]
    );
    // Why is with the unit's last run, where lists and shipments look.
    let known = held.bench.journal.last_run_of(device_id);
    let known = held.bench.runtime.block_on(known).unwrap().unwrap();
    assert_eq!(
        known.failure.map(|failure| failure.code),
        Some(FailureCode::KeyRevoked)
    );
    held.assert_verifies();
}

#[test]
fn a_proof_that_was_tampered_with_keeps_nobody_else() {
    let (mut held, units) = five();
    held.tamper(
        "UPDATE entry SET body = replace(body, '\"authenticator\":\"', '\"authenticator\":\"00') \
         WHERE body ->> 'kind' = 'step-done' AND body ->> 'step' = 'proven' \
         AND leaf_index = (SELECT min(leaf_index) FROM entry WHERE body ->> 'step' = 'proven' AND body ->> 'kind' = 'step-done')",
    );
    held.link_is_back();
    let (_, told) = held.sync();
    assert_others_passed(&held, &units, 0);
    let failure = told.iter().find_map(|event| event.error.as_ref()).unwrap();
    assert_eq!(failure.code, FailureCode::ProofInvalid);
    assert!(
        !held.findings(Severity::Violation).is_empty(),
        "the verification sees who did it to the log"
    );
}

#[test]
fn a_proof_that_can_t_be_read_keeps_nobody_else() {
    let (mut held, units) = five();
    held.tamper(
        "UPDATE entry SET body = replace(body, '6b65796c696e652f70726f6f66', '6b65796c696e652f70726f6f00') \
         WHERE leaf_index = (SELECT min(leaf_index) FROM entry WHERE body ->> 'step' = 'proven' AND body ->> 'kind' = 'step-done')",
    );
    held.link_is_back();
    let (_, told) = held.sync();
    assert_others_passed(&held, &units, 0);
    let failure = told.iter().find_map(|event| event.error.as_ref()).unwrap();
    assert!(
        failure.message.contains("found none that can be read"),
        "{failure:?}"
    );
}

#[test]
fn a_later_run_of_a_refused_unit_is_refused_with_it() {
    let mut held = Held::away();
    let unit = unit(Platform::Nrf51822, 2);
    held.bench.run(&unit);
    held.bench.run(&unit);
    held.link_is_back();
    pinned_elsewhere(&held, 2);
    let (report, _) = held.sync();
    assert_eq!(report.settled.len(), 1);
    assert_eq!(held.state(&unit), UnitState::Quarantined);
    assert_eq!(held.outbox().runs, 0);
}

#[test]
fn a_held_unit_whose_serial_was_taken_meanwhile_is_set_apart_without_an_alarm() {
    let mut held = Held::away();
    let run = |bench: &Bench, unit: &SimUnit, serial| {
        bench.run_target(Box::new(SimTarget::new(unit.clone())), Some(serial))
    };
    let (late, free) = (unit(Platform::Nrf51822, 1), unit(Platform::Nrf51822, 2));
    for (unit, serial) in [(&late, "TH-1"), (&free, "TH-2")] {
        assert_eq!(run(&held.bench, unit, serial).state, UnitState::Held);
    }
    held.link_is_back();
    let mut other = Bench::for_product(holding());
    other.registry = held.bench.registry.clone();
    let faster = unit(Platform::Nrf51822, 3);
    assert_eq!(run(&other, &faster, "TH-1").state, UnitState::Passed);

    let (report, told) = held.sync();
    assert_eq!(report.settled.len(), 2);
    assert_eq!(held.state(&free), UnitState::Passed);
    assert_eq!(held.state(&late), UnitState::Quarantined);
    assert_eq!(held.outbox().runs, 0);
    let failure = told.iter().find_map(|event| event.error.as_ref()).unwrap();
    assert_eq!(failure.code, FailureCode::SerialInUse);
    let words = format!("names unit {} since", faster.device_id());
    assert!(failure.message.contains(&words), "{failure:?}");
    assert_eq!(kinds(&held, &late), ["held-refused", "unit-quarantined"]);
    assert_eq!(held.bench.pin(late.device_id()), None);
    // The unit gives the serial up: it may be released and labelled anew.
    let known = held.bench.journal.unit(DeviceIdText(late.device_id()));
    let known = held.bench.runtime.block_on(known).unwrap().unwrap();
    assert_eq!(known.serial, None);
    held.bench.commit(vec![Change::UnitReleased {
        device_id: DeviceIdText(late.device_id()),
        operator: "test".to_owned(),
        reason: "labelled anew".to_owned(),
    }]);
    assert_eq!(run(&held.bench, &late, "TH-3").state, UnitState::Passed);
    held.assert_verifies();
}
