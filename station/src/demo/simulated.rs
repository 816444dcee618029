//! A slot whose link is `sim`: every unit that is put in is a new, bare one.

use std::sync::Arc;

use keyline_protocol::identity::{DeviceId, Platform};
use keyline_virtual_unit::sim::{SimOptions, SimUnit};

use crate::line::{Presented, UnitSource};
use crate::link::{AgentImage, SimTarget};
use crate::stop::Stop;

/// New simulated units, one after the other.
pub(super) struct Simulated {
    platform: Platform,
    /// What the units show as their agent's image: the one that the order fixed.
    image: Arc<[u8]>,
    serial_format: Option<String>,
    serial: Option<String>,
    next: u32,
    batch: u32,
}

impl Simulated {
    pub(super) fn new(
        image: &AgentImage,
        serial_format: Option<String>,
        serial: Option<String>,
    ) -> Self {
        Self {
            platform: image.platform,
            image: Arc::from(image.bytes.as_slice()),
            serial_format,
            serial,
            next: 0,
            batch: rand::random(),
        }
    }
}

impl UnitSource for Simulated {
    fn next(&mut self, _: &Stop) -> Option<Presented> {
        self.next += 1;
        let mut options = SimOptions::new(self.platform, (self.next, self.batch));
        options.image = Arc::clone(&self.image);
        let unit = SimUnit::new(options);
        let label = || self.serial_format.as_deref().map(label);
        Some(Presented {
            target: Box::new(SimTarget::new(unit)),
            serial: self.serial.take().or_else(label),
        })
    }

    fn ended(&mut self, _: Option<DeviceId>) {}
}

/// A random serial in this format: `#` stands for a digit, `@` for a capital letter.
fn label(format: &str) -> String {
    let character = |expected| match expected {
        '#' => char::from(b'0' + rand::random_range(0..10)),
        '@' => char::from(b'A' + rand::random_range(0..26)),
        other => other,
    };
    format.chars().map(character).collect()
}
