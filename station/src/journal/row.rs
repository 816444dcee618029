//! How the words of the domain stand in columns, and back.

use keyline_protocol::identity::DeviceId;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::JournalError;
use crate::record::{DeviceIdText, RunResult, UnitState};

/// An enum of the domain that is stored by its name.
pub(super) trait Named: Copy + 'static {
    /// Its values.
    const VALUES: &'static [Self];
    /// What the column is, for an error.
    const WHAT: &'static str;
    /// The stored name.
    fn stored(self) -> &'static str;
}

impl Named for RunResult {
    const VALUES: &'static [Self] = &[Self::Passed, Self::Weak, Self::Held, Self::Failed];
    const WHAT: &'static str = "a run's result";
    fn stored(self) -> &'static str {
        self.name()
    }
}

impl Named for UnitState {
    const VALUES: &'static [Self] = &[
        Self::InProgress,
        Self::Passed,
        Self::Weak,
        Self::Held,
        Self::Failed,
        Self::Quarantined,
        Self::Scrapped,
    ];
    const WHAT: &'static str = "a unit's state";
    fn stored(self) -> &'static str {
        self.name()
    }
}

/// The value that a column names.
pub(super) fn named<T: Named>(text: &str) -> Result<T, JournalError> {
    T::VALUES
        .iter()
        .copied()
        .find(|value| value.stored() == text)
        .ok_or_else(|| {
            let names: Vec<_> = T::VALUES.iter().map(|value| value.stored()).collect();
            damaged(T::WHAT, names.join(", "), text)
        })
}

/// A stored value that contradicts what it must be.
pub(super) fn damaged(
    what: &'static str,
    expected: impl Into<String>,
    found: impl Into<String>,
) -> JournalError {
    JournalError::Damaged {
        what,
        expected: expected.into(),
        found: found.into(),
    }
}

/// The sixteen bytes of an id.
pub(super) fn id(bytes: &[u8]) -> Result<[u8; 16], JournalError> {
    bytes
        .try_into()
        .map_err(|_| damaged("an id", "16 bytes", format!("{} bytes", bytes.len())))
}

/// The twelve bytes of a device id.
pub(super) fn device_id(bytes: &[u8]) -> Result<DeviceIdText, JournalError> {
    <[u8; 12]>::try_from(bytes)
        .map(|bytes| DeviceIdText(DeviceId::from_bytes(bytes)))
        .map_err(|_| damaged("a device id", "12 bytes", format!("{} bytes", bytes.len())))
}

/// Thirty-two bytes: a hash or a salt.
pub(super) fn hash(bytes: &[u8]) -> Result<[u8; 32], JournalError> {
    bytes
        .try_into()
        .map_err(|_| damaged("a hash", "32 bytes", format!("{} bytes", bytes.len())))
}

/// A number that is never negative.
pub(super) fn unsigned(number: i64) -> Result<u64, JournalError> {
    u64::try_from(number).map_err(|_| damaged("a number", "0 or more", number.to_string()))
}

/// A count that fits 32 bits.
pub(super) fn count(number: i64) -> Result<u32, JournalError> {
    u32::try_from(number).map_err(|_| damaged("a count", "0 to 4294967295", number.to_string()))
}

/// A number as SQLite keeps it. Times and indexes stay far below 2^63.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Reads a JSON column.
pub(super) fn from_json<T: DeserializeOwned>(
    what: &'static str,
    text: &str,
) -> Result<T, JournalError> {
    serde_json::from_str(text).map_err(|error| damaged(what, "its JSON", error.to_string()))
}

/// Writes a JSON column.
pub(super) fn to_json<T: Serialize>(what: &'static str, value: &T) -> Result<String, JournalError> {
    serde_json::to_string(value).map_err(|error| damaged(what, "its JSON", error.to_string()))
}
