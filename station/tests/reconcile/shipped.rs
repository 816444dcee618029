//! What left the building, and what was revoked: by the journal's rules, also when the log is carried out once more.

use keyline_protocol::identity::Platform;
use keyline_station::reconcile::Code;
use keyline_station::record::{Change, DeviceIdText};
use keyline_station::registry::Revocation;

use crate::common::unit;
use crate::forged::forge;
use crate::story::{Station, begun, closed};
use crate::verify::verify;

fn device(number: u32) -> DeviceIdText {
    DeviceIdText(unit(Platform::Nrf51822, number).device_id())
}

/// Units 1 and 2 have passed and left; the pin of unit 3 was revoked after it had passed.
fn told() -> Station {
    let bench = begun();
    for number in 1..=3 {
        bench.run(&unit(Platform::Nrf51822, number));
    }
    let pin = bench.pin(device(3).0).unwrap();
    bench.commit(vec![Change::PinRevoked {
        device_id: device(3),
        fingerprint: pin.fingerprint,
        operator: "op-1".to_owned(),
        reason: "it was stolen".to_owned(),
    }]);
    let revoke = bench.registry.revoke(Revocation {
        device_id: device(3),
        station: bench.station,
        operator: "op-1".to_owned(),
        reason: "it was stolen".to_owned(),
    });
    bench.runtime.block_on(revoke).unwrap();
    bench.commit(vec![Change::OrderShipped {
        order: bench.order.id,
        device_ids: vec![device(1), device(2)],
        witnessed_size: 1,
        operator: "op-1".to_owned(),
    }]);
    closed(bench)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_left_and_what_was_revoked_follows_from_the_log() {
    let station = tokio::task::spawn_blocking(told).await.unwrap();
    let found = verify(&station).await;
    assert!(found.violations().is_empty(), "{:#?}", found.violations());
    found.expect(Code::UnitFailed, "its pin was revoked");
    let removed = station.copy();
    removed.tamper("journal.db", "DELETE FROM shipment").await;
    let found = verify(&removed).await;
    found.expect(Code::RowMissing, "the table shipment has none");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_ships_a_unit_which_must_stay_is_named() {
    let station = tokio::task::spawn_blocking(told).await.unwrap();
    for (other, words) in [
        (device(3), "expected a unit that has passed"),
        (device(1), "expected a unit that has not left before"),
        (device(44), "expected a unit that the journal knows"),
    ] {
        let forged = station.copy();
        forge(&forged, |entry| {
            if entry.body.contains("order-shipped") {
                let (old, new) = (device(2).0.to_string(), other.0.to_string());
                entry.forge(|_, body| *body = body.replace(&old, &new));
            }
        })
        .await;
        let found = verify(&forged).await;
        found.expect(Code::RuleBroken, words);
    }
}
