//! nRF51822: Cortex-M0 at 16 MHz. The image runs from flash: there is too little RAM for it.

use keyline_agent::hal::Work;
use keyline_agent::layout::{self, Layout};
use keyline_protocol::identity::Platform;

/// The chip.
pub(crate) const PLATFORM: Platform = Platform::Nrf51822;

/// Where things lie in its flash.
pub(crate) const LAYOUT: &Layout = &layout::NRF51822;

/// The pin that the serial line sends on: the BBC micro:bit's, wired to its interface chip.
pub(crate) const SERIAL_TRANSMIT_PIN: u32 = 24;

/// The pin that the serial line receives on.
pub(crate) const SERIAL_RECEIVE_PIN: u32 = 25;

/// `UICR.RBPCONF` (nRF51 Series Reference Manual v3.0, 8.1.2): byte 1, PALL, protects all.
pub(crate) const PROTECTION: u32 = 0x1000_1004;

/// Clears PALL and nothing else.
pub(crate) const PROTECTED: u32 = 0xFFFF_00FF;

/// Whether this value of the protection word protects: any PALL but 0xFF.
pub(crate) const fn is_protected(word: u32) -> bool {
    word & 0xFF00 != 0xFF00
}

/// Whether there is RAM to sign with an RSA key.
pub(crate) const SIGNS_RSA: bool = false;

/// Bytes of the RTT buffer towards the unit.
pub(crate) const RTT_DOWN_LENGTH: usize = 512;

/// Bytes of the RTT buffer towards the station.
pub(crate) const RTT_UP_LENGTH: usize = 512;

/// From instruction counts on the emulated chip and the Cortex-M0's cycle table (`keyline-firmware-bench` counts them again). A page erase of 22 ms is
/// within what a station waits for anyway.
pub(crate) const fn duration_ms(work: Work) -> u32 {
    match work {
        Work::BasePointMultiplication => 950,
        Work::SignP256 => 1_000,
        Work::PointMultiplication => 3_000,
        Work::VerifyP256 => 3_300,
        // 1,024 samples of 0.677 ms, and the health tests of each.
        Work::GeneratorStartUp => 760,
        Work::ImageDigest => 700,
        Work::SignRsa2048 | Work::SignRsa3072 | Work::ErasePage => 0,
    }
}
