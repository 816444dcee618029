//! The hardware random generator, the same block on nRF51 and nRF52.
//!
//! nRF51 Series Reference Manual v3.0, chapter 21; nRF52832 Product Specification v1.4, chapter 26. Bias correction stays off: it
//! would hide a failing source from the agent's health tests, and the agent conditions what it draws.
#![allow(unsafe_code, reason = "memory-mapped registers have no safe form")]

use super::clock::Deadline;
use super::register::Register;

// SAFETY: the generator's registers are mapped at 0x4000D000 on every chip of both families and touch no memory.
const START: Register = unsafe { Register::at(0x4000_D000) };
// SAFETY: as above.
const VALUE_READY: Register = unsafe { Register::at(0x4000_D100) };
// SAFETY: as above.
const CONFIG: Register = unsafe { Register::at(0x4000_D504) };
// SAFETY: as above.
const VALUE: Register = unsafe { Register::at(0x4000_D508) };

/// Ten times the usual 0.68 ms a byte (nRF51822 Product Specification v3.4, 8.17) would be 7 ms. It is 250 ms, because on an emulated
/// chip the generator's clock runs on while the host has no time for the generator.
const PATIENCE_MICROSECONDS: u32 = 250_000;

/// Starts the generator, without bias correction.
pub(super) fn start() {
    CONFIG.write(0);
    VALUE_READY.write(0);
    START.write(1);
}

/// One raw byte, or `None` if the generator gave none in time.
pub(super) fn random_byte() -> Option<u8> {
    let deadline = Deadline::after_microseconds(PATIENCE_MICROSECONDS);
    while VALUE_READY.read() == 0 {
        if deadline.is_past() {
            return None;
        }
    }
    VALUE_READY.write(0);
    VALUE.read().to_le_bytes().first().copied()
}
