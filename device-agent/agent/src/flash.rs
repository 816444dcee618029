//! Flash in words: what every store on it is made of.
//!
//! Every area begins with the same two words, and always will, so that any agent recognises what a newer one wrote:
//!
//! | offset | field |
//! |-|-|
//! | 0 | [`MAGIC`] |
//! | 4 | the version of the agent that wrote the area, and its complement |
//!
//! NOR flash only clears bits, so a word whose writing was cut short has ones where it should have zeros. No such word equals the whole
//! one, and none of them is a version and its complement: a cut never looks like a newer agent.

use keyline_protocol::message::{FlashFault, Refusal};
use sha2::{Digest as _, Sha256};
use zeroize::{Zeroize, Zeroizing};

use crate::AGENT_VERSION;
use crate::hal::Hal;

/// What an erased word reads as.
pub(crate) const BLANK: u32 = 0xffff_ffff;

/// The first word of every area: "KLNE" as it lies in memory.
pub(crate) const MAGIC: u32 = u32::from_le_bytes(*b"KLNE");

/// The bytes that [`MAGIC`] and the version word take.
pub(crate) const PREFIX_LENGTH: u32 = 8;

/// The last word that is written to an area: from here on it holds something.
pub(crate) const COMMITTED: u32 = u32::from_le_bytes(*b"done");

/// How many bytes are read at a time; small, because they lie on the stack.
const CHUNK_LENGTH: usize = 64;

const _: () = assert!(
    AGENT_VERSION <= 0xffff,
    "a version and its complement share a word"
);

/// The word that names the version of the agent that writes.
const fn version_word(version: u32) -> u32 {
    (version & 0xffff) | (!version << 16)
}

/// The version of the agent that wrote the area at `address`, if one did.
fn writer_version(hal: &impl Hal, address: u32) -> Option<u32> {
    let version = word(hal, address + 4);
    (word(hal, address) == MAGIC && version == version_word(version & 0xffff))
        .then_some(version & 0xffff)
}

/// Refuses to go on where a newer agent wrote any of the areas: this one can't know what it would destroy.
///
/// # Errors
/// [`Refusal::OlderAgent`].
pub(crate) fn refuse_newer(hal: &impl Hal) -> Result<(), Refusal> {
    let layout = hal.layout();
    let [first, second] = layout.records;
    for address in [layout.key, layout.seal, first, second] {
        if let Some(written) = writer_version(hal, address)
            && written > AGENT_VERSION
        {
            return Err(Refusal::OlderAgent {
                written,
                running: AGENT_VERSION,
            });
        }
    }
    Ok(())
}

/// The word at `address`.
pub(crate) fn word(hal: &impl Hal, address: u32) -> u32 {
    let mut bytes = [0; 4];
    hal.read(address, &mut bytes);
    u32::from_le_bytes(bytes)
}

/// Hands the bytes from `address` on to `take`, a chunk at a time, until it answers `false`.
fn each_chunk(
    hal: &impl Hal,
    address: u32,
    length: u32,
    mut take: impl FnMut(&[u8]) -> bool,
) -> bool {
    let mut chunk = Zeroizing::new([0; CHUNK_LENGTH]);
    let end = address + length;
    (address..end).step_by(CHUNK_LENGTH).all(|at| {
        let count = CHUNK_LENGTH.min((end - at) as usize);
        let (bytes, _) = chunk.split_at_mut(count);
        hal.read(at, bytes);
        take(bytes)
    })
}

/// Whether every byte from `address` on is erased.
pub(crate) fn is_blank(hal: &impl Hal, address: u32, length: u32) -> bool {
    each_chunk(hal, address, length, |bytes| {
        bytes.iter().all(|byte| *byte == 0xff)
    })
}

/// Takes `length` bytes from `address` on into `hash`.
pub(crate) fn hash(hal: &impl Hal, hash: &mut Sha256, address: u32, length: u32) {
    each_chunk(hal, address, length, |bytes| {
        hash.update(bytes);
        true
    });
}

/// Erases those pages from `address` on that are not blank.
///
/// # Errors
/// [`FlashFault::Erase`] with the first page that did not become blank.
pub(crate) fn erase(hal: &mut impl Hal, address: u32, length: u32) -> Result<(), Refusal> {
    let page_length = hal.layout().page_length;
    let mut page = address;
    while page < address + length {
        if !is_blank(hal, page, page_length) {
            hal.erase_page(page);
            if !is_blank(hal, page, page_length) {
                return Err(Refusal::Flash(FlashFault::Erase, page));
            }
        }
        page += page_length;
    }
    Ok(())
}

/// Writes one word and reads it back. A blank one needs no writing.
///
/// # Errors
/// [`FlashFault::Write`] with the address of a word that did not take its value.
pub(crate) fn write_word(hal: &mut impl Hal, address: u32, value: u32) -> Result<(), Refusal> {
    if value != BLANK {
        hal.write_word(address, value);
    }
    if word(hal, address) == value {
        Ok(())
    } else {
        Err(Refusal::Flash(FlashFault::Write, address))
    }
}

/// Writes an area's first two words.
///
/// # Errors
/// As [`write_word`].
pub(crate) fn write_prefix(hal: &mut impl Hal, address: u32) -> Result<(), Refusal> {
    write_word(hal, address, MAGIC)?;
    write_word(hal, address + 4, version_word(AGENT_VERSION))
}

/// Writes bytes one after the other, each word once. What it holds back is wiped when it is dropped.
pub(crate) struct Writer {
    address: u32,
    pending: [u8; 4],
    filled: usize,
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.pending.zeroize();
    }
}

impl Writer {
    /// Begins at `address`, a multiple of 4.
    pub(crate) const fn new(address: u32) -> Self {
        Self {
            address,
            pending: [0xff; 4],
            filled: 0,
        }
    }

    /// Writes `bytes`; up to three of them wait for the word to be full.
    ///
    /// # Errors
    /// As [`write_word`].
    pub(crate) fn put(&mut self, hal: &mut impl Hal, bytes: &[u8]) -> Result<(), Refusal> {
        for byte in bytes {
            if let Some(place) = self.pending.get_mut(self.filled) {
                *place = *byte;
            }
            self.filled += 1;
            if self.filled == self.pending.len() {
                self.align(hal)?;
            }
        }
        Ok(())
    }

    /// Fills the last word with ones and writes it.
    ///
    /// # Errors
    /// As [`write_word`].
    pub(crate) fn align(&mut self, hal: &mut impl Hal) -> Result<(), Refusal> {
        if self.filled > 0 {
            write_word(hal, self.address, u32::from_le_bytes(self.pending))?;
            self.address += 4;
            self.pending = [0xff; 4];
            self.filled = 0;
        }
        Ok(())
    }
}
