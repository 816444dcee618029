//! Emulated units, the bench that they lie on, and what every finished unit must satisfy.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use keyline_protocol::identity::{DeviceId, Platform};
use keyline_station::event::{Event, EventSink, UnitEvent};
use keyline_station::line::{Presented, Slot, UnitSource, provision};
use keyline_station::link::{AgentImage, ProbeTarget, SerialTarget, Target};
use keyline_station::record::{DeviceIdText, Evidence, FailureCode, Pin, Product, UnitState};
use keyline_station::stop::Stop;
use keyline_virtual_unit::qemu::{Unit, UnitOptions};
use rand::SeedableRng;
use rand::rngs::SmallRng;

use crate::common::Bench;
use crate::flash;
use crate::station::Station;

/// The chip that the emulator has.
pub(crate) const PLATFORM: Platform = Platform::Nrf51822;

/// The whole flash of it, in bytes.
pub(crate) const FLASH_LENGTH: u32 = 0x4_0000;

/// What a lost unit may be called: which of them depends on where the station was.
pub(crate) const LOST: [FailureCode; 3] = [
    FailureCode::ConnectionLost,
    FailureCode::UnitTimeout,
    FailureCode::UnitNotConnected,
];

/// The agent image that the station brings along.
pub(crate) fn image() -> AgentImage {
    AgentImage::for_platform(PLATFORM).unwrap()
}

/// A station that builds this product with the real agent.
pub(crate) fn bench(product: Product) -> Bench {
    Bench::with_image(product, image())
}

/// A unit's options with a chip id of its own.
pub(crate) fn options() -> UnitOptions {
    static NUMBER: AtomicU32 = AtomicU32::new(1);
    let mut id = [0; 8];
    id[..4].copy_from_slice(&NUMBER.fetch_add(1, Ordering::SeqCst).to_le_bytes());
    id[4..].copy_from_slice(&0x4b4c_0001_u32.to_le_bytes());
    UnitOptions::new(id)
}

/// Starts a unit. What the emulator has to say goes with the test's output.
pub(crate) fn start(options: UnitOptions) -> Unit {
    let filter = std::env::var("RUST_LOG").unwrap_or_else(|_| "keyline_virtual_unit=debug".into());
    // Only a process's first test can set the log up; the others find it as they want it.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .try_init();
    Unit::start(options).unwrap_or_else(|error| {
        panic!(
            "these tests need QEMU (Debian: apt-get install qemu-system-arm util-linux): {error:?}"
        )
    })
}

/// A chip as it left the factory: it locks up when it starts.
pub(crate) fn bare_unit() -> Unit {
    start(options())
}

/// A chip on which the agent lies already, and nothing else.
pub(crate) fn unit_with_agent() -> Unit {
    start(UnitOptions {
        flash: image().bytes,
        ..options()
    })
}

/// The unit over its debug probe.
pub(crate) fn over_probe(unit: &Unit) -> Box<dyn Target> {
    Box::new(ProbeTarget::new(unit.selector()))
}

/// The unit over its serial port.
pub(crate) fn over_serial(unit: &Unit) -> Box<dyn Target> {
    Box::new(SerialTarget::new(unit.serial_path().to_string_lossy()))
}

/// The unit's name, as it follows from its chip's id.
pub(crate) fn device_id(unit: &Unit) -> DeviceId {
    let id = unit.device_id();
    let word = |at: usize| u32::from_le_bytes(*id[at..].first_chunk().unwrap());
    DeviceId::from_words(PLATFORM, word(0), word(4))
}

/// All that is in the unit's flash, read behind the debug port.
pub(crate) fn raw_flash(unit: &Unit) -> Vec<u8> {
    unit.read_flash(0..FLASH_LENGTH).unwrap()
}

/// The home of a station whose only slot is this unit's probe, with an order for such products.
pub(crate) fn station_for(unit: &Unit, key_policy: &str) -> Station {
    let station = Station::bare();
    let slot = format!("1=probe:{}", unit.selector());
    station.run(&["init", "--slot", &slot]).good();
    station
        .add_product("sensor", &["--key-policy", key_policy])
        .good();
    station.add_order("WO-1", 5).good();
    station
}

/// Runs the unit over its probe.
pub(crate) fn run(bench: &Bench, unit: &Unit) -> UnitEvent {
    bench.run_target(over_probe(unit), None)
}

