//! What an export is asked for.

use serde::{Deserialize, Serialize};
use time::format_description::BorrowedFormatItem;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{Date, OffsetDateTime};

use super::ExportError;
use super::column::rfc_3339;

/// Which rows are wanted. What isn't given doesn't narrow; what is given holds all at once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    /// Only this order: its name or id.
    pub order: Option<String>,
    /// Only this product: its id, or the name that it has or had.
    pub product: Option<String>,
    /// Only what is built for this customer.
    pub customer: Option<String>,
    /// Only from this moment on, in milliseconds since 1970.
    pub from_ms: Option<u64>,
    /// Only before this moment.
    pub to_ms: Option<u64>,
}

impl Filter {
    /// Checks that the filter can select something and can stand in a line of the manifest.
    ///
    /// # Errors
    /// [`ExportError::Filter`].
    pub fn check(&self) -> Result<(), ExportError> {
        let names = [&self.order, &self.product, &self.customer];
        let strange = |name: &&String| {
            name.is_empty() || name.contains(|c: char| c.is_whitespace() || c.is_control())
        };
        if let Some(name) = names.into_iter().flatten().find(strange) {
            return Err(ExportError::Filter {
                expected: "a name or id without spaces",
                got: format!("{name:?}"),
            });
        }
        match (self.from_ms, self.to_ms) {
            (Some(from), Some(to)) if from >= to => Err(ExportError::Filter {
                expected: "a --from before --to, which is itself left out",
                got: format!("{} and {}", rfc_3339(from), rfc_3339(to)),
            }),
            _ => Ok(()),
        }
    }

    /// Whether orders, and with them customers, are told apart.
    pub(super) const fn narrows_orders(&self) -> bool {
        self.order.is_some() || self.product.is_some() || self.customer.is_some()
    }

    /// Whether the moment is one of those asked for.
    pub(super) fn takes(&self, at_ms: u64) -> bool {
        self.from_ms.is_none_or(|from| at_ms >= from) && self.to_ms.is_none_or(|to| at_ms < to)
    }
}

/// `all`, or what was given: `order=WO-1 from=2026-01-01T00:00:00.000Z`.
impl std::fmt::Display for Filter {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names = [
            ("order", &self.order),
            ("product", &self.product),
            ("customer", &self.customer),
        ];
        let names = names
            .into_iter()
            .filter_map(|(key, name)| Some(format!("{key}={}", name.as_deref()?)));
        let times = [("from", self.from_ms), ("to", self.to_ms)];
        let times = times
            .into_iter()
            .filter_map(|(key, at_ms)| Some(format!("{key}={}", rfc_3339(at_ms?))));
        let parts: Vec<String> = names.chain(times).collect();
        if parts.is_empty() {
            return formatter.write_str("all");
        }
        formatter.write_str(&parts.join(" "))
    }
}

/// Reads a moment: RFC 3339, or a date, which stands for its first moment in UTC. Gives milliseconds since 1970.
///
/// # Errors
/// A sentence for whoever typed it.
pub fn parse_time(text: &str) -> Result<u64, String> {
    const DATE: &[BorrowedFormatItem<'_>] = format_description!("[year]-[month]-[day]");
    let refuse = || {
        format!(
            "expected a date (2026-01-31) or a moment (2026-01-31T08:00:00Z) since 1970, got {text:?}"
        )
    };
    let at = OffsetDateTime::parse(text, &Rfc3339)
        .or_else(|_| Date::parse(text, DATE).map(|date| date.midnight().assume_utc()))
        .map_err(|_| refuse())?;
    // A moment between two milliseconds counts as the later one, so that what is before it stays before it.
    let nanoseconds = u128::try_from(at.unix_timestamp_nanos()).map_err(|_| refuse())?;
    u64::try_from(nanoseconds.div_ceil(1_000_000)).map_err(|_| refuse())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_dates_or_rfc_3339() {
        for (text, expected) in [
            ("1970-01-01", 0),
            ("2023-11-14", 1_699_920_000_000),
            ("2023-11-14T22:13:20Z", 1_700_000_000_000),
            ("2023-11-14T22:13:20.123Z", 1_700_000_000_123),
            ("2023-11-14T22:13:20.1230001Z", 1_700_000_000_124),
            ("2023-11-15T00:13:20+02:00", 1_700_000_000_000),
            ("9999-12-31", 253_402_214_400_000),
        ] {
            assert_eq!(parse_time(text), Ok(expected), "{text}");
        }
        for text in [
            "",
            "yesterday",
            "2023-02-30",
            "2023-11-14T22:13:20",
            "2023-11-14 ",
            "1969-12-31",
            "14.11.2023",
            "1700000000",
        ] {
            assert!(parse_time(text).unwrap_err().contains("got"), "{text}");
        }
    }

    #[test]
    fn a_filter_says_what_it_takes() {
        let mut filter = Filter::default();
        assert_eq!(filter.to_string(), "all");
        assert!(filter.check().is_ok() && !filter.narrows_orders());
        filter.from_ms = Some(1_000);
        filter.to_ms = Some(2_000);
        assert!(filter.check().is_ok() && !filter.narrows_orders());
        assert!(!filter.takes(999) && filter.takes(1_000) && filter.takes(1_999));
        assert!(!filter.takes(2_000));
        filter.customer = Some("acme".to_owned());
        assert!(filter.narrows_orders());
        assert_eq!(
            filter.to_string(),
            "customer=acme from=1970-01-01T00:00:01.000Z to=1970-01-01T00:00:02.000Z"
        );
        filter.to_ms = Some(1_000);
        assert!(filter.check().is_err());
        let two_lines = Filter {
            order: Some("WO-1\nfile".to_owned()),
            ..Filter::default()
        };
        assert!(two_lines.check().is_err());
    }
}
