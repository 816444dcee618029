//! A table's columns and cells, the same for every format.

use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

/// A column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// What its cells hold.
    pub kind: ColumnKind,
}

/// What a column's cells hold, where they aren't empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnKind {
    /// Text.
    Text,
    /// A number that is never negative.
    Number,
    /// Yes or no.
    Flag,
    /// A moment, in milliseconds since 1970.
    Time,
    /// Bytes.
    Bytes,
}

/// What one cell holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Text(String),
    Number(u64),
    Flag(bool),
    Time(u64),
    Bytes(Vec<u8>),
}

/// A cell; `None` is an empty one.
pub(super) type Cell = Option<Value>;

/// A column of this kind.
pub(super) const fn column(name: &'static str, kind: ColumnKind) -> Column {
    Column { name, kind }
}

/// A text.
pub(super) fn text(text: impl Into<String>) -> Value {
    Value::Text(text.into())
}

/// A moment as RFC 3339 in UTC, to the millisecond; as plain milliseconds where it is no date of four digits.
pub(super) fn rfc_3339(at_ms: u64) -> String {
    const FORM: &[BorrowedFormatItem<'_>] =
        format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");
    time::OffsetDateTime::from_unix_timestamp_nanos(i128::from(at_ms) * 1_000_000)
        .ok()
        .and_then(|at| at.format(FORM).ok())
        .unwrap_or_else(|| at_ms.to_string())
}

/// A value as text, where a format has nothing better.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::Text(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Flag(flag) => flag.to_string(),
        Value::Time(at_ms) => rfc_3339(*at_ms),
        Value::Bytes(bytes) => hex::encode(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::rfc_3339;

    #[test]
    fn times_are_written_to_the_millisecond() {
        assert_eq!(rfc_3339(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(rfc_3339(1_700_000_000_123), "2023-11-14T22:13:20.123Z");
        assert_eq!(rfc_3339(u64::MAX), u64::MAX.to_string());
    }
}
