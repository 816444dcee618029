//! What ends the agent: a panic, a fault, a request. All three reset the chip.
//!
//! No text is formatted: it would cost flash, and nobody could read it. A station that finds the agent gone says so.
#![allow(
    unsafe_code,
    reason = "memory-mapped registers and exception handlers have no safe form"
)]

use core::arch::asm;
use core::panic::PanicInfo;

use cortex_m_rt::{ExceptionFrame, exception};

use super::register::Register;

// SAFETY: AIRCR is mapped at 0xE000ED0C on every Cortex-M (ARMv6-M Architecture Reference Manual, B3.2.6) and touches no memory.
const APPLICATION_INTERRUPT_AND_RESET: Register = unsafe { Register::at(0xE000_ED0C) };

/// The key that lets a write through, and SYSRESETREQ.
const REQUEST_RESET: u32 = 0x05FA << 16 | 1 << 2;

/// Resets the chip.
pub(super) fn reset() -> ! {
    loop {
        // SAFETY: waits until what was written to flash and to peripherals has arrived.
        unsafe { asm!("dsb", options(nostack, preserves_flags)) };
        APPLICATION_INTERRUPT_AND_RESET.write(REQUEST_RESET);
    }
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    reset()
}

// SAFETY: does nothing but to reset; the stack may be gone.
#[exception]
unsafe fn HardFault(_: &ExceptionFrame) -> ! {
    reset()
}
