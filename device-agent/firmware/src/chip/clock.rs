//! Time: a free-running microsecond counter, and sleep that it ends.
//!
//! TIMER0 and CLOCK are the same on nRF51 and nRF52 (nRF51 Series Reference Manual v3.0, chapters 12 and 18; nRF52832 Product
//! Specification v1.4, chapters 19 and 24).
#![allow(unsafe_code, reason = "memory-mapped registers have no safe form")]

use core::arch::asm;

use super::register::Register;

// SAFETY: CLOCK (0x40000000), TIMER0 (0x40008000) and the interrupt controller (0xE000E100, ARMv6-M Architecture Reference Manual,
// B3.4) are mapped on every chip of both families; none of their registers touches memory, and interrupts stay masked for ever, so
// that enabling one only ends a sleep.
const CRYSTAL_START: Register = unsafe { Register::at(0x4000_0000) };
// SAFETY: as above.
const CRYSTAL_STARTED: Register = unsafe { Register::at(0x4000_0100) };
// SAFETY: as above.
const TIMER_START: Register = unsafe { Register::at(0x4000_8000) };
// SAFETY: as above.
const TIMER_CAPTURE: Register = unsafe { Register::at(0x4000_8040) };
// SAFETY: as above.
const TIMER_WAKE_REACHED: Register = unsafe { Register::at(0x4000_8144) };
// SAFETY: as above.
const TIMER_INTERRUPT_SET: Register = unsafe { Register::at(0x4000_8304) };
// SAFETY: as above.
const TIMER_BIT_MODE: Register = unsafe { Register::at(0x4000_8508) };
// SAFETY: as above.
const TIMER_PRESCALER: Register = unsafe { Register::at(0x4000_8510) };
// SAFETY: as above.
const TIMER_CAPTURED: Register = unsafe { Register::at(0x4000_8540) };
// SAFETY: as above.
const TIMER_WAKE: Register = unsafe { Register::at(0x4000_8544) };
// SAFETY: as above.
const INTERRUPT_ENABLE: Register = unsafe { Register::at(0xE000_E100) };
// SAFETY: as above.
const INTERRUPT_CLEAR_PENDING: Register = unsafe { Register::at(0xE000_E280) };

/// TIMER0's place in the vector table, and UART0's: a received byte ends a sleep too.
const WAKING_INTERRUPTS: u32 = 1 << 8 | 1 << 2;

/// Bit mode 3 counts in 32 bits.
const BITS_32: u32 = 3;

/// 16 MHz divided by 2 to the power of 4: one count a microsecond.
const PRESCALER: u32 = 4;

/// The interrupt of compare register 1, which wakes; register 0 only captures.
const COMPARE_1: u32 = 1 << 17;

/// How long the crystal may take to start. 3 ms is usual; where there is none, the internal oscillator goes on.
const CRYSTAL_PATIENCE_MICROSECONDS: u32 = 10_000;

/// Starts the counter and the crystal oscillator, without which a serial line is not in time.
pub(super) fn start() {
    // SAFETY: masks interrupts, of which none has a handler: they only end a sleep.
    unsafe { asm!("cpsid i", options(nomem, nostack, preserves_flags)) };
    TIMER_BIT_MODE.write(BITS_32);
    TIMER_PRESCALER.write(PRESCALER);
    TIMER_INTERRUPT_SET.write(COMPARE_1);
    TIMER_START.write(1);
    INTERRUPT_ENABLE.write(WAKING_INTERRUPTS);
    CRYSTAL_STARTED.write(0);
    CRYSTAL_START.write(1);
    let deadline = Deadline::after_microseconds(CRYSTAL_PATIENCE_MICROSECONDS);
    while CRYSTAL_STARTED.read() == 0 && !deadline.is_past() {}
}

/// Microseconds since the start; begins anew after 71 minutes.
fn now_microseconds() -> u32 {
    TIMER_CAPTURE.write(1);
    TIMER_CAPTURED.read()
}

/// Sleeps until a byte comes over the serial line, but at most `microseconds`.
pub(crate) fn sleep(microseconds: u32) {
    TIMER_WAKE_REACHED.write(0);
    INTERRUPT_CLEAR_PENDING.write(WAKING_INTERRUPTS);
    TIMER_WAKE.write(now_microseconds().wrapping_add(microseconds));
    // SAFETY: waits; an interrupt that is pending, though masked, ends the wait.
    unsafe { asm!("wfi", options(nomem, nostack, preserves_flags)) };
}

/// A moment to come, at most half an hour away.
#[derive(Clone, Copy)]
pub(crate) struct Deadline {
    at_microseconds: u32,
}

impl Deadline {
    /// The moment `microseconds` from now.
    pub(crate) fn after_microseconds(microseconds: u32) -> Self {
        Self {
            at_microseconds: now_microseconds().wrapping_add(microseconds),
        }
    }

    /// Whether it has come.
    pub(crate) fn is_past(self) -> bool {
        now_microseconds().wrapping_sub(self.at_microseconds) < 1 << 31
    }
}
