//! `keyline-virtual-unit`: emulated units on the loopback interface, for any tool that speaks through probe-rs.

use std::io::{Read, Write};
use std::process::ExitCode;
use std::thread;

use clap::Parser;
use keyline_virtual_unit::qemu::{ChipModel, Unit, UnitError, UnitOptions, available};
use serde_json::json;

/// Starts emulated nRF51822 units, each behind a debug probe of its own.
///
/// Prints a line for each unit: the probe's selector for probe-rs tools, the path of its serial port, its device id. Runs
/// until standard input closes, or until it is told to end (Ctrl-C, SIGTERM); then every unit ends with it.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Example:\n  keyline-virtual-unit --units 2 --port 7700 --keep-running &\n  probe-rs info --probe 20b7:9db1:tcp:127.0.0.1:7700 --protocol swd"
)]
struct Arguments {
    /// How many units to start.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    units: u16,
    /// The first unit's TCP port on 127.0.0.1; the others follow. 0: any free ports.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// The units' device ids, 16 hex digits each, as a debugger reads them from memory; units without one are numbered.
    #[arg(long = "id", value_name = "HEX", value_parser = parse_id)]
    ids: Vec<[u8; 8]>,
    /// The kind of chip.
    #[arg(long, value_enum, default_value_t = Chip::Xxaa)]
    chip: Chip,
    /// A raw image that flash holds from address 0 on; without one the chips are empty.
    #[arg(long, value_name = "FILE")]
    flash: Option<std::path::PathBuf>,
    /// The lines are JSON objects.
    #[arg(long)]
    json: bool,
    /// Do not end when standard input closes.
    #[arg(long)]
    keep_running: bool,
    /// Only check whether units can run here, and say what to install.
    #[arg(long)]
    check: bool,
}

/// The kinds of chip by the names that the command line has for them.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Chip {
    /// nRF51822, 256 KiB flash, 16 KiB RAM.
    #[value(name = "nrf51822-xxaa")]
    Xxaa,
    /// nRF51822, 128 KiB flash, 16 KiB RAM.
    #[value(name = "nrf51822-xxab")]
    Xxab,
    /// nRF51822, 256 KiB flash, 32 KiB RAM.
    #[value(name = "nrf51822-xxac")]
    Xxac,
    /// Looks like an nRF52832 from outside; to be refused.
    #[value(name = "nrf52832-lookalike")]
    Lookalike,
}

impl Chip {
    fn model(self) -> ChipModel {
        match self {
            Self::Xxaa => ChipModel::nrf51822_xxaa(),
            Self::Xxab => ChipModel::nrf51822_xxab(),
            Self::Xxac => ChipModel::nrf51822_xxac(),
            Self::Lookalike => ChipModel::nrf52832_lookalike(),
        }
    }
}

/// Why the program ends with a failure.
#[derive(Debug, thiserror::Error)]
enum ProgramError {
    /// A unit did not start.
    #[error("the units could not be started")]
    Unit(#[from] UnitError),
    /// The image could not be read.
    #[error("the image `{path}` could not be read")]
    Image {
        /// The file that was named.
        path: std::path::PathBuf,
        /// What the operating system said.
        #[source]
        source: std::io::Error,
    },
    /// There are not so many ports.
    #[error("unit {number} would need port {port}: expected at most 65535; choose a lower --port")]
    Port {
        /// Which unit, from 0.
        number: u16,
        /// The port that it would get.
        port: u32,
    },
    /// Standard output is closed.
    #[error("the units' addresses could not be printed")]
    Output(#[source] std::io::Error),
}

fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .init();
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let mut message = format!("keyline-virtual-unit: {error}");
            let mut source = std::error::Error::source(&error);
            while let Some(cause) = source {
                message = format!("{message}: {cause}");
                source = cause.source();
            }
            // With standard error closed there is nobody to tell.
            let _ = writeln!(std::io::stderr(), "{message}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), ProgramError> {
    let version = available()?;
    if arguments.check {
        return print(&format!("QEMU {version} is here: units can run."));
    }
    let units = start(arguments)?;
    for unit in &units {
        print(&describe(unit, arguments.json))?;
    }
    if arguments.keep_running {
        // A signal ends the process, and the emulators with it.
        loop {
            thread::park();
        }
    }
    // Whatever comes is ignored; the end of it is the end of the units.
    let mut ignored = [0; 256];
    let mut input = std::io::stdin().lock();
    while matches!(input.read(&mut ignored), Ok(count) if count > 0) {}
    drop(units);
    Ok(())
}

fn start(arguments: &Arguments) -> Result<Vec<Unit>, ProgramError> {
    let flash = match &arguments.flash {
        Some(path) => std::fs::read(path).map_err(|source| ProgramError::Image {
            path: path.clone(),
            source,
        })?,
        None => Vec::new(),
    };
    (0..arguments.units)
        .map(|number| {
            let numbered = (0x4B45_594C_0000_0001 + u64::from(number)).to_be_bytes();
            let id = arguments.ids.get(usize::from(number)).copied();
            let mut options = UnitOptions::new(id.unwrap_or(numbered));
            options.chip = arguments.chip.model();
            options.flash.clone_from(&flash);
            options.port = port(arguments.port, number)?;
            Ok(Unit::start(options)?)
        })
        .collect()
}

fn port(first: u16, number: u16) -> Result<u16, ProgramError> {
    if first == 0 {
        return Ok(0);
    }
    let port = u32::from(first) + u32::from(number);
    u16::try_from(port).map_err(|_| ProgramError::Port { number, port })
}

fn describe(unit: &Unit, as_json: bool) -> String {
    let id = format!("{:016x}", u64::from_be_bytes(unit.device_id()));
    let serial = unit.serial_path().display().to_string();
    if as_json {
        json!({"probe": unit.selector(), "serial": serial, "device_id": id}).to_string()
    } else {
        format!("{}  {serial}  {id}", unit.selector())
    }
}

/// Prints a line now: whoever started this waits for it.
fn print(line: &str) -> Result<(), ProgramError> {
    let mut output = std::io::stdout().lock();
    writeln!(output, "{line}")
        .and_then(|()| output.flush())
        .map_err(ProgramError::Output)
}

fn parse_id(text: &str) -> Result<[u8; 8], String> {
    u64::from_str_radix(text, 16)
        .ok()
        .filter(|_| text.len() == 16)
        .map(u64::to_be_bytes)
        .ok_or_else(|| format!("expected 16 hex digits, got `{text}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_sixteen_digits() {
        assert_eq!(parse_id("0102030405060708"), Ok([1, 2, 3, 4, 5, 6, 7, 8]));
        assert!(parse_id("01").is_err());
        assert!(parse_id("+102030405060708x").is_err());
    }

    #[test]
    fn ports_end_at_65535() {
        assert_eq!(port(0, 3).unwrap(), 0);
        assert_eq!(port(7700, 3).unwrap(), 7703);
        assert!(port(65_535, 1).is_err());
    }
}
