//! nRF52840: Cortex-M4F at 64 MHz. The image runs from RAM.

use keyline_agent::hal::Work;
use keyline_agent::layout::{self, Layout};
use keyline_protocol::identity::Platform;

/// The chip.
pub(crate) const PLATFORM: Platform = Platform::Nrf52840;

/// Where things lie in its flash.
pub(crate) const LAYOUT: &Layout = &layout::NRF52840;

/// The pin that the serial line sends on: the maker's development kit's, wired to its interface chip.
pub(crate) const SERIAL_TRANSMIT_PIN: u32 = 6;

/// The pin that the serial line receives on.
pub(crate) const SERIAL_RECEIVE_PIN: u32 = 8;

/// `UICR.APPROTECT` (nRF52840 Product Specification, UICR): byte 0, PALL, protects all.
pub(crate) const PROTECTION: u32 = 0x1000_1208;

/// Clears PALL and nothing else.
pub(crate) const PROTECTED: u32 = 0xFFFF_FF00;

/// Whether this value of the protection word protects: PALL is 0. Later revisions of the chip protect unless PALL is 0x5A, which the
/// debug port shows and this word does not.
pub(crate) const fn is_protected(word: u32) -> bool {
    word & 0xFF == 0
}

/// Whether there is RAM to sign with an RSA key.
pub(crate) const SIGNS_RSA: bool = true;

/// Bytes of the RTT buffer towards the unit.
pub(crate) const RTT_DOWN_LENGTH: usize = 1024;

/// Bytes of the RTT buffer towards the station.
pub(crate) const RTT_UP_LENGTH: usize = 1024;

/// Modelled at 64 MHz and 1.25 cycles an instruction; this image has not been run.
pub(crate) const fn duration_ms(work: Work) -> u32 {
    match work {
        Work::BasePointMultiplication | Work::SignP256 | Work::PointMultiplication => 150,
        Work::VerifyP256 => 160,
        // 1,024 raw samples of about 0.03 ms to 0.12 ms.
        Work::GeneratorStartUp => 130,
        Work::ImageDigest => 100,
        Work::ErasePage => 90,
        // Estimated from the number of multiplications.
        Work::SignRsa2048 => 3_000,
        Work::SignRsa3072 => 9_000,
    }
}
