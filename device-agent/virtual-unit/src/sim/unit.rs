//! A simulated unit on its bench: a link, a cable, a power switch, a debug probe's view.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use keyline_agent::hal::Hal;
use keyline_protocol::identity::{DeviceId, Platform};

use super::bench::Bench;
use super::chip::{Counts, SimChip};
use super::faults::{Direction, FrameFaultKind};
use super::options::SimOptions;
use super::saved::SavedUnit;

/// Why the bench can't do what it was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SimError {
    /// Nothing is connected.
    #[error("the cable to the simulated unit is pulled")]
    CablePulled,
    /// The debug port is closed.
    #[error("the simulated unit's debug port is closed by read-back protection")]
    Protected,
    /// The unit has no power.
    #[error("the simulated unit has no power")]
    NoPower,
}

/// A handle to one unit. Clones are handles to the same unit, so a test keeps a hand on a unit that a station talks to.
#[derive(Clone)]
pub struct SimUnit {
    bench: Arc<Mutex<Bench>>,
}

impl core::fmt::Debug for SimUnit {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter
            .debug_struct("SimUnit")
            .field("device_id", &self.device_id())
            .finish_non_exhaustive()
    }
}

impl SimUnit {
    /// A unit with erased flash, its power on.
    #[must_use]
    pub fn new(options: SimOptions) -> Self {
        Self::of(SimChip::new(options))
    }

    /// A unit of the given kind that holds what another's flash holds: a clone, or the same unit with a new agent.
    #[must_use]
    pub fn with_flash_of(other: &Self, options: SimOptions) -> Self {
        let mut chip = SimChip::new(options);
        let bytes = other.with_chip(|chip| chip.flash.bytes().to_vec());
        chip.flash.restore(&bytes);
        Self::of(chip)
    }

    /// A unit as it was saved.
    #[must_use]
    pub fn restored(saved: &SavedUnit) -> Self {
        let mut chip = SimChip::new(SimOptions::new(saved.platform, saved.chip_id));
        let mut bytes = vec![0xff; chip.flash.bytes().len()];
        for (offset, page) in &saved.pages {
            let place = bytes.iter_mut().skip(*offset as usize);
            for (place, byte) in place.zip(page) {
                *place = *byte;
            }
        }
        chip.flash.restore(&bytes);
        chip.restore_protection(saved.protected);
        Self::of(chip)
    }

    fn of(chip: SimChip) -> Self {
        Self {
            bench: Arc::new(Mutex::new(Bench::new(chip))),
        }
    }

    /// A test that failed with the bench in its hands must not hide its own message behind a poisoned lock.
    fn bench(&self) -> MutexGuard<'_, Bench> {
        self.bench.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends bytes to the unit. Whole frames are carried out before this returns; a paced unit takes its time.
    ///
    /// # Errors
    /// [`SimError::CablePulled`]. A unit without power just does not hear.
    pub fn write(&self, bytes: &[u8]) -> Result<(), SimError> {
        let waits = {
            let mut bench = self.bench();
            let before = bench.chip().counts().modelled_ms;
            bench.write(bytes)?;
            let chip = bench.chip();
            (chip.options.paced).then(|| Duration::from_millis(chip.counts().modelled_ms - before))
        };
        if let Some(duration) = waits {
            std::thread::sleep(duration);
        }
        Ok(())
    }

    /// Appends what the unit has sent since the last call.
    ///
    /// # Errors
    /// [`SimError::CablePulled`].
    pub fn read(&self, into: &mut Vec<u8>) -> Result<usize, SimError> {
        let mut bench = self.bench();
        bench.require_cable()?;
        Ok(bench.read(into))
    }

    /// Resets the chip, as a probe does: RAM, and what is on its way, is gone.
    ///
    /// # Errors
    /// [`SimError::CablePulled`], [`SimError::NoPower`].
    pub fn reset(&self) -> Result<(), SimError> {
        let mut bench = self.bench();
        bench.require_cable()?;
        bench.require_power()?;
        bench.power_off();
        bench.power_on();
        Ok(())
    }

    /// Takes the power away.
    pub fn power_off(&self) {
        self.bench().power_off();
    }

    /// Gives the power back; the agent boots. Does nothing to a unit that has power.
    pub fn power_on(&self) {
        self.bench().power_on();
    }

    /// Takes the power away and gives it back.
    pub fn power_cycle(&self) {
        let mut bench = self.bench();
        bench.power_off();
        bench.power_on();
    }

    /// Whether the unit has power: it lost it where a cut was asked for and has come.
    #[must_use]
    pub fn is_powered(&self) -> bool {
        self.bench().is_powered()
    }

    /// Plugs the cable in or out.
    pub fn set_cable(&self, connected: bool) {
        self.bench().set_cable(connected);
    }

    /// Plans what happens to the `nth` frame from now on in one direction; 1 is the next.
    pub fn fault(&self, direction: Direction, nth: u64, kind: FrameFaultKind) {
        self.bench().faults.plan(direction, nth, kind);
    }

    /// How many frames went to the unit and to the station, lost ones included.
    #[must_use]
    pub fn frame_counts(&self) -> (u64, u64) {
        self.bench().faults.counts()
    }

    /// The chip, whether it runs or not.
    pub fn with_chip<T>(&self, look: impl FnOnce(&mut SimChip) -> T) -> T {
        look(self.bench().chip_mut())
    }

    /// What the chip did so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.with_chip(|chip| chip.counts())
    }

    /// The unit's name, by the chip's own id.
    #[must_use]
    pub fn device_id(&self) -> DeviceId {
        self.with_chip(|chip| {
            let (low, high) = chip.options.chip_id;
            DeviceId::from_words(chip.options.platform, low, high)
        })
    }

    /// What a probe reads of the chip itself: platform and id.
    ///
    /// # Errors
    /// [`SimError::CablePulled`], [`SimError::NoPower`], [`SimError::Protected`].
    pub fn probe_chip(&self) -> Result<(Platform, (u32, u32)), SimError> {
        self.probe(|chip| (chip.options.platform, chip.options.chip_id))
    }

    /// The agent's image as a probe reads it back.
    ///
    /// # Errors
    /// As [`SimUnit::probe_chip`].
    pub fn probe_image(&self) -> Result<Vec<u8>, SimError> {
        self.probe(|chip| chip.options.image.to_vec())
    }

    /// Flash as a probe reads it, from `address` on.
    ///
    /// # Errors
    /// As [`SimUnit::probe_chip`].
    pub fn probe_flash(&self, address: u32, into: &mut [u8]) -> Result<(), SimError> {
        self.probe(|chip| chip.read(address, into))
    }

    fn probe<T>(&self, look: impl FnOnce(&SimChip) -> T) -> Result<T, SimError> {
        let bench = self.bench();
        bench.require_cable()?;
        bench.require_power()?;
        let chip = bench.chip();
        if chip.is_protected() {
            return Err(SimError::Protected);
        }
        Ok(look(chip))
    }

    /// What of the unit outlives the process.
    #[must_use]
    pub fn save(&self) -> SavedUnit {
        self.with_chip(|chip| {
            let length = chip.layout().page_length;
            let pages = (0..)
                .step_by(length as usize)
                .zip(chip.flash.bytes().chunks(length as usize))
                .filter(|(_, page)| page.iter().any(|byte| *byte != 0xff))
                .map(|(offset, page)| (offset, page.to_vec()))
                .collect();
            SavedUnit {
                platform: chip.options.platform,
                chip_id: chip.options.chip_id,
                protected: chip.is_protection_set(),
                pages,
            }
        })
    }
}
