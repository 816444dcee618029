//! One memory-mapped word.
#![allow(unsafe_code, reason = "memory-mapped registers have no safe form")]

use core::ptr;

/// A word of a peripheral, a core register, or flash that the flash controller holds open for writing.
#[derive(Clone, Copy)]
pub(super) struct Register(u32);

impl Register {
    /// The register at `address`.
    ///
    /// # Safety
    /// `address` is a multiple of 4, is mapped on this chip, lies outside everything that Rust knows of (statics, stack, heap), and
    /// reading or writing any value there touches no memory that Rust knows of.
    pub(super) const unsafe fn at(address: u32) -> Self {
        Self(address)
    }

    /// Reads the word.
    pub(super) fn read(self) -> u32 {
        // SAFETY: whoever made the value promised that the address is mapped, aligned and no business of Rust's.
        unsafe { ptr::read_volatile(ptr::with_exposed_provenance(self.0 as usize)) }
    }

    /// Writes the word.
    pub(super) fn write(self, word: u32) {
        // SAFETY: as in `read`.
        unsafe { ptr::write_volatile(ptr::with_exposed_provenance_mut(self.0 as usize), word) }
    }
}