/// Runs the unit, and lets `watch` see each event at the moment at which the run has come so far: the effect of the next step
/// happens after it returns.
pub(crate) fn run_watched(
    bench: &Bench,
    target: Box<dyn Target>,
    serial: Option<&str>,
    watch: impl FnMut(&UnitEvent) + Send + 'static,
) -> UnitEvent {
    let watched = Arc::new(Watched {
        watch: Mutex::new(Box::new(watch)),
        ended: Mutex::new(None),
    });
    let line = bench.line(watched.clone(), Stop::new());
    let source = Once(Some(Presented {
        target,
        serial: serial.map(str::to_owned),
    }));
    let slot = Slot {
        number: 1,
        source: Box::new(source),
    };
    let (_, result) = provision(&line, vec![slot], 1, None);
    let ended = watched.ended.lock().unwrap().take();
    ended.unwrap_or_else(|| panic!("the run did not end: {result:?}"))
}

type Watch = Box<dyn FnMut(&UnitEvent) + Send>;

struct Watched {
    watch: Mutex<Watch>,
    ended: Mutex<Option<UnitEvent>>,
}

impl EventSink for Watched {
    fn emit(&self, event: Event) {
        if let Event::Unit(unit) = event {
            (self.watch.lock().unwrap())(&unit);
            if unit.ended() {
                *self.ended.lock().unwrap() = Some(*unit);
            }
        }
    }
}

struct Once(Option<Presented>);

impl UnitSource for Once {
    fn next(&mut self, _: &Stop) -> Option<Presented> {
        self.0.take()
    }

    fn ended(&mut self, _: Option<DeviceId>) {}
}

/// Why the run failed, if it did.
pub(crate) fn code(event: &UnitEvent) -> Option<FailureCode> {
    event.error.as_ref().map(|failure| failure.code)
}

/// The run failed with one of these codes, with words for whoever stands there and for whoever looks for the fault.
pub(crate) fn assert_failed(event: &UnitEvent, codes: &[FailureCode], context: &str) {
    assert_eq!(event.state, UnitState::Failed, "{context}: {event:?}");
    let failure = event.error.as_ref().unwrap();
    assert!(codes.contains(&failure.code), "{context}: {failure:?}");
    assert!(failure.message.len() > 20, "{context}: {failure:?}");
    assert!(!failure.next.is_empty(), "{context}: {failure:?}");
}

/// What each step of the run left behind, in order.
pub(crate) fn evidence(bench: &Bench, event: &UnitEvent) -> Vec<Evidence> {
    let steps = bench.journal.steps_of(event.run.unwrap());
    let steps = bench.runtime.block_on(steps).unwrap();
    steps.into_iter().filter_map(|step| step.evidence).collect()
}

/// The run ended in PASS, and station, registry and flash agree on the unit: one active pin, one history, the key that is in flash,
/// the product's record, each run with its end.
pub(crate) fn assert_passed(bench: &Bench, unit: &Unit, event: &UnitEvent, context: &str) -> Pin {
    assert_eq!(
        event.state,
        UnitState::Passed,
        "{context}: {:?}",
        event.error
    );
    let id = DeviceIdText(device_id(unit));
    assert_eq!(event.device_id, Some(id), "{context}");
    let pin = bench.pin(id.0).unwrap();
    assert!(pin.is_active() && !pin.weak, "{context}: {pin:?}");
    let wait = &bench.runtime;
    let keys = wait.block_on(bench.registry.keys_of(id)).unwrap();
    assert_eq!(
        keys.len(),
        1,
        "{context}: one key was ever claimed: {keys:?}"
    );
    let history = wait.block_on(bench.registry.history(id)).unwrap();
    assert!(
        history
            .iter()
            .all(|entry| entry.fingerprint == pin.fingerprint),
        "{context}: {history:?}"
    );
    let known = wait.block_on(bench.journal.unit(id)).unwrap().unwrap();
    assert_eq!(known.state, UnitState::Passed, "{context}");
    let open = wait.block_on(bench.journal.recover()).unwrap();
    assert!(
        open.is_empty(),
        "{context}: every run has its end: {open:?}"
    );

    let raw = raw_flash(unit);
    let key = flash::key(&raw).unwrap();
    assert_eq!(key.public, pin.public_key, "{context}");
    let records = flash::records(&raw);
    assert_eq!(records.len(), 1, "{context}: the stale area is erased");
    assert_eq!(records[0].cloud_key, bench.product.cloud_key, "{context}");
    assert_eq!(
        records[0].cloud_address, bench.product.cloud_address,
        "{context}"
    );
    pin
}

/// Numbers drawn from `KEYLINE_SEED`, or from a new seed, which is printed.
pub(crate) fn seeded() -> (u64, SmallRng) {
    let seed =
        std::env::var("KEYLINE_SEED").map_or_else(|_| rand::random(), |text| text.parse().unwrap());
    eprintln!("KEYLINE_SEED={seed}");
    (seed, SmallRng::seed_from_u64(seed))
}
