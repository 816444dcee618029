//! What stands in a fixture that can't be worked with is told apart, and nothing is written to it.

use keyline_station::event::{Summary, UnitEvent};
use keyline_station::exit::ExitCode;
use keyline_station::line::{LineError, Presented};
use keyline_station::link::{ProbeTarget, Target};
use keyline_station::record::{Failure, FailureCode};
use keyline_virtual_unit::qemu::{ChipModel, Unit, UnitOptions};

use rand::Rng as _;

use crate::common::{Bench, product};
use crate::fixture::{
    PLATFORM, assert_failed, assert_passed, bare_unit, bench, options, over_probe, raw_flash, run,
    seeded, start, station_for,
};

fn run_to_the_end(bench: &Bench, unit: &Unit) -> (UnitEvent, Summary, Result<(), LineError>) {
    let presented = Presented {
        target: over_probe(unit),
        serial: None,
    };
    let (mut ended, summary, result) = bench.run_all(vec![presented]);
    (ended.pop().unwrap(), summary, result)
}

/// It is the station's trouble, not the unit's: the line stops with exit code 3.
fn assert_line_stopped(bench: &Bench, unit: &Unit, expected: FailureCode) {
    let (event, summary, result) = run_to_the_end(bench, unit);
    assert_failed(&event, &[expected], expected.name());
    assert_eq!(summary.exit_code, ExitCode::NotReady);
    assert!(
        matches!(&result, Err(LineError::NotReady(Failure { code, .. })) if *code == expected),
        "{result:?}"
    );
}

#[test]
fn a_probe_that_another_program_has_is_busy_and_that_program_is_not_disturbed() {
    let bench = bench(product());
    let unit = bare_unit();
    let mut other = ProbeTarget::new(unit.selector());
    other.attach(PLATFORM).unwrap();
    assert_line_stopped(&bench, &unit, FailureCode::ProbeBusy);
    let word = other.read_memory(0, 4).unwrap().unwrap();
    assert_eq!(word, [0xff; 4], "the other program still has its session");
    other.detach();
    let event = run(&bench, &unit);
    assert_passed(&bench, &unit, &event, "the probe is free again");
}

#[test]
fn a_probe_that_is_not_there_is_not_found() {
    let bench = bench(product());
    let unit = bare_unit();
    unit.probe(false).unwrap();
    assert_line_stopped(&bench, &unit, FailureCode::ProbeNotFound);
    unit.probe(true).unwrap();
    let event = run(&bench, &unit);
    assert_passed(&bench, &unit, &event, "the probe is back");
}

#[test]
fn a_fixture_without_a_unit_or_without_power_has_no_unit() {
    let bench = bench(product());
    let unit = bare_unit();
    unit.cable(false).unwrap();
    let (event, summary, result) = run_to_the_end(&bench, &unit);
    assert_failed(&event, &[FailureCode::UnitNotConnected], "no cable");
    assert!(result.is_ok());
    assert_eq!(summary.exit_code, ExitCode::UnitsFailed);
    unit.cable(true).unwrap();
    unit.power_off().unwrap();
    assert_failed(
        &run(&bench, &unit),
        &[FailureCode::UnitNotConnected],
        "no power",
    );
    unit.power_on().unwrap();
    let event = run(&bench, &unit);
    assert_passed(&bench, &unit, &event, "cable and power");
}

#[test]
fn a_wrong_chip_is_refused_and_nothing_is_written() {
    for chip in [ChipModel::nrf52832_lookalike(), ChipModel::nrf51822_xxab()] {
        let bench = bench(product());
        let name = chip.name;
        let unit = start(UnitOptions { chip, ..options() });
        let (flash, registers) = (raw_flash(&unit), unit.read_user_registers().unwrap());
        let event = run(&bench, &unit);
        assert_failed(&event, &[FailureCode::WrongChip], name);
        assert!(event.error.unwrap().message.contains("expected a nrf51822"));
        assert!(raw_flash(&unit) == flash, "{name}: flash is as it was");
        assert_eq!(unit.read_user_registers().unwrap(), registers, "{name}");
    }
}

#[test]
fn a_chip_with_somebody_elses_program_is_taken_and_with_a_bootloader_in_the_way_refused() {
    let mut noise = vec![0; 0x1_0000];
    seeded().1.fill_bytes(&mut noise);
    let bench = bench(product());
    let used = start(UnitOptions {
        flash: noise.clone(),
        ..options()
    });
    let event = run(&bench, &used);
    assert_passed(&bench, &used, &event, "a used chip");

    let occupied = start(UnitOptions {
        flash: noise,
        bootloader_address: Some(0x3_a000),
        ..options()
    });
    let flash = raw_flash(&occupied);
    let event = run(&bench, &occupied);
    assert_failed(
        &event,
        &[FailureCode::LayoutConflict],
        "a bootloader in the way",
    );
    assert!(raw_flash(&occupied) == flash, "nothing was written");
}

#[test]
fn the_command_tells_a_missing_probe_from_a_missing_unit() {
    let unit = bare_unit();
    let station = station_for(&unit, "on-device");
    let provision = |code: i32, expected: Option<FailureCode>| {
        let ran = station.run(&["provision", "--order", "WO-1"]);
        assert_eq!(ran.code, code, "{:?} {}", ran.lines, ran.words);
        assert_eq!(ran.summary()["passed"], u64::from(expected.is_none()));
        let ended = ran.all("unit").pop().unwrap().clone();
        let told = ended["error"]["code"].as_str();
        assert_eq!(told, expected.map(FailureCode::name), "{ended}");
    };
    unit.probe(false).unwrap();
    provision(3, Some(FailureCode::ProbeNotFound));
    unit.probe(true).unwrap();
    let mut other = ProbeTarget::new(unit.selector());
    other.attach(PLATFORM).unwrap();
    provision(3, Some(FailureCode::ProbeBusy));
    other.detach();
    unit.cable(false).unwrap();
    provision(1, Some(FailureCode::UnitNotConnected));
    unit.cable(true).unwrap();
    provision(0, None);
}
