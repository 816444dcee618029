//! What a chip says of itself before any agent runs: its factory and user configuration registers.
//!
//! nRF51 Series Reference Manual v3.0, chapters 7 (FICR) and 8 (UICR); nRF52832 Product Specification v1.4, chapters 13 and 14;
//! nRF52840 Product Specification v1.7, chapters 4.4 and 4.5.

use keyline_protocol::identity::{DeviceId, Platform};
use probe_rs::Error;

use super::bus::Bus;
use super::open::{is_fault, lost};
use crate::link::{LinkError, ProbeFacts};

/// FICR.CODEPAGESIZE; CODESIZE follows.
const FICR_SIZES: u32 = 0x1000_0010;
/// FICR.DEVICEID\[0\]; DEVICEID\[1\] follows.
const FICR_DEVICE_ID: u32 = 0x1000_0060;
/// FICR.INFO.PART, on the nRF52 only.
const FICR_PART: u32 = 0x1000_0100;
/// UICR.RBPCONF, on the nRF51 only: PALL is bits 15:8, and 0xFF while it is off.
const UICR_PROTECTION: u32 = 0x1000_1004;
/// UICR.BOOTLOADERADDR, by convention of the maker's SDK: NRFFW\[0\].
const UICR_BOOTLOADER: u32 = 0x1000_1014;
/// The maker's radio stack says of itself (`nrf_sdm.h`): magic number, then where it ends.
const SOFTDEVICE_MAGIC: u32 = 0x3004;
const SOFTDEVICE_MAGIC_VALUE: u32 = 0x51b1_e5db;

/// A register that was never written.
const BLANK: u32 = u32::MAX;

/// What kind of chip it is, by its registers.
struct Kind {
    page_length: u32,
    pages: u32,
    part: u32,
}

impl Kind {
    fn platform(&self) -> Option<Platform> {
        match (self.part, self.page_length, self.pages) {
            (0x5_2832, 0x1000, _) => Some(Platform::Nrf52832),
            (0x5_2840, 0x1000, _) => Some(Platform::Nrf52840),
            // The nRF51 has no part number: 256 KiB in pages of 1 KiB are the xxAA and xxAC.
            (_, 0x400, 256) => Some(Platform::Nrf51822),
            _ => None,
        }
    }
}

/// Reads the chip's registers.
///
/// # Errors
/// [`LinkError::WrongChip`] where it is not the expected one.
pub(super) fn read(bus: &mut Bus, expected: Platform) -> Result<ProbeFacts, LinkError> {
    if expected == Platform::Nrf51822 && is_nrf51_protected(bus)? {
        return Ok(locked(expected));
    }
    let kind = read_kind(bus, expected).map_err(lost("reading the chip's registers"))?;
    match kind.platform() {
        Some(platform) if platform == expected => {}
        Some(other) => {
            return Err(LinkError::WrongChip {
                expected,
                got: other.name().to_owned(),
            });
        }
        None => {
            return Err(LinkError::WrongChip {
                expected,
                got: format!(
                    "chip with {} pages of {} bytes and part number {:#x}",
                    kind.pages, kind.page_length, kind.part
                ),
            });
        }
    }
    read_facts(bus, expected).map_err(lost("reading the chip's registers"))
}

/// What can be said of a chip that keeps the probe out.
pub(super) const fn locked(platform: Platform) -> ProbeFacts {
    ProbeFacts {
        platform,
        device_id: None,
        protected: true,
        bootloader_address: None,
        softdevice_end: None,
    }
}

/// While PALL is set the nRF51 lets a debugger at its core, and at no memory: not even at the register that says so.
fn is_nrf51_protected(bus: &mut Bus) -> Result<bool, LinkError> {
    match bus.read_word(UICR_PROTECTION) {
        Ok(word) => Ok(word.to_le_bytes()[1] == 0),
        Err(error) if is_fault(&error) => Ok(true),
        Err(error) => Err(lost("reading the chip's protection")(error)),
    }
}

fn read_kind(bus: &mut Bus, expected: Platform) -> Result<Kind, Error> {
    let mut sizes = [0; 2];
    bus.read(FICR_SIZES, &mut sizes)?;
    let part = match expected {
        Platform::Nrf51822 => BLANK,
        Platform::Nrf52832 | Platform::Nrf52840 => bus.read_word(FICR_PART)?,
    };
    Ok(Kind {
        page_length: sizes[0],
        pages: sizes[1],
        part,
    })
}

fn read_facts(bus: &mut Bus, platform: Platform) -> Result<ProbeFacts, Error> {
    let mut id = [0; 2];
    bus.read(FICR_DEVICE_ID, &mut id)?;
    let bootloader = bus.read_word(UICR_BOOTLOADER)?;
    let mut softdevice = [0; 2];
    bus.read(SOFTDEVICE_MAGIC, &mut softdevice)?;
    Ok(ProbeFacts {
        platform,
        device_id: Some(DeviceId::from_words(platform, id[0], id[1])),
        protected: false,
        bootloader_address: (bootloader != BLANK).then_some(bootloader),
        softdevice_end: (softdevice[0] == SOFTDEVICE_MAGIC_VALUE).then_some(softdevice[1]),
    })
}
