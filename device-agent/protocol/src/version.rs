//! Protocol versions and the rule by which they change.
//!
//! **The rule.** `Hello` and its two answers (`Hello`, `Refused(UnsupportedVersion)`) are frozen for ever, as are the frame header and
//! the CRC. Within a version no byte changes its meaning. A new version may append variants to
//! [`Request`](crate::message::Request), [`Response`](crate::message::Response) and [`Refusal`](crate::message::Refusal); it never
//! reorders, removes or re-types one. What is signed names the version it was made under, so a proof of one version is never one of
//! another. `tests/frozen_v1.rs` holds the literal bytes of version 1.

/// The version that this crate speaks.
pub const CURRENT: u16 = 1;

/// The oldest version that this crate still speaks.
pub const OLDEST: u16 = 1;

/// The highest version that both `[minimum, maximum]` and this crate speak, or `None` if there is none.
#[must_use]
pub fn negotiate(minimum: u16, maximum: u16) -> Option<u16> {
    let chosen = maximum.min(CURRENT);
    (minimum <= maximum && chosen >= minimum.max(OLDEST)).then_some(chosen)
}

#[cfg(test)]
mod tests {
    use super::negotiate;

    #[test]
    fn picks_the_highest_version_that_both_speak() {
        assert_eq!(negotiate(1, 1), Some(1));
        assert_eq!(negotiate(1, 9), Some(1));
        assert_eq!(
            negotiate(2, 9),
            None,
            "a unit that speaks only newer versions"
        );
        assert_eq!(
            negotiate(0, 0),
            None,
            "a unit that speaks only older versions"
        );
        assert_eq!(negotiate(9, 1), None, "a range that is none");
    }
}
