//! The link is cut at random moments while what is held is entered: once, in order, none lost. A PostgreSQL server behind a proxy that
//! cuts itself after a seeded number of bytes.
//!
//! `KEYLINE_HELD_UNITS` asks for more units than 300; `make soak` does. `KEYLINE_SEED=n` gives the seed.

use std::time::Duration;

use keyline_station::record::UnitState;

use crate::cut_proxy::CutProxy;
use crate::held::Held;
use crate::registry_server::{registry_server, url_at};

const UNITS: u32 = 300;

fn number(name: &str, default: u32) -> u32 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

#[test]
fn cuts_at_random_moments_lose_nothing_and_enter_nothing_twice() {
    let (units, seed) = (
        number("KEYLINE_HELD_UNITS", UNITS),
        number("KEYLINE_SEED", 1),
    );
    let server = registry_server();
    let proxy = CutProxy::to(server.address());
    let mut held = Held::units(units);
    let order = held.bench.order.id;
    held.connect(&url_at(proxy.address()));
    // A unit takes about 8 kB of the link, so there are some dozen cuts, however many units there are.
    proxy.cut_at_random(
        seed.into(),
        2_000..150_000.max(u64::from(units) * 150),
        Duration::from_millis(1)..Duration::from_millis(150),
    );
    let (report, told) = held.sync_within(Duration::from_mins(2));
    let cuts = proxy.cuts();
    proxy.restore();
    assert!(
        report.away.is_none(),
        "KEYLINE_SEED={seed}: {:?}",
        report.away
    );
    assert!(
        cuts >= 5,
        "KEYLINE_SEED={seed}: the link was cut {cuts} times"
    );
    assert_eq!(told.len(), units as usize, "KEYLINE_SEED={seed}");
    assert!(told.iter().all(|unit| unit.state == UnitState::Passed));
    // Whatever state the connections are in that were cut: the look at the whole goes straight to the server.
    held.connect(&url_at(server.address()));
    held.assert_all_released(order, units);
}

#[test]
fn a_link_that_comes_back_is_noticed() {
    let server = registry_server();
    let proxy = CutProxy::to(server.address());
    let mut held = Held::units(20);
    let order = held.bench.order.id;
    held.connect(&url_at(proxy.address()));
    proxy.cut();
    let (report, _) = held.sync();
    assert!(report.away.is_some());
    assert_eq!(held.outbox().units, 20);
    std::thread::scope(|scope| {
        let syncing = scope.spawn(|| held.sync_within(Duration::from_mins(1)));
        std::thread::sleep(Duration::from_millis(700));
        proxy.restore();
        let (report, told) = syncing.join().unwrap();
        assert!(report.away.is_none(), "{:?}", report.away);
        assert_eq!(told.len(), 20);
    });
    held.assert_all_released(order, 20);
}

#[test]
fn a_link_that_swallows_everything_for_a_while_only_delays() {
    let server = registry_server();
    let proxy = CutProxy::to(server.address());
    let mut held = Held::units(20);
    let order = held.bench.order.id;
    held.connect(&url_at(proxy.address()));
    proxy.black_hole();
    std::thread::scope(|scope| {
        let syncing = scope.spawn(|| held.sync_within(Duration::from_mins(1)));
        std::thread::sleep(Duration::from_millis(1_500));
        proxy.restore();
        let (report, told) = syncing.join().unwrap();
        assert!(report.away.is_none(), "{:?}", report.away);
        assert_eq!(told.len(), 20);
    });
    held.assert_all_released(order, 20);
}
