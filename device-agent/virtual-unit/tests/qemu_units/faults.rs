//! Cables, plugs and power, in the middle of a session.

use std::fs::OpenOptions;
use std::io::{Read, Write};

use keyline_virtual_unit::qemu::{Unit, UnitError, UnitOptions};
use probe_rs::MemoryInterface;

use crate::programs::{COUNTER, counter};
use crate::support::{attach, empty, options, running, try_attach, until, word};

#[test]
fn a_pulled_cable_is_an_error_and_works_again_when_it_is_back() {
    let unit = running(counter());
    let mut session = attach(&unit);
    unit.cable(false).unwrap();
    session
        .core(0)
        .and_then(|mut core| core.read_word_32(COUNTER))
        .unwrap_err();
    drop(session);
    try_attach(&unit).unwrap_err();
    unit.cable(true).unwrap();
    let mut session = attach(&unit);
    let mut core = session.core(0).unwrap();
    let before = word(&mut core, COUNTER);
    until("it has run on", || word(&mut core, COUNTER) != before);
}

#[test]
fn an_unplugged_probe_is_an_error_and_no_endless_wait() {
    let unit = running(counter());
    let mut session = attach(&unit);
    unit.probe(false).unwrap();
    session
        .core(0)
        .and_then(|mut core| core.read_word_32(COUNTER))
        .unwrap_err();
    drop(session);
    try_attach(&unit).unwrap_err();
    unit.probe(true).unwrap();
    attach(&unit);
}

#[test]
fn the_power_can_go_after_a_number_of_transfers() {
    let unit = running(counter());
    let mut session = attach(&unit);
    let mut core = session.core(0).unwrap();
    unit.power_off_after_transfers(Some(20)).unwrap();
    let mut words = [0; 64];
    core.read_32(0x2000_0000, &mut words).unwrap_err();
    assert!(!unit.powered().unwrap());
    drop(core);
    drop(session);
    unit.power_on().unwrap();
    attach(&unit);
}

#[test]
fn a_unit_without_power_does_not_answer() {
    let unit = empty(1);
    unit.power_off().unwrap();
    try_attach(&unit).unwrap_err();
    unit.power_on().unwrap();
    attach(&unit);
}

#[test]
fn a_blank_chip_can_be_had_again() {
    let unit = running(counter());
    unit.make_blank().unwrap();
    assert_eq!(unit.read_flash(0..4).unwrap(), [0xFF; 4]);
}

#[test]
fn the_serial_port_carries_bytes_both_ways_and_survives_a_power_cycle() {
    let unit = running(counter());
    let mut terminal = OpenOptions::new()
        .read(true)
        .write(true)
        .open(unit.serial_path())
        .unwrap();
    for round in 0..2 {
        let mut session = attach(&unit);
        let mut core = session.core(0).unwrap();
        for (register, value) in [(0x500, 4), (0x008, 1), (0x000, 1), (0x51C, 0x4B)] {
            core.write_word_32(0x4000_2000 + register, value).unwrap();
        }
        let mut byte = [0; 1];
        terminal.read_exact(&mut byte).unwrap();
        assert_eq!(byte, *b"K", "round {round}");
        terminal.write_all(&[0x00]).unwrap();
        until("the receiver is ready", || {
            word(&mut core, 0x4000_2108) == 1
        });
        assert_eq!(word(&mut core, 0x4000_2518), 0x00);
        drop(core);
        drop(session);
        unit.power_cycle().unwrap();
    }
}

#[test]
fn a_missing_emulator_says_what_to_install() {
    let error = Unit::start(UnitOptions {
        emulator: "/nonexistent/qemu-system-arm".into(),
        ..options(1)
    })
    .unwrap_err();
    assert!(
        matches!(error, UnitError::EmulatorMissing { .. }),
        "{error:?}"
    );
    assert!(error.to_string().contains("apt-get install"), "{error}");
}

#[test]
fn sixteen_units_run_side_by_side() {
    let starting: Vec<_> = (0..16)
        .map(|number| std::thread::spawn(move || empty(number)))
        .collect();
    let units: Vec<_> = starting
        .into_iter()
        .map(|unit| unit.join().unwrap())
        .collect();
    std::thread::scope(|scope| {
        for unit in &units {
            scope.spawn(move || {
                let mut session = attach(unit);
                let mut core = session.core(0).unwrap();
                let number = u32::from(unit.device_id()[7]);
                core.write_word_32(0x2000_0000, number).unwrap();
                assert_eq!(word(&mut core, 0x1000_0064) >> 24, number);
                assert_eq!(word(&mut core, 0x2000_0000), number);
            });
        }
    });
}
