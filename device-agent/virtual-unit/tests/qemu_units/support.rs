//! Fixtures: a unit, a session, a core.

use std::time::{Duration, Instant};

use keyline_virtual_unit::qemu::{Unit, UnitOptions, available};
use probe_rs::probe::list::Lister;
use probe_rs::{Core, MemoryInterface, Permissions, Session};

/// The limit of anything that is waited for here.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

/// Options of a unit whose id ends in `number`.
pub(crate) fn options(number: u8) -> UnitOptions {
    UnitOptions::new([0xA0, 0xA1, 0xA2, 0xA3, 0xA4, 0xA5, 0xA6, number])
}

/// A unit; fails with what to install when there is no emulator.
pub(crate) fn start(options: UnitOptions) -> Unit {
    let _ = tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .try_init();
    if let Err(error) = available() {
        panic!("these tests need an emulator: {error}");
    }
    Unit::start(options).unwrap()
}

/// An empty unit.
pub(crate) fn empty(number: u8) -> Unit {
    start(options(number))
}

/// A unit that runs this program.
pub(crate) fn running(program: Vec<u8>) -> Unit {
    start(UnitOptions {
        flash: program,
        ..options(1)
    })
}

/// Opens the unit's probe with unmodified probe-rs.
pub(crate) fn try_attach(unit: &Unit) -> Result<Session, probe_rs::Error> {
    let selector: probe_rs::probe::DebugProbeSelector = unit.selector().parse().unwrap();
    let probe = Lister::new().open(selector)?;
    probe.attach("nRF51822_xxAA", Permissions::default())
}

/// Opens the unit's probe, which must work.
pub(crate) fn attach(unit: &Unit) -> Session {
    try_attach(unit).unwrap()
}

/// Reads a word of the target, which must work.
pub(crate) fn word(core: &mut Core<'_>, address: u64) -> u32 {
    core.read_word_32(address).unwrap()
}

/// Asks until the answer is yes.
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < LIMIT, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}
