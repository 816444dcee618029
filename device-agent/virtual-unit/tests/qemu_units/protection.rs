//! Read-back protection as the emulated probe models it.

use probe_rs::MemoryInterface;

use crate::programs::{COUNTER, counter};
use crate::support::{LIMIT, attach, running, until, word};
use keyline_virtual_unit::qemu::Unit;

const CONFIG: u64 = 0x4001_E504;
const ERASE_ALL: u64 = 0x4001_E50C;
const PROTECTION: u64 = 0x1000_1004;

fn lock(unit: &Unit) {
    let mut session = attach(unit);
    let mut core = session.core(0).unwrap();
    core.write_word_32(CONFIG, 1).unwrap();
    core.write_word_32(PROTECTION, 0xFFFF_00FF).unwrap();
    core.write_word_32(CONFIG, 0).unwrap();
    assert_eq!(word(&mut core, 0), 0x2000_4000, "open until the reset");
    core.reset().unwrap();
}

/// Each fault leaves the sticky flag set, so each address is tried by a session of its own.
fn refused(unit: &Unit, address: u64) -> bool {
    let mut session = attach(unit);
    session.core(0).unwrap().read_word_32(address).is_err()
}

#[test]
fn protection_holds_from_the_reset_on_and_over_power_cycles() {
    let unit = running(counter());
    lock(&unit);
    for round in 0..2 {
        for address in [0, COUNTER, 0x1000_0060, PROTECTION] {
            assert!(
                refused(&unit, address),
                "round {round}: {address:#x} is open"
            );
        }
        unit.power_cycle().unwrap();
    }
    let user = unit.read_user_registers().unwrap();
    assert_eq!(user[4..8], [0xFF, 0x00, 0xFF, 0xFF]);
    assert_eq!(unit.read_flash(0..0x10C).unwrap(), counter()[..0x10C]);
}

#[test]
fn a_refused_write_changes_nothing() {
    let unit = running(counter());
    lock(&unit);
    let mut session = attach(&unit);
    let mut core = session.core(0).unwrap();
    core.write_word_32(CONFIG, 2).unwrap();
    core.write_word_32(0x4001_E508, 0).unwrap();
    assert_eq!(
        unit.read_flash(0..0x10C).unwrap(),
        counter()[..0x10C],
        "a page was erased"
    );
}

#[test]
fn the_core_can_still_be_stopped_as_on_silicon() {
    let unit = running(counter());
    lock(&unit);
    let mut session = attach(&unit);
    let mut core = session.core(0).unwrap();
    core.halt(LIMIT).unwrap();
    let pc: u32 = core.read_core_reg(core.program_counter()).unwrap();
    assert!((0x100..0x10C).contains(&pc), "{pc:#x}");
}

#[test]
fn erasing_all_opens_an_empty_chip() {
    let unit = running(counter());
    lock(&unit);
    let mut session = attach(&unit);
    let mut core = session.core(0).unwrap();
    core.write_word_32(CONFIG, 2).unwrap();
    core.write_word_32(ERASE_ALL, 1).unwrap();
    core.write_word_32(CONFIG, 0).unwrap();
    assert_eq!(word(&mut core, 0), 0xFFFF_FFFF);
    assert_eq!(word(&mut core, PROTECTION), 0xFFFF_FFFF);
    let user = unit.read_user_registers().unwrap();
    assert!(user.iter().all(|byte| *byte == 0xFF));
}

#[test]
fn attaching_does_not_erase_and_the_sticky_error_can_be_cleared() {
    let unit = running(counter());
    lock(&unit);
    let mut session = attach(&unit);
    session.core(0).unwrap().read_word_32(0).unwrap_err();
    let interface = session.get_arm_interface().unwrap();
    let port = probe_rs::architecture::arm::dp::DpAddress::Default;
    let abort = probe_rs::architecture::arm::dp::DpRegisterAddress {
        address: 0,
        bank: None,
    };
    interface
        .write_raw_dp_register(port, abort, 1 << 2)
        .unwrap();
    let mut core = session.core(0).unwrap();
    assert_eq!(
        word(&mut core, 0x4001_E400),
        1,
        "the flash controller is ready"
    );
    until("the program still runs", || {
        core.status().unwrap().is_running()
    });
    assert_eq!(unit.read_flash(0..0x10C).unwrap(), counter()[..0x10C]);
}
