//! What may be accepted as a bundle: its version is later than the one before. Whether its signatures count was checked by whoever asks.

use sha2::{Digest as _, Sha256};

use super::JournalError;
use super::view::View;
use crate::audit::SignedNote;

/// A bundle, as its leaf says.
pub(super) struct AcceptedLeaf<'c> {
    pub(super) kind: &'c str,
    pub(super) subject: &'c str,
    pub(super) version: u64,
    pub(super) digest: &'c [u8; 32],
    pub(super) note: &'c str,
}

/// Takes a bundle in.
pub(super) fn accept(view: &mut View<'_>, leaf: &AcceptedLeaf<'_>) -> Result<(), JournalError> {
    if !["roster", "product", "station"].contains(&leaf.kind) {
        return Err(JournalError::BadValue {
            expected: "a bundle of kind roster, product or station",
            got: leaf.kind.to_owned(),
        });
    }
    let text = SignedNote::parse(leaf.note)?.text;
    if <[u8; 32]>::from(Sha256::digest(text)) != *leaf.digest {
        return Err(JournalError::BadValue {
            expected: "the digest of the bundle's own text",
            got: hex::encode(leaf.digest),
        });
    }
    let key = (leaf.kind.to_owned(), leaf.subject.to_owned());
    if view
        .bundle_version(&key)
        .is_some_and(|known| known >= leaf.version)
    {
        return Err(JournalError::BadValue {
            expected: "a bundle's version later than the one before",
            got: format!(
                "version {} of the {} {}",
                leaf.version, leaf.kind, leaf.subject
            ),
        });
    }
    view.draft.bundles.insert(key, leaf.version);
    Ok(())
}
