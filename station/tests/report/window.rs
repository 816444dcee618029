//! A report of a part of an order.

use keyline_protocol::identity::Platform;
use keyline_station::record::UnitState;
use keyline_station::report::{Window, render, verify};

use crate::common::{Bench, product, unit};
use crate::lot::{broken, collect, device, policy_of, refused};

#[test]
fn it_takes_the_units_whose_run_began_then_and_says_so() {
    let bench = Bench::for_product(product());
    let mut began = Vec::new();
    for number in [1, 2, 3] {
        let event = bench.run(&unit(Platform::Nrf51822, number));
        assert_eq!(event.state, UnitState::Passed);
        let run = bench.journal.last_run_of(device(number));
        began.push(bench.runtime.block_on(run).unwrap().unwrap().started_at_ms);
    }
    let window = Window {
        from_ms: Some(began[1]),
        to_ms: Some(began[1] + 1),
    };
    let report = collect(&bench, bench.order.id, window);
    let page = render(&report).unwrap();
    let policy = policy_of(&bench);
    assert_eq!(broken(&verify(&page, &policy)), Vec::<String>::new());
    assert!(page.contains("<strong>A part of the order:</strong>"));
    assert!(page.contains(&device(2).0.to_string()));
    assert!(!page.contains(&device(3).0.to_string()) || began[2] == began[1]);

    // It can't pass for a part that it is not of.
    let mut other = collect(&bench, bench.order.id, Window::default());
    other.window = Window {
        from_ms: None,
        to_ms: Some(1),
    };
    assert!(render(&other).is_err());
    let moved = page.replacen(&format!("\"to_ms\":{}", began[1] + 1), "\"to_ms\":1", 1);
    refused(&verify(&moved, &policy), "did not begin in the time");
}

#[test]
fn a_time_is_half_open() {
    let window = Window {
        from_ms: Some(10),
        to_ms: Some(20),
    };
    assert!(window.takes(10) && window.takes(19));
    assert!(!window.takes(9) && !window.takes(20) && !window.is_open());
    assert!(Window::default().takes(0) && Window::default().is_open());
}
