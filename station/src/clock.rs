//! The time, as the station writes it down.

use std::time::{SystemTime, UNIX_EPOCH};

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A time in milliseconds since 1970 as a person reads it: UTC, to the second, as RFC 3339 writes it.
#[must_use]
pub fn text(milliseconds: u64) -> String {
    let seconds = i64::try_from(milliseconds / 1_000).unwrap_or(i64::MAX);
    OffsetDateTime::from_unix_timestamp(seconds)
        .ok()
        .and_then(|at| at.format(&Rfc3339).ok())
        .unwrap_or_else(|| "unknown".to_owned())
}

/// The time that a text of [`text`] says, in milliseconds since 1970; `None` for any other text, also for another way to write a time.
#[must_use]
pub fn parse(written: &str) -> Option<u64> {
    let at = OffsetDateTime::parse(written, &Rfc3339).ok()?;
    let milliseconds = u64::try_from(at.unix_timestamp())
        .ok()?
        .checked_mul(1_000)?;
    (text(milliseconds) == written).then_some(milliseconds)
}

/// Milliseconds since 1970-01-01 UTC by the machine's clock; 0 where that stands before 1970.
#[must_use]
pub fn wall_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| {
            u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
        })
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_time_is_written_as_rfc_3339_has_it() {
        assert_eq!(super::text(1_700_000_000_123), "2023-11-14T22:13:20Z");
    }

    #[test]
    fn only_the_one_way_to_write_a_time_is_read() {
        assert_eq!(
            super::parse("2023-11-14T22:13:20Z"),
            Some(1_700_000_000_000)
        );
        for other in [
            "2023-11-14T22:13:20.5Z",
            "2023-11-14T22:13:20+00:00",
            "2023-11-14T23:13:20+01:00",
            "2023-11-14t22:13:20z",
            "1969-12-31T23:59:59Z",
            "tomorrow",
            "",
        ] {
            assert_eq!(super::parse(other), None, "{other}");
        }
    }
}
