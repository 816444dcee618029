//! Erasing the identity, and what a boot puts in order.
//!
//! Erasing takes many flash operations, and a power cut between any two of them must not leave a unit that looks like something it is
//! not: a key without its seal, a seal that nobody can open, half a private key. So the intent is written down first, in the seal's page
//! (one word: it is there or it is not). Then the records go, then the key, and the seal's page, with the intent, last. Whoever boots
//! with the intent set goes through all of it again before he answers anything.
//!
//! One state is left: the cut falls into the erase of the seal's page, which then holds any bits at all, perhaps a seal word and no
//! intent. A unit is only ever sealed with a key and a record, so a seal's page that is not blank beside blank areas is what such a cut
//! left, and is erased.

use keyline_protocol::message::Refusal;

use crate::hal::Hal;
use crate::{flash, key_store, record_store, seal};

/// Erases the device key, the record and the seal. `Ok` means that nothing is left of them in flash.
///
/// # Errors
/// [`Refusal::Flash`]; the next boot goes on.
pub(crate) fn erase_identity(hal: &mut impl Hal) -> Result<(), Refusal> {
    seal::intend_erasure(hal)?;
    finish(hal)
}

fn finish(hal: &mut impl Hal) -> Result<(), Refusal> {
    record_store::erase(hal)?;
    key_store::erase(hal)?;
    seal::erase(hal)
}

/// Finishes or clears away what was interrupted before this boot. `body` is room for reading records.
///
/// # Errors
/// [`Refusal::OlderAgent`] with nothing touched; [`Refusal::Flash`].
pub(crate) fn recover(hal: &mut impl Hal, body: &mut [u8]) -> Result<(), Refusal> {
    flash::refuse_newer(hal)?;
    if seal::is_erasure_intended(hal) {
        return finish(hal);
    }
    key_store::recover(hal)?;
    record_store::recover(hal, body)?;
    let layout = hal.layout();
    let [first, _] = layout.records;
    let nothing_to_seal = flash::is_blank(hal, layout.key, layout.page_length)
        && flash::is_blank(hal, first, layout.end() - first);
    if nothing_to_seal && !seal::is_blank(hal) {
        seal::erase(hal)?;
    }
    Ok(())
}
