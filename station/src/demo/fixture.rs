//! A fixture whose units are emulated: it puts one after the other in, as an operator would.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use keyline_protocol::identity::{DeviceId, Platform};
use keyline_virtual_unit::qemu;
use keyline_virtual_unit::sim::{SimOptions, SimUnit};

use crate::line::{Presented, UnitSource};
use crate::link::{ProbeTarget, SimTarget, Target};
use crate::stop::Stop;

/// The tray of fresh units that all fixtures of a demonstration take from.
#[derive(Clone)]
pub(super) struct Tray {
    left: Arc<AtomicU32>,
    /// Tells the units of one demonstration from those of another in the same home.
    batch: u32,
}

impl Tray {
    pub(super) fn new(units: u32) -> Self {
        Self {
            left: Arc::new(AtomicU32::new(units)),
            batch: rand::random(),
        }
    }

    /// The number of the next unit, from the last to 1.
    fn take(&self) -> Option<u32> {
        self.left
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
                left.checked_sub(1)
            })
            .ok()
    }

    fn serial(&self, number: u32) -> String {
        format!("KD-{:05}-{number:05}", self.batch % 100_000)
    }
}

/// The format of the serials above.
pub(super) const SERIAL_FORMAT: &str = "KD-#####-#####";

/// Units of the simulator.
pub(super) struct SimFixture {
    tray: Tray,
    platform: Platform,
}

impl SimFixture {
    pub(super) const fn new(tray: Tray, platform: Platform) -> Self {
        Self { tray, platform }
    }
}

impl UnitSource for SimFixture {
    fn next(&mut self, _: &Stop) -> Option<Presented> {
        let number = self.tray.take()?;
        let unit = SimUnit::new(SimOptions::new(self.platform, (number, self.tray.batch)));
        Some(Presented {
            target: Box::new(SimTarget::new(unit)),
            serial: Some(self.tray.serial(number)),
        })
    }

    fn ended(&mut self, _: Option<DeviceId>) {}
}

/// Emulated chips behind emulated debug probes.
pub(super) struct QemuFixture {
    tray: Tray,
    /// The unit in the fixture. It loses its power when it is taken out.
    unit: Option<qemu::Unit>,
}

impl QemuFixture {
    pub(super) const fn new(tray: Tray) -> Self {
        Self { tray, unit: None }
    }
}

impl UnitSource for QemuFixture {
    fn next(&mut self, _: &Stop) -> Option<Presented> {
        let number = self.tray.take()?;
        self.unit = None;
        let mut device_id = [0; 8];
        device_id[..4].copy_from_slice(&number.to_le_bytes());
        device_id[4..].copy_from_slice(&self.tray.batch.to_le_bytes());
        let started = qemu::Unit::start(qemu::UnitOptions::new(device_id));
        let target: Box<dyn Target> = match started {
            Ok(unit) => {
                let target = ProbeTarget::new(unit.selector());
                self.unit = Some(unit);
                Box::new(target)
            }
            Err(error) => {
                tracing::error!(error = %error, "demo.unit: the emulated unit did not start");
                return None;
            }
        };
        Some(Presented {
            target,
            serial: Some(self.tray.serial(number)),
        })
    }

    fn ended(&mut self, _: Option<DeviceId>) {
        self.unit = None;
    }
}
