//! The serial line: UART0, the same block on nRF51 and nRF52, at 115,200 baud, eight bits, no parity, no flow control.
//!
//! nRF51 Series Reference Manual v3.0, chapter 29; nRF52832 Product Specification v1.4, chapter 34. The receiver keeps six bytes.
#![allow(unsafe_code, reason = "memory-mapped registers have no safe form")]

use super::clock::Deadline;
use super::family::{SERIAL_RECEIVE_PIN, SERIAL_TRANSMIT_PIN};
use super::register::Register;

// SAFETY: UART0 is mapped at 0x40002000 and port 0 at 0x50000000 on every chip of both families; neither touches memory.
const RECEIVE_START: Register = unsafe { Register::at(0x4000_2000) };
// SAFETY: as above.
const TRANSMIT_START: Register = unsafe { Register::at(0x4000_2008) };
// SAFETY: as above.
const RECEIVED: Register = unsafe { Register::at(0x4000_2108) };
// SAFETY: as above.
const TRANSMITTED: Register = unsafe { Register::at(0x4000_211C) };
// SAFETY: as above.
const INTERRUPT_SET: Register = unsafe { Register::at(0x4000_2304) };
// SAFETY: as above.
const ENABLE: Register = unsafe { Register::at(0x4000_2500) };
// SAFETY: as above.
const PIN_TRANSMIT: Register = unsafe { Register::at(0x4000_250C) };
// SAFETY: as above.
const PIN_RECEIVE: Register = unsafe { Register::at(0x4000_2514) };
// SAFETY: as above.
const RECEIVE: Register = unsafe { Register::at(0x4000_2518) };
// SAFETY: as above.
const TRANSMIT: Register = unsafe { Register::at(0x4000_251C) };
// SAFETY: as above.
const BAUD_RATE: Register = unsafe { Register::at(0x4000_2524) };
// SAFETY: as above.
const OUTPUT_SET: Register = unsafe { Register::at(0x5000_0508) };
// SAFETY: as above; the pins are below 32.
const TRANSMIT_PIN_SETUP: Register = unsafe { Register::at(0x5000_0700 + 4 * SERIAL_TRANSMIT_PIN) };
// SAFETY: as above.
const RECEIVE_PIN_SETUP: Register = unsafe { Register::at(0x5000_0700 + 4 * SERIAL_RECEIVE_PIN) };

/// A pin that drives: direction out, input buffer off.
const PIN_OUTPUT: u32 = 0b11;

/// A pin that listens, pulled up, so that a line with nobody at its other end is silent.
const PIN_INPUT_PULLED_UP: u32 = 0b11 << 2;

/// The register's value for 115,200 baud.
const BAUD_115200: u32 = 0x01D7_E000;

/// UART0 is enabled by 4.
const ENABLED: u32 = 4;

/// The interrupt that a received byte raises.
const RECEIVED_INTERRUPT: u32 = 1 << 2;

/// How long one byte may take to leave. 87 µs is usual; an emulated line can be held up by whoever reads it.
const PATIENCE_MICROSECONDS: u32 = 500_000;

/// Starts the line in both directions.
pub(super) fn start() {
    OUTPUT_SET.write(1 << SERIAL_TRANSMIT_PIN);
    TRANSMIT_PIN_SETUP.write(PIN_OUTPUT);
    RECEIVE_PIN_SETUP.write(PIN_INPUT_PULLED_UP);
    PIN_TRANSMIT.write(SERIAL_TRANSMIT_PIN);
    PIN_RECEIVE.write(SERIAL_RECEIVE_PIN);
    BAUD_RATE.write(BAUD_115200);
    INTERRUPT_SET.write(RECEIVED_INTERRUPT);
    ENABLE.write(ENABLED);
    RECEIVE_START.write(1);
    TRANSMIT_START.write(1);
}

/// The next byte that came, if one did.
pub(crate) fn receive() -> Option<u8> {
    if RECEIVED.read() == 0 {
        return None;
    }
    RECEIVED.write(0);
    RECEIVE.read().to_le_bytes().first().copied()
}

/// Sends `bytes`; gives up where one does not leave in time.
pub(crate) fn send(bytes: &[u8]) {
    for &byte in bytes {
        TRANSMITTED.write(0);
        TRANSMIT.write(byte.into());
        let deadline = Deadline::after_microseconds(PATIENCE_MICROSECONDS);
        while TRANSMITTED.read() == 0 {
            if deadline.is_past() {
                return;
            }
        }
    }
}
