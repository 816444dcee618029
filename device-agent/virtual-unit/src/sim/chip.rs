//! The simulated chip: what the agent finds behind its `Hal`.

use std::cell::Cell;
use std::collections::VecDeque;

use keyline_agent::hal::{Hal, Work};
use keyline_agent::layout::Layout;
use keyline_protocol::identity::Platform;

use super::flash::StrictFlash;
use super::options::{ProtectionFault, SimOptions};
use super::sampler::Sampler;

/// What a chip did since the unit was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Samples taken from the hardware generator.
    pub samples: u64,
    /// Words written to flash.
    pub flash_writes: u64,
    /// Flash pages erased.
    pub flash_erases: u64,
    /// Frames sent.
    pub frames_sent: u64,
    /// Times that an agent began to run.
    pub boots: u64,
    /// What all the announced work would have taken a real chip, in milliseconds.
    pub modelled_ms: u64,
}

/// A chip in RAM.
#[derive(Debug)]
pub struct SimChip {
    /// Its flash.
    pub flash: StrictFlash,
    /// What kind of unit it is; may be changed while it runs.
    pub options: SimOptions,
    sampler: Sampler,
    pub(crate) outbox: VecDeque<Vec<u8>>,
    pub(crate) reset_requested: bool,
    pub(crate) boots: u64,
    samples: u64,
    frames_sent: u64,
    modelled_ms: Cell<u64>,
    protection_set: bool,
    protection_holds: bool,
}

impl SimChip {
    /// A chip with erased flash.
    pub(crate) fn new(options: SimOptions) -> Self {
        Self {
            flash: StrictFlash::new(Layout::of(options.platform), !options.seed),
            sampler: Sampler::new(options.seed),
            options,
            outbox: VecDeque::new(),
            reset_requested: false,
            boots: 0,
            samples: 0,
            frames_sent: 0,
            modelled_ms: Cell::new(0),
            protection_set: false,
            protection_holds: false,
        }
    }

    /// What the chip did so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        Counts {
            samples: self.samples,
            flash_writes: self.flash.writes(),
            flash_erases: self.flash.erases(),
            frames_sent: self.frames_sent,
            boots: self.boots,
            modelled_ms: self.modelled_ms.get(),
        }
    }

    /// Whether the debug port is closed.
    #[must_use]
    pub const fn is_protected(&self) -> bool {
        self.protection_holds
    }

    /// Sets protection as it was when the unit was saved.
    pub(crate) const fn restore_protection(&mut self, set: bool) {
        self.protection_set = set;
    }

    /// Whether protection is set in the configuration.
    pub(crate) const fn is_protection_set(&self) -> bool {
        self.protection_set
    }

    /// What a reset does to the chip itself.
    pub(crate) fn begin_boot(&mut self) {
        self.reset_requested = false;
        self.boots += 1;
        self.protection_holds =
            self.protection_set && self.options.protection != ProtectionFault::DoesNotHold;
    }
}

/// How long work takes, in milliseconds: what the firmware announces, modelled from instruction counts on the emulated chip.
const fn duration_ms(platform: Platform, work: Work) -> u32 {
    if matches!(platform, Platform::Nrf51822) {
        match work {
            Work::BasePointMultiplication => 650,
            Work::PointMultiplication => 2_360,
            Work::SignP256 => 700,
            Work::VerifyP256 => 2_570,
            // An nRF51 holds no RSA key.
            Work::SignRsa2048 | Work::SignRsa3072 => 0,
            Work::GeneratorStartUp => 680,
            Work::ImageDigest => 300,
            Work::ErasePage => 22,
        }
    } else {
        match work {
            Work::BasePointMultiplication | Work::SignP256 => 40,
            Work::PointMultiplication | Work::VerifyP256 => 140,
            Work::SignRsa2048 => 2_500,
            Work::SignRsa3072 => 8_000,
            Work::GeneratorStartUp => 130,
            Work::ImageDigest => 20,
            Work::ErasePage => 90,
        }
    }
}

impl Hal for SimChip {
    fn platform(&self) -> Platform {
        self.options.platform
    }

    fn layout(&self) -> &'static Layout {
        Layout::of(self.options.platform)
    }

    fn chip_id(&self) -> (u32, u32) {
        self.options.agent_chip_id.unwrap_or(self.options.chip_id)
    }

    fn read(&self, address: u32, into: &mut [u8]) {
        self.flash.read(address, into);
    }

    fn write_word(&mut self, address: u32, word: u32) {
        self.flash.write_word(address, word);
    }

    fn erase_page(&mut self, address: u32) {
        self.flash.erase_page(address);
    }

    fn random_byte(&mut self) -> Option<u8> {
        self.samples += 1;
        self.sampler.sample(self.options.generator)
    }

    fn image(&self, take: &mut dyn FnMut(&[u8])) {
        for piece in self.options.image.chunks(256) {
            take(piece);
        }
    }

    fn signs_rsa(&self) -> bool {
        self.options.signs_rsa
    }

    fn protected(&self) -> bool {
        self.protection_set
    }

    fn protect(&mut self) {
        self.protection_set = self.options.protection != ProtectionFault::DoesNotTake;
    }

    fn duration_ms(&self, work: Work) -> u32 {
        let duration_ms = duration_ms(self.options.platform, work);
        self.modelled_ms
            .set(self.modelled_ms.get() + u64::from(duration_ms));
        duration_ms
    }

    fn send(&mut self, frame: &[u8]) {
        // A chip without power sends nothing, whatever its program goes on to do in here.
        if self.flash.is_powered() {
            self.frames_sent += 1;
            self.outbox.push_back(frame.to_vec());
        }
    }

    fn reset(&mut self) {
        self.reset_requested = true;
    }
}
