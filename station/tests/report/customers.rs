//! What is another order's, and another customer's, is not told.

use keyline_protocol::identity::{LockPolicy, Platform};
use keyline_station::record::{Change, Product, UnitState};
use keyline_station::registry::Revocation;
use keyline_station::report::{Window, render, verify};
use keyline_virtual_unit::sim::{SimOptions, SimUnit};

use crate::common::{Bench, product, unit};
use crate::lot::{broken, collect, device, policy_of};

/// Unit 1 was built for one order, then reworked for another; units 2 and 3 stayed where they were.
fn two_orders() -> (Bench, keyline_station::record::OrderId) {
    let mut bench = Bench::for_product(Product {
        lock_policy: LockPolicy::Open,
        ..product()
    });
    let first = bench.order.id;
    for number in [1, 2] {
        let event = bench.run(&unit(Platform::Nrf51822, number));
        assert_eq!(event.state, UnitState::Passed);
    }
    let device_id = device(1);
    bench.commit(vec![Change::UnitReleased {
        device_id,
        operator: "op-1".to_owned(),
        reason: "told to the first".to_owned(),
    }]);
    let revoked = bench.registry.revoke(Revocation {
        device_id,
        station: bench.station,
        operator: "op-1".to_owned(),
        reason: "rework".to_owned(),
    });
    bench.runtime.block_on(revoked).unwrap();
    bench.another_order(|order| order.rework = true);
    let erased = SimUnit::new(SimOptions::seeded(Platform::Nrf51822, (1, 0x4b4c), 4321));
    assert_eq!(bench.run(&erased).state, UnitState::Passed);
    assert_eq!(
        bench.run(&unit(Platform::Nrf51822, 3)).state,
        UnitState::Passed
    );
    bench.commit(vec![Change::UnitScrapped {
        device_id,
        operator: "op-1".to_owned(),
        reason: "told to the second".to_owned(),
    }]);
    (bench, first)
}

#[test]
fn each_order_tells_its_own_part_of_a_unit() {
    let (bench, first) = two_orders();
    let policy = policy_of(&bench);
    let second = bench.order.id;
    for (order, units, told, hidden) in [
        (first, [1, 2], "told to the first", "told to the second"),
        (second, [1, 3], "told to the second", "told to the first"),
    ] {
        let page = render(&collect(&bench, order, Window::default())).unwrap();
        let verdict = verify(&page, &policy);
        assert_eq!(broken(&verdict), Vec::<String>::new());
        assert!(
            verdict.result.starts_with("2 units: "),
            "{}",
            verdict.result
        );
        for number in [1, 2, 3] {
            let listed = page.contains(&device(number).0.to_string());
            assert_eq!(listed, units.contains(&number), "{number}");
        }
        assert!(page.contains(told) && !page.contains(hidden));
        let other = if order == first { second } else { first };
        assert!(!page.contains(&other.to_string()), "not even its id");
    }
}

#[test]
fn the_counts_are_those_of_the_order() {
    let (bench, first) = two_orders();
    let counts = bench.runtime.block_on(bench.journal.order_counts(first));
    let counts = counts.unwrap().unwrap();
    let page = render(&collect(&bench, first, Window::default())).unwrap();
    let verdict = verify(&page, &policy_of(&bench));
    assert!(
        verdict
            .result
            .contains(&format!("{} passed", counts.passed)),
        "{}",
        verdict.result
    );
}
