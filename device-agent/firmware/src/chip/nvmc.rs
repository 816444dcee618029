//! Flash: the non-volatile memory controller, the same block on nRF51 and nRF52.
//!
//! nRF51 Series Reference Manual v3.0, chapter 6; nRF52832 Product Specification v1.4, chapter 11; nRF52840 Product Specification
//! v1.7, 4.3. The controller halts the core while it works where the core runs from flash, and is polled either way.
#![allow(unsafe_code, reason = "memory-mapped registers have no safe form")]

use core::arch::asm;

use super::register::Register;

// SAFETY: the controller's registers are mapped at 0x4001E000 on every chip of both families; READY and CONFIG touch no memory, and
// what ERASEPAGE may erase is the promise of `erase_page`'s caller.
const READY: Register = unsafe { Register::at(0x4001_E400) };
// SAFETY: as above.
const CONFIG: Register = unsafe { Register::at(0x4001_E504) };
// SAFETY: as above.
const ERASE_PAGE: Register = unsafe { Register::at(0x4001_E508) };

const READ_ONLY: u32 = 0;
const WRITE_ENABLE: u32 = 1;
const ERASE_ENABLE: u32 = 2;

/// Runs `act` with the controller in `mode` and returns when it is ready and read-only again.
fn in_mode(mode: u32, act: impl FnOnce()) {
    CONFIG.write(mode);
    wait_until_ready();
    act();
    wait_until_ready();
    CONFIG.write(READ_ONLY);
    wait_until_ready();
}

/// An erase takes 22 ms at most, a word 46 µs (nRF51822 Product Specification v3.4, 8.22); the controller always becomes ready.
fn wait_until_ready() {
    while READY.read() & 1 == 0 {}
}

/// Clears those bits of the word at `address` that are clear in `word`.
///
/// # Safety
/// `address` is a multiple of 4 in flash or UICR, outside the image that is running.
pub(super) unsafe fn write_word(address: u32, word: u32) {
    in_mode(WRITE_ENABLE, || {
        // SAFETY: flash outside the running image holds nothing that Rust knows of; the caller promises the rest.
        unsafe { Register::at(address) }.write(word);
    });
}

/// Sets every bit of the flash page at `address`.
///
/// # Safety
/// `address` begins a page of flash that holds no part of the image that is running.
pub(super) unsafe fn erase_page(address: u32) {
    in_mode(ERASE_ENABLE, || ERASE_PAGE.write(address));
}

/// The word of mapped memory at `address`, a multiple of 4.
///
/// In assembly, because flash begins at address 0, which Rust takes for no address at all, and because the flash controller changes
/// flash behind the compiler's back.
///
/// # Safety
/// Memory is mapped at `address`, and reading it has no effect.
pub(super) unsafe fn load_word(address: u32) -> u32 {
    let word;
    // SAFETY: the caller promises that the load has no effect but its value.
    unsafe {
        asm!("ldr {word}, [{address}]", address = in(reg) address, word = out(reg) word, options(nostack, readonly, preserves_flags));
    }
    word
}

/// Fills `into` with the bytes from `address` on, which need not be aligned.
///
/// # Safety
/// Memory is mapped at every word that holds one of the bytes, and reading it has no effect.
pub(super) unsafe fn load(address: u32, into: &mut [u8]) {
    let mut word_address = address & !3;
    let mut skipped = (address & 3) as usize;
    let mut rest = into;
    while !rest.is_empty() {
        // SAFETY: the caller promises it for every byte's word.
        let word = unsafe { load_word(word_address) }.to_le_bytes();
        let length = rest.len().min(word.len() - skipped);
        let (now, later) = rest.split_at_mut(length);
        now.copy_from_slice(&word[skipped..skipped + length]);
        (word_address, skipped, rest) = (word_address + 4, 0, later);
    }
}
