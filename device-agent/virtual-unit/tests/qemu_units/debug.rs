//! What a debugger does all day: attach, look, halt, step, break, reset.

use keyline_virtual_unit::qemu::{ChipModel, UnitOptions};
use probe_rs::probe::ProbeFactory;
use probe_rs::probe::glasgow::GlasgowFactory;
use probe_rs::{BreakpointCause, CoreStatus, HaltReason, MemoryInterface};

use crate::programs::{COUNTER, counter, resetter};
use crate::support::{LIMIT, attach, empty, options, running, start, until, word};

#[test]
fn units_side_by_side_have_their_own_ids() {
    let units = [empty(1), empty(2)];
    for (unit, number) in units.iter().zip(1..) {
        let mut session = attach(unit);
        let mut core = session.core(0).unwrap();
        let mut id = [0; 8];
        core.read(0x1000_0060, &mut id).unwrap();
        assert_eq!(id, [0xA0, 0xA1, 0xA2, 0xA3, 0xA4, 0xA5, 0xA6, number]);
        assert_eq!(word(&mut core, 0x1000_0014), 256);
    }
}

#[test]
fn factory_information_tells_the_kind_of_chip() {
    let unit = start(UnitOptions {
        chip: ChipModel::nrf51822_xxac(),
        ..options(1)
    });
    let mut session = attach(&unit);
    let mut core = session.core(0).unwrap();
    assert_eq!(word(&mut core, 0x1000_005C) & 0xFFFF, 0x0083);
    assert_eq!(word(&mut core, 0x1000_0034), 4, "RAM blocks of 8 KiB");
    core.write_word_32(0x2000_7FFC, 0x0102_0304).unwrap();
    assert_eq!(word(&mut core, 0x2000_7FFC), 0x0102_0304);
}

#[test]
fn memory_is_read_and_written_in_every_width_without_halting() {
    let unit = running(counter());
    let mut session = attach(&unit);
    let mut core = session.core(0).unwrap();
    let written: Vec<u8> = (0..2100_u32).map(|n| (n * 7 % 251) as u8).collect();
    core.write(0x2000_0401, &written).unwrap();
    let mut read = vec![0; written.len()];
    core.read(0x2000_0401, &mut read).unwrap();
    assert_eq!(read, written);
    core.write_word_16(0x2000_0802, 0xBEEF).unwrap();
    assert_eq!(core.read_word_16(0x2000_0802).unwrap(), 0xBEEF);
    assert_eq!(core.status().unwrap(), CoreStatus::Running);
    let first = word(&mut core, COUNTER);
    until("the counter moves on", || word(&mut core, COUNTER) != first);
}

#[test]
fn the_core_halts_steps_breaks_and_runs() {
    let unit = running(counter());
    let mut session = attach(&unit);
    let mut core = session.core(0).unwrap();
    core.halt(LIMIT).unwrap();
    let stopped = word(&mut core, COUNTER);
    assert_eq!(word(&mut core, COUNTER), stopped);

    core.set_hw_breakpoint(0x106).unwrap();
    core.run().unwrap();
    core.wait_for_core_halted(LIMIT).unwrap();
    assert_eq!(
        core.status().unwrap(),
        CoreStatus::Halted(HaltReason::Breakpoint(BreakpointCause::Unknown))
    );
    let pc: u32 = core.read_core_reg(core.program_counter()).unwrap();
    assert_eq!(pc, 0x106);

    core.write_core_reg(probe_rs::RegisterId(1), 0x1234_u32)
        .unwrap();
    core.clear_hw_breakpoint(0x106).unwrap();
    let after = core.step().unwrap();
    assert_eq!(after.pc, 0x108);
    assert_eq!(word(&mut core, COUNTER), 0x1234);
    core.run().unwrap();
    until("the counter moves on", || word(&mut core, COUNTER) > 0x1234);
}

#[test]
fn a_reset_is_caught_at_the_first_instruction() {
    let unit = running(counter());
    let mut session = attach(&unit);
    let mut core = session.core(0).unwrap();
    let information = core.reset_and_halt(LIMIT).unwrap();
    assert_eq!(information.pc, 0x100);
    assert_eq!(unit.counters().unwrap().resets, 1);
    core.reset().unwrap();
    until("the program runs again", || word(&mut core, COUNTER) > 10);
}

