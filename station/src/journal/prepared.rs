//! A change made ready by whoever asks for it, so that the one writer has little to do.

use super::JournalError;
use super::row::to_json;
use crate::audit::{Hash, commitment};
use crate::record::Change;

/// A change, its body and the commitment to it.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) change: Change,
    /// The change as JSON, its fields in the order of their declaration, without white space.
    pub(super) body: String,
    /// Random, so that the commitment tells nothing of a body that could be guessed.
    pub(super) salt: [u8; 32],
    pub(super) commitment: Hash,
}

impl Prepared {
    pub(super) fn new(change: Change) -> Result<Self, JournalError> {
        let body = to_json("a change", &change)?;
        let salt: [u8; 32] = rand::random();
        Ok(Self {
            commitment: commitment(&salt, body.as_bytes()),
            change,
            body,
            salt,
        })
    }
}
