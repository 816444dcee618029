//! The same provisioning over the emulated chip's UART, on a pseudo-terminal.

use keyline_protocol::identity::{KeyPolicy, LockPolicy};
use keyline_station::record::{AgentDigestSource, Evidence, FailureCode, Product};

use crate::common::{product, station_keys};
use crate::fixture::{
    LOST, assert_failed, assert_passed, bare_unit, bench, evidence, over_serial, raw_flash, run,
    unit_with_agent,
};
use crate::flash;

#[test]
fn a_unit_is_provisioned_over_its_serial_port() {
    let bench = bench(product());
    let unit = unit_with_agent();
    let event = bench.run_target(over_serial(&unit), None);
    let pin = assert_passed(&bench, &unit, &event, "serial");
    for left in evidence(&bench, &event) {
        match left {
            Evidence::Attached { link, probe } => {
                assert!(link.starts_with("serial /") && probe.is_none());
            }
            Evidence::Identified {
                agent_digest_source,
                ..
            } => {
                assert_eq!(
                    agent_digest_source,
                    AgentDigestSource::Claimed,
                    "nothing was measured"
                );
            }
            _ => {}
        }
    }
    // The probe finds the unit that the serial port finished.
    let again = run(&bench, &unit);
    assert!(again.already);
    assert_eq!(assert_passed(&bench, &unit, &again, "probe"), pin);
    assert_eq!(
        unit.counters().unwrap().resets,
        3,
        "over serial, to start the agent, before the proof"
    );
}

#[test]
fn a_key_that_is_there_is_taken_over_serial() {
    let unit = unit_with_agent();
    let first = bench(Product {
        lock_policy: LockPolicy::Open,
        ..product()
    });
    let event = first.run_target(over_serial(&unit), None);
    let pin = assert_passed(&first, &unit, &event, "on-device");
    let second = bench(Product {
        key_policy: KeyPolicy::Existing,
        ..product()
    });
    let event = second.run_target(over_serial(&unit), None);
    assert_eq!(
        assert_passed(&second, &unit, &event, "existing").public_key,
        pin.public_key
    );
}

#[test]
fn a_key_of_the_station_does_not_travel_over_serial() {
    let mut bench = bench(Product {
        key_policy: KeyPolicy::Station,
        ..product()
    });
    bench.keys = station_keys();
    let unit = unit_with_agent();
    let flash = raw_flash(&unit);
    let event = bench.run_target(over_serial(&unit), None);
    assert_failed(&event, &[FailureCode::LinkUnsuitable], "serial");
    let message = event.error.unwrap().message;
    assert!(
        message.contains("expected a probe") && message.contains("serial"),
        "{message}"
    );
    assert!(raw_flash(&unit) == flash, "nothing was written");
    let event = run(&bench, &unit);
    assert_passed(&bench, &unit, &event, "over its probe");
}

#[test]
fn a_silent_line_fails_with_words_and_the_next_run_passes() {
    let bench = bench(product());
    let unit = bare_unit();
    assert_failed(
        &bench.run_target(over_serial(&unit), None),
        &LOST,
        "no agent on the chip",
    );
    let unit = unit_with_agent();
    unit.serial_cable(false).unwrap();
    assert_failed(
        &bench.run_target(over_serial(&unit), None),
        &LOST,
        "no cable",
    );
    assert!(flash::key(&raw_flash(&unit)).is_none());
    unit.serial_cable(true).unwrap();
    let event = bench.run_target(over_serial(&unit), None);
    assert_passed(&bench, &unit, &event, "the cable is back");
}
