//! What a unit costs on an nRF51822, counted on an emulated one: instructions, cycles of a Cortex-M0, milliseconds at 16 MHz, stack.
//!
//! `cargo run -p keyline-firmware-bench [IMAGES]`: a table, and one line of JSON at the end. Nothing here runs on silicon: cycles come from the
//! core's manual, waiting for flash and for the generator from the chip's.

use std::path::Path;
use std::process::ExitCode;
use std::thread::sleep;
use std::time::Duration;

use keyline_agent::START_UP_SAMPLES;
use keyline_agent::layout::NRF51822;
use keyline_firmware_bench::BenchError;
use keyline_firmware_bench::job::{Job, Watch};
use keyline_firmware_bench::link::Serial;
use keyline_firmware_bench::machine::{Executed, Image, Machine};

/// Microseconds a raw byte of the generator (nRF51822 Product Specification v3.4, 8.17).
const GENERATOR_BYTE_US: u64 = 677;

/// Raw bytes of one draw (keyline-agent, generator).
const DRAW_BYTES: u64 = 96;

/// Microseconds a page erase and a word write take at most (nRF51822 Product Specification v3.4, 8.22).
const PAGE_ERASE_US: u64 = 22_300;
const WORD_WRITE_US: u64 = 46;

/// Pages that are erased for a key and its record, at most.
const PAGES_ERASED: u64 = 5;

/// Long enough that the agent sleeps, so that what it does next is counted alone.
const SETTLE: Duration = Duration::from_millis(20);

/// What the unit of the figure is made of.
const UNIT: [&str; 8] = [
    "hello",
    "identify",
    "generate key",
    "prove possession",
    "inject",
    "reset",
    "hello",
    "prove",
];

struct Row {
    request: &'static str,
    executed: Executed,
    busy_ms: u32,
}

struct Counting<'m> {
    machine: &'m Machine,
    before: Executed,
    rows: Vec<Row>,
}

impl Watch for Counting<'_> {
    fn before(&mut self, _: &'static str) {
        sleep(SETTLE);
        self.before = self.machine.executed().unwrap_or_default();
    }

    fn after(&mut self, request: &'static str, busy_ms: u32) {
        let now = self.machine.executed().unwrap_or_default();
        self.rows.push(Row {
            request,
            executed: now.since(self.before),
            busy_ms,
        });
    }
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprint!("error: {error}");
            let mut cause = std::error::Error::source(&error);
            while let Some(error) = cause {
                eprint!(": {error}");
                cause = error.source();
            }
            eprintln!();
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), BenchError> {
    let image = Image::read(&std::env::args().nth(1).map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../images"),
        Into::into,
    ))?;
    let mut machine = Machine::start(&image, true)?;
    let mut counting = Counting {
        machine: &machine,
        before: Executed::default(),
        rows: Vec::new(),
    };
    let mut job = Job::new(Serial::open(&machine)?, &mut counting);
    let unit = job.provision()?;
    job.inject_credentials(&unit)?;
    job.seal_and_authorise(&unit)?;
    let rows = counting.rows;
    let words = written_words(&machine.flash()?);
    let (stack_used, stack_length) = machine.stack(&image)?;

    println!(
        "{:22} {:>12} {:>12} {:>8} {:>10}",
        "request", "instructions", "cycles", "ms", "announced"
    );
    for row in &rows {
        println!(
            "{:22} {:>12} {:>12} {:>8} {:>10}",
            row.request,
            row.executed.instructions,
            row.executed.cycles,
            row.executed.milliseconds(),
            row.busy_ms
        );
    }
    let computing_ms: u64 = rows
        .iter()
        .zip(UNIT)
        .map(|(row, expected)| {
            debug_assert_eq!(row.request, expected, "the job begins with a unit");
            row.executed.milliseconds()
        })
        .sum();
    let generator_ms = (u64::from(START_UP_SAMPLES) + DRAW_BYTES) * GENERATOR_BYTE_US / 1000;
    let flash_ms = (PAGES_ERASED * PAGE_ERASE_US + words * WORD_WRITE_US) / 1000;
    let unit_ms = computing_ms + generator_ms + flash_ms;
    println!(
        "a P-256 unit made on the device: {computing_ms} ms computing, {generator_ms} ms generator, {flash_ms} ms flash: {unit_ms} ms"
    );
    println!(
        "worst stack {stack_used} of {stack_length} bytes; image {} bytes",
        image.bytes.len()
    );
    println!(
        "{}",
        serde_json::json!({
            "bench": "firmware.nrf51822", "modelled": true, "unit_ms": unit_ms, "computing_ms": computing_ms,
            "generator_ms": generator_ms, "flash_ms": flash_ms, "stack_bytes": stack_used, "image_bytes": image.bytes.len(),
        })
    );
    Ok(())
}

/// Words in the agent's areas that are not erased.
fn written_words(flash: &[u8]) -> u64 {
    let areas = NRF51822.start() as usize..NRF51822.end() as usize;
    let written = flash[areas].chunks(4).filter(|word| *word != [0xFF; 4]);
    written.count() as u64
}
