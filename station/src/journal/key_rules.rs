//! What changes do to the keys of the log. Which keys sign is decided here and nowhere else: by the log.

use super::JournalError;
use super::model::LogKey;
use super::view::View;
use crate::audit::VerifierKey;

/// The most keys in force at a time: the old one and the new one.
const IN_FORCE_MAX: usize = 2;

/// Has a further key sign.
pub(super) fn add_key(view: &mut View<'_>, text: &str) -> Result<(), JournalError> {
    let refuse = |expected| JournalError::LogKeyRefused {
        expected,
        key: text.to_owned(),
    };
    let key = VerifierKey::parse(text).map_err(|_| refuse("a verifier key NAME+KEYID+KEY"))?;
    if view.log_keys().any(|other| other.key.name() != key.name()) {
        return Err(refuse("a key under this log's name"));
    }
    match view.log_key(text) {
        Some(known) if known.in_force() => {
            return Err(refuse("a key that does not sign this log yet"));
        }
        Some(_) => return Err(refuse("a key that was never retired")),
        None => {}
    }
    if view.log_keys().filter(|other| other.in_force()).count() >= IN_FORCE_MAX {
        return Err(refuse(
            "at most two keys in force: retire one of them before adding",
        ));
    }
    let added = LogKey {
        key,
        added_at: Some(view.leaf_index),
        retired_at: None,
    };
    view.draft.log_keys.insert(text.to_owned(), added);
    Ok(())
}

/// Lets a key sign for the last time.
pub(super) fn retire_key(view: &mut View<'_>, text: &str) -> Result<(), JournalError> {
    let refuse = |expected| JournalError::LogKeyRefused {
        expected,
        key: text.to_owned(),
    };
    let mut key = view
        .log_key(text)
        .filter(|key| key.in_force())
        .cloned()
        .ok_or_else(|| refuse("a key in force"))?;
    if view.log_keys().filter(|other| other.in_force()).count() < 2 {
        return Err(refuse(
            "a key that is not the only one in force: add its successor before",
        ));
    }
    key.retired_at = Some(view.leaf_index);
    view.draft.log_keys.insert(text.to_owned(), key);
    Ok(())
}
