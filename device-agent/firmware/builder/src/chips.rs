//! The chips that images are built for.

use keyline_agent::layout::{self, Layout};
use keyline_protocol::identity::{Algorithm, Platform};
use serde::{Deserialize, Serialize};

/// Where an image runs from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Resident {
    /// It is programmed into flash and started by a reset.
    Flash,
    /// It is loaded into RAM and started by a debugger.
    Ram,
}

/// One chip.
#[derive(Clone, Copy)]
pub(crate) struct Chip {
    /// The platform; its name is the feature, the profile and the image's file name.
    pub(crate) platform: Platform,
    /// The compiler's name for the core.
    pub(crate) target: &'static str,
    /// Where the image runs from.
    pub(crate) resident: Resident,
    /// Where the agent keeps its things in flash.
    pub(crate) layout: &'static Layout,
    /// What its agent can sign with.
    pub(crate) signs: &'static [Algorithm],
}

/// Every chip.
pub(crate) const CHIPS: [Chip; 3] = [
    Chip {
        platform: Platform::Nrf51822,
        target: "thumbv6m-none-eabi",
        resident: Resident::Flash,
        layout: &layout::NRF51822,
        signs: &[Algorithm::P256],
    },
    Chip {
        platform: Platform::Nrf52832,
        target: "thumbv7em-none-eabihf",
        resident: Resident::Flash,
        layout: &layout::NRF52832,
        signs: &[Algorithm::P256],
    },
    Chip {
        platform: Platform::Nrf52840,
        target: "thumbv7em-none-eabihf",
        resident: Resident::Ram,
        layout: &layout::NRF52840,
        signs: &[Algorithm::P256, Algorithm::Rsa2048, Algorithm::Rsa3072],
    },
];
