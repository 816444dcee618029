//! The seal, and the intent to erase the identity: one page.
//!
//! | offset | field |
//! |-|-|
//! | 0 | what every area begins with ([`crate::flash`]) |
//! | 8 | the seal word |
//! | 12… | [`INTENT_SLOTS`] words, each blank or the intent to erase |
//!
//! A unit is sealed as soon as its seal word is not blank: a word whose writing was cut short seals too. An intent counts only when it
//! is whole; one that was cut short is passed over, and the next slot is used.

use keyline_protocol::message::{FlashFault, Refusal};

use crate::flash::{self, BLANK};
use crate::hal::Hal;

const SEAL: u32 = 8;
const INTENTS: u32 = 12;

/// How many times writing the intent can be cut short before the page must be erased by other means.
const INTENT_SLOTS: u32 = 32;

/// The seal word: "seal" as it lies in memory.
const SEALED: u32 = u32::from_le_bytes(*b"seal");

/// The intent to erase the identity: "wipe" as it lies in memory.
const INTENT: u32 = u32::from_le_bytes(*b"wipe");

/// Whether the unit is sealed.
pub(crate) fn is_sealed(hal: &impl Hal) -> bool {
    flash::word(hal, hal.layout().seal + SEAL) != BLANK
}

/// Whether the page has never been written since it was erased.
pub(crate) fn is_blank(hal: &impl Hal) -> bool {
    flash::is_blank(hal, hal.layout().seal, hal.layout().page_length)
}

/// Seals the unit.
///
/// # Errors
/// [`Refusal::Flash`].
pub(crate) fn seal(hal: &mut impl Hal) -> Result<(), Refusal> {
    let page = hal.layout().seal;
    // What an earlier attempt left before its seal word was written can't be written over, and says nothing.
    erase(hal)?;
    flash::write_prefix(hal, page)?;
    flash::write_word(hal, page + SEAL, SEALED)
}

/// Whether the identity is to be erased.
pub(crate) fn is_erasure_intended(hal: &impl Hal) -> bool {
    slots(hal).any(|slot| flash::word(hal, slot) == INTENT)
}

/// Writes down that the identity is to be erased.
///
/// # Errors
/// [`Refusal::Flash`].
pub(crate) fn intend_erasure(hal: &mut impl Hal) -> Result<(), Refusal> {
    let slot = slots(hal)
        .find(|slot| flash::word(hal, *slot) == BLANK)
        .ok_or(Refusal::Flash(FlashFault::Write, hal.layout().seal))?;
    flash::write_word(hal, slot, INTENT)
}

fn slots(hal: &impl Hal) -> impl Iterator<Item = u32> {
    let first = hal.layout().seal + INTENTS;
    (0..INTENT_SLOTS).map(move |slot| first + 4 * slot)
}

/// Erases the page: the unit is no longer sealed, and no erasure is intended.
///
/// # Errors
/// [`FlashFault::Erase`].
pub(crate) fn erase(hal: &mut impl Hal) -> Result<(), Refusal> {
    let layout = hal.layout();
    flash::erase(hal, layout.seal, layout.page_length)
}
