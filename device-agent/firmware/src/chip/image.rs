//! The image that is running, as it lies in memory.
#![allow(unsafe_code, reason = "the linker's symbols have no safe form")]

use super::nvmc;

unsafe extern "C" {
    // The linker's symbols: only their addresses mean anything.
    static __vector_table: u32;
    static __sidata: u32;
    static __sdata: u32;
    static __edata: u32;
}

/// Bytes that are handed on at once: a few blocks of SHA-256.
const PIECE_LENGTH: u32 = 256;

#[allow(clippy::cast_possible_truncation, reason = "addresses have 32 bits")]
fn address_of(symbol: *const u32) -> u32 {
    symbol.addr() as u32
}

/// Hands the image to `take`: from the vector table to the last byte of the initial values of what can be written.
pub(super) fn read(take: &mut dyn FnMut(&[u8])) {
    let mut address = address_of(&raw const __vector_table);
    let data_length = address_of(&raw const __edata) - address_of(&raw const __sdata);
    let end = address_of(&raw const __sidata) + data_length;
    let mut piece = [0; PIECE_LENGTH as usize];
    while address < end {
        let length = PIECE_LENGTH.min(end - address) as usize;
        // SAFETY: the linker placed the image there, and nothing writes to it while it runs.
        unsafe { nvmc::load(address, &mut piece[..length]) };
        take(&piece[..length]);
        address += PIECE_LENGTH;
    }
}
