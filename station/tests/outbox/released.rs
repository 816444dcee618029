//! The link is back: held units are pinned once and released.

use keyline_protocol::identity::Platform;
use keyline_station::record::{Change, DeviceIdText, UnitState};

use crate::common::unit;
use crate::held::{Held, run_ids};

#[test]
fn what_was_held_is_pinned_and_passes() {
    let mut held = Held::units(40);
    let order = held.bench.order.id;
    let before = held.outbox();
    assert!(before.since_ms.is_some());
    held.link_is_back();
    let (report, told) = held.sync();
    assert!(report.away.is_none() && report.trouble.is_none());
    assert_eq!(told.len(), 40);
    assert!(
        told.iter()
            .all(|unit| unit.state == UnitState::Passed && unit.late && unit.error.is_none())
    );
    held.assert_all_released(order, 40);
    // Once: what is released is not asked for again.
    let (again, told) = held.sync();
    assert!(again.settled.is_empty() && told.is_empty());
    held.assert_all_released(order, 40);
}

#[test]
fn without_a_link_everything_waits() {
    let held = Held::units(5);
    let (report, told) = held.sync();
    assert!(report.away.is_some(), "the registry is out of reach");
    assert!(report.settled.is_empty() && told.is_empty());
    assert_eq!(held.outbox().units, 5);
}

#[test]
fn an_answer_that_was_lost_is_asked_for_again() {
    let mut held = Held::units(12);
    let order = held.bench.order.id;
    // The station dies after the registry has taken everything and before the journal has: as if the journal were that of before.
    held.bench
        .runtime
        .block_on(held.bench.journal.clone().close())
        .unwrap();
    let (stored, kept) = (held.path("journal.db"), held.path("journal.kept"));
    std::fs::copy(&stored, &kept).unwrap();
    held.reopen();
    held.link_is_back();
    assert_eq!(held.sync().1.len(), 12);
    held.bench
        .runtime
        .block_on(held.bench.journal.clone().close())
        .unwrap();
    std::fs::copy(&kept, &stored).unwrap();
    held.reopen();
    assert_eq!(held.outbox().units, 12);
    let (_, told) = held.sync();
    for run in run_ids(&told) {
        let entries = held.bench.journal.entries_of_run(run);
        let entries = held.bench.runtime.block_on(entries).unwrap();
        let last: Change = serde_json::from_str(&entries.last().unwrap().body).unwrap();
        assert!(
            matches!(last, Change::HeldReleased { already: true, .. }),
            "{last:?}"
        );
    }
    held.assert_all_released(order, 12);
}

#[test]
fn two_held_runs_of_one_unit_are_settled_in_their_order() {
    let mut held = Held::away();
    let unit = unit(Platform::Nrf51822, 7);
    let first = held.bench.run(&unit);
    let second = held.bench.run(&unit);
    assert_eq!(
        (first.state, second.state),
        (UnitState::Held, UnitState::Held)
    );
    assert_eq!((held.outbox().runs, held.outbox().units), (2, 1));
    held.link_is_back();
    let (report, told) = held.sync();
    assert_eq!(report.settled.len(), 1, "one unit");
    assert_eq!(told.len(), 1);
    assert_eq!(held.state(&unit), UnitState::Passed);
    let released: Vec<_> = held.events(&unit).iter().map(|event| event.run).collect();
    assert_eq!(released, [first.run, second.run], "in their order");
    let history = held.bench.registry.history(DeviceIdText(unit.device_id()));
    assert_eq!(held.bench.runtime.block_on(history).unwrap().len(), 2);
    held.assert_verifies();
}

#[test]
fn a_later_run_that_passes_leaves_nothing_to_enter() {
    let mut held = Held::away();
    let unit = unit(Platform::Nrf51822, 7);
    held.bench.run(&unit);
    held.link_is_back();
    assert_eq!(held.bench.run(&unit).state, UnitState::Passed);
    assert_eq!(held.outbox().runs, 0);
    let counts = held.bench.journal.order_counts(held.bench.order.id);
    let counts = held.bench.runtime.block_on(counts).unwrap().unwrap();
    assert_eq!((counts.passed, counts.held), (1, 0));
    held.assert_verifies();
}

#[test]
fn a_unit_that_was_scrapped_meanwhile_is_never_entered() {
    let mut held = Held::away();
    let unit = unit(Platform::Nrf51822, 7);
    held.bench.run(&unit);
    held.bench.commit(vec![Change::UnitScrapped {
        device_id: DeviceIdText(unit.device_id()),
        operator: "test".to_owned(),
        reason: "broken antenna".to_owned(),
    }]);
    held.link_is_back();
    let (report, _) = held.sync();
    assert!(report.settled.is_empty());
    assert!(held.bench.pin(unit.device_id()).is_none());
    assert_eq!(held.state(&unit), UnitState::Scrapped);
    held.assert_verifies();
}

#[test]
fn a_line_that_begins_again_meanwhile_and_the_outbox_do_not_get_in_each_others_way() {
    let mut held = Held::units(30);
    held.link_is_back();
    let unit = unit(Platform::Nrf51822, 7);
    held.bench.another_order(|_| {});
    std::thread::scope(|scope| {
        let line = scope.spawn(|| held.bench.run(&unit));
        assert_eq!(held.sync().1.len(), 30);
        assert_eq!(line.join().unwrap().state, UnitState::Passed);
    });
    held.assert_verifies();
}
