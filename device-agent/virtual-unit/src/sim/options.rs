//! What kind of unit the simulator makes.

use std::sync::Arc;

use keyline_protocol::identity::Platform;

use super::image::AGENT_IMAGE;
use super::sampler::GeneratorFault;

/// How read-back protection fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ProtectionFault {
    /// It does not.
    #[default]
    None,
    /// The chip's configuration does not take it: the agent sees that.
    DoesNotTake,
    /// The configuration says that it is set, and after the reset the debug port is open all the same.
    DoesNotHold,
}

/// What kind of unit it is.
#[derive(Clone, Debug)]
pub struct SimOptions {
    /// The chip.
    pub platform: Platform,
    /// The chip's own id, as a probe reads it: the word that comes first in memory, then the other.
    pub chip_id: (u32, u32),
    /// The id that the agent reads, where it is to differ from the probe's.
    pub agent_chip_id: Option<(u32, u32)>,
    /// Decides every sample of the generator and all that a power cut leaves.
    pub seed: u64,
    /// How the hardware generator fails.
    pub generator: GeneratorFault,
    /// How read-back protection fails.
    pub protection: ProtectionFault,
    /// Whether the chip has the RAM to sign with an RSA key.
    pub signs_rsa: bool,
    /// The agent's image.
    pub image: Arc<[u8]>,
    /// The lowest and highest protocol version of an agent that speaks only newer ones.
    pub newer_protocol: Option<(u16, u16)>,
    /// Whether the link waits as long as a real chip's arithmetic and flash would take.
    pub paced: bool,
}

impl SimOptions {
    /// A sound unit whose generator differs from every other's.
    #[must_use]
    pub fn new(platform: Platform, chip_id: (u32, u32)) -> Self {
        Self::seeded(platform, chip_id, rand::random())
    }

    /// A sound unit whose generator gives the same samples every time.
    #[must_use]
    pub fn seeded(platform: Platform, chip_id: (u32, u32), seed: u64) -> Self {
        Self {
            platform,
            chip_id,
            agent_chip_id: None,
            seed,
            generator: GeneratorFault::None,
            protection: ProtectionFault::None,
            // 256 KiB of RAM; the others have 16 and 64, where an RSA signature's 24 KiB leave too little.
            signs_rsa: platform == Platform::Nrf52840,
            image: Arc::from(AGENT_IMAGE),
            newer_protocol: None,
            paced: false,
        }
    }
}
