//! Flash: programmed by probe-rs' own algorithm, kept through every loss of power.

use keyline_virtual_unit::qemu::Unit;
use probe_rs::flashing::DownloadOptions;
use probe_rs::{MemoryInterface, Session};
use rustix::process::{Pid, Signal, kill_process};

use crate::programs::{COUNTER, WRITTEN, counter, flash_writer};
use crate::support::{attach, empty, running, until, word};

pub(crate) fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|n| (n * 31 % 253) as u8).collect()
}

pub(crate) fn program(session: &mut Session, address: u64, bytes: &[u8]) {
    let mut loader = session.target().flash_loader();
    loader.add_data(address, bytes).unwrap();
    let mut options = DownloadOptions::default();
    options.verify = true;
    loader.commit(session, options).unwrap();
}

fn kill(unit: &Unit) {
    let process = i32::try_from(unit.emulator_process().unwrap()).unwrap();
    kill_process(Pid::from_raw(process).unwrap(), Signal::KILL).unwrap();
    until("the loss is noticed", || !unit.powered().unwrap());
}

fn written_words(unit: &Unit) -> Vec<u32> {
    let bytes = unit.read_flash(WRITTEN..WRITTEN + 0x4000).unwrap();
    bytes
        .chunks_exact(4)
        .map(|word| u32::from_le_bytes(word.try_into().unwrap()))
        .take_while(|word| *word != u32::MAX)
        .collect()
}

#[test]
fn an_empty_chip_is_programmed_verified_and_runs() {
    let unit = empty(1);
    let mut session = attach(&unit);
    let image = counter();
    program(&mut session, 0, &image);
    program(&mut session, 0x4000, &pattern(3000));
    let mut core = session.core(0).unwrap();
    core.reset().unwrap();
    until("the program runs", || word(&mut core, COUNTER) > 10);
    assert_eq!(
        unit.read_flash(0x4000..0x4000 + 3000).unwrap(),
        pattern(3000)
    );
}

#[test]
fn a_power_cycle_keeps_flash_and_forgets_ram() {
    let unit = empty(1);
    let mut session = attach(&unit);
    program(&mut session, 0x1000, &pattern(2048));
    session
        .core(0)
        .unwrap()
        .write_word_32(0x2000_0800, 77)
        .unwrap();
    drop(session);
    unit.power_cycle().unwrap();
    let mut session = attach(&unit);
    let mut core = session.core(0).unwrap();
    let mut read = vec![0; 2048];
    core.read(0x1000, &mut read).unwrap();
    assert_eq!(read, pattern(2048));
    assert_eq!(word(&mut core, 0x2000_0800), 0);
}

#[test]
fn a_killed_emulator_is_a_power_cut_that_keeps_flash() {
    let unit = empty(1);
    let mut session = attach(&unit);
    program(&mut session, 0x1000, &pattern(2048));
    kill(&unit);
    session
        .core(0)
        .map(|mut core| core.read_word_32(0x1000).unwrap_err())
        .ok();
    drop(session);
    unit.power_on().unwrap();
    assert_eq!(unit.read_flash(0x1000..0x1800).unwrap(), pattern(2048));
    let mut session = attach(&unit);
    let mut read = vec![0; 2048];
    session.core(0).unwrap().read(0x1000, &mut read).unwrap();
    assert_eq!(read, pattern(2048));
}

#[test]
fn what_was_seen_in_flash_survives_a_kill_while_the_program_writes() {
    let unit = running(flash_writer());
    let mut session = attach(&unit);
    let mut core = session.core(0).unwrap();
    let seen = word(&mut core, u64::from(WRITTEN) + 40);
    drop(core);
    kill(&unit);
    let kept = written_words(&unit);
    assert!(kept.iter().copied().eq(0..kept.len() as u32), "{kept:?}");
    assert!(
        seen == u32::MAX || kept.len() > 10,
        "seen {seen:#x}, kept {}",
        kept.len()
    );
}

#[test]
fn the_power_goes_after_exactly_the_write_that_was_asked_for() {
    for writes in [1, 2, 7] {
        let unit = empty(1);
        let mut session = attach(&unit);
        program(&mut session, 0, &flash_writer());
        unit.power_off_after_flash_writes(Some(writes)).unwrap();
        let mut core = session.core(0).unwrap();
        // The power may go before the reset is over.
        let _ = core.reset();
        until("the power goes", || !unit.powered().unwrap());
        assert!(written_words(&unit).iter().copied().eq(0..writes as u32));
    }
}

#[test]
fn a_debuggers_own_flash_writes_count_too() {
    let unit = empty(1);
    let mut session = attach(&unit);
    let mut core = session.core(0).unwrap();
    core.write_word_32(0x4001_E504, 1).unwrap();
    unit.power_off_after_flash_writes(Some(2)).unwrap();
    core.write_word_32(0x1000, 1).unwrap();
    assert!(unit.powered().unwrap());
    let _ = core.write_word_32(0x1004, 2);
    assert!(!unit.powered().unwrap());
    let kept = unit.read_flash(0x1000..0x100C).unwrap();
    assert_eq!(kept, [1, 0, 0, 0, 2, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF]);
}

#[test]
fn flash_beyond_the_chip_is_refused_with_its_size() {
    let unit = empty(1);
    let error = unit.read_flash(0x3FFFC..0x40004).unwrap_err();
    assert_eq!(
        error.to_string(),
        "flash range 0x3fffc..0x40004 expected inside 0..0x40000, the flash of this chip"
    );
}