#[test]
fn a_program_that_resets_itself_finds_its_user_registers_again() {
    let unit = start(UnitOptions {
        flash: resetter(),
        customer_words: vec![(3, 0xCAFE_F00D)],
        bootloader_address: Some(0x0003_C000),
        ..options(1)
    });
    let mut session = attach(&unit);
    let mut core = session.core(0).unwrap();
    until("it has come round five times", || {
        word(&mut core, COUNTER) > 5
    });
    assert_eq!(word(&mut core, 0x1000_108C), 0xCAFE_F00D);
    assert_eq!(word(&mut core, 0x1000_1014), 0x0003_C000);
    assert!(unit.counters().unwrap().resets > 4);
}

#[test]
fn an_empty_chip_reports_a_lockup_and_can_be_halted() {
    let unit = empty(1);
    let mut session = attach(&unit);
    let mut core = session.core(0).unwrap();
    assert_eq!(core.status().unwrap(), CoreStatus::LockedUp);
    core.halt(LIMIT).unwrap();
    assert!(core.status().unwrap().is_halted());
    assert_eq!(word(&mut core, 0), 0xFFFF_FFFF);
}

#[test]
fn a_program_that_crashes_is_a_lockup_and_no_end_of_the_emulator() {
    let mut program = counter();
    program[0x100..0x102].copy_from_slice(&0xDE00_u16.to_le_bytes());
    program[0x0C..0x10].copy_from_slice(&0xFFFF_FFFF_u32.to_le_bytes());
    let unit = running(program.clone());
    let mut session = attach(&unit);
    let mut core = session.core(0).unwrap();
    until("the lockup shows", || {
        core.status().unwrap() == CoreStatus::LockedUp
    });
    assert_eq!(unit.read_flash(0..program.len() as u32).unwrap(), program);
    assert!(unit.powered().unwrap());
}

#[test]
fn where_nothing_is_a_fault_is_answered_and_a_new_session_recovers() {
    let unit = empty(1);
    let mut session = attach(&unit);
    let mut core = session.core(0).unwrap();
    core.read_word_32(0x3000_0000).unwrap_err();
    drop(core);
    drop(session);
    let mut session = attach(&unit);
    assert_eq!(word(&mut session.core(0).unwrap(), 0x1000_0010), 1024);
}

#[test]
fn a_wrong_chip_looks_wrong() {
    let unit = start(UnitOptions {
        chip: ChipModel::nrf52832_lookalike(),
        ..options(1)
    });
    let mut session = attach(&unit);
    let mut core = session.core(0).unwrap();
    assert_eq!(word(&mut core, 0x1000_0100), 0x0005_2832);
    assert_eq!(word(&mut core, 0x1000_0010), 4096);
}

#[test]
fn a_second_client_is_refused_at_once_and_the_first_goes_on() {
    let unit = empty(1);
    let mut session = attach(&unit);
    // The lister would show the error of whichever driver it asked last.
    let selector = unit.selector().parse().unwrap();
    let error = GlasgowFactory.open(&selector).unwrap_err();
    let shown = format!("{error:?}");
    assert!(shown.contains("probe in use"), "{shown}");
    assert_eq!(word(&mut session.core(0).unwrap(), 0x1000_0010), 1024);
    drop(session);
    attach(&unit);
}

#[test]
fn counters_count_what_a_wire_would_carry() {
    let unit = empty(1);
    let mut session = attach(&unit);
    let mut core = session.core(0).unwrap();
    core.read_word_32(0x2000_0000).unwrap();
    unit.reset_counters().unwrap();
    let mut words = [0; 64];
    core.read_32(0x2000_0000, &mut words).unwrap();
    let counted = unit.counters().unwrap();
    assert_eq!((counted.words_read, counted.words_written), (64, 0));
    assert!(
        counted.transfers >= 65 && counted.transfers < 75,
        "{counted:?}"
    );
    assert!(counted.round_trips <= 6, "{counted:?}");
    let sum = counted.dp_reads + counted.dp_writes + counted.ap_reads + counted.ap_writes;
    assert_eq!(sum, counted.transfers);
}
