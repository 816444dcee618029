//! `HOST:PORT`, as it stands in a unit's flash.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use keyline_protocol::record::CLOUD_ADDRESS_LENGTH_MAX;
use serde::{Deserialize, Serialize};

/// The longest DNS name and the longest label in it (RFC 1035, 2.3.4).
const DNS_NAME_LENGTH_MAX: usize = 253;
const DNS_LABEL_LENGTH_MAX: usize = 63;

/// A host (DNS name, IPv4, or IPv6 in brackets) and a port, no longer than a record holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct CloudAddress(String);

impl CloudAddress {
    /// `HOST:PORT`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The text is no cloud address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Longer than a record holds.
    #[error("expected a cloud address of at most {CLOUD_ADDRESS_LENGTH_MAX} bytes, got {got}")]
    TooLong {
        /// Its length in bytes.
        got: usize,
    },
    /// A URL, where only host and port are wanted.
    #[error(
        "expected HOST:PORT, got a URL: leave out \"{scheme}://\" and everything after the port"
    )]
    Url {
        /// The scheme.
        scheme: String,
    },
    /// No port.
    #[error("expected HOST:PORT, got \"{got}\" without a port")]
    NoPort {
        /// The text.
        got: String,
    },
    /// Not a port.
    #[error("expected a port from 1 to 65535, got \"{got}\"")]
    Port {
        /// What stands there.
        got: String,
    },
    /// An IPv6 address without brackets.
    #[error("expected an IPv6 address in brackets, as in [2001:db8::1]:8883, got \"{got}\"")]
    Brackets {
        /// The text.
        got: String,
    },
    /// What stands in brackets is no IPv6 address.
    #[error("expected an IPv6 address in the brackets, got \"{got}\"")]
    Ipv6 {
        /// What stands there.
        got: String,
    },
    /// Four numbers that are no IPv4 address.
    #[error("expected an IPv4 address of four numbers from 0 to 255, got \"{got}\"")]
    Ipv4 {
        /// What stands there.
        got: String,
    },
    /// An address that reaches nobody.
    #[error("expected the address of a cloud, got \"{got}\", which no device can reach")]
    Unusable {
        /// The host.
        got: String,
    },
    /// Not a DNS name.
    #[error(
        "expected a host name of letters, digits and hyphens in labels of 1 to 63 characters, got \"{got}\""
    )]
    Host {
        /// What stands there.
        got: String,
    },
}

impl FromStr for CloudAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        if text.len() > CLOUD_ADDRESS_LENGTH_MAX {
            return Err(AddressError::TooLong { got: text.len() });
        }
        if let Some((scheme, _)) = text.split_once("://") {
            return Err(AddressError::Url {
                scheme: printable(scheme),
            });
        }
        let got = || printable(text);
        if let Some(bracketed) = text.strip_prefix('[') {
            let (host, rest) = bracketed
                .split_once(']')
                .ok_or_else(|| AddressError::Brackets { got: got() })?;
            let port = rest
                .strip_prefix(':')
                .ok_or_else(|| AddressError::NoPort { got: got() })?;
            check_ipv6(host)?;
            check_port(port)?;
        } else {
            if text.parse::<Ipv6Addr>().is_ok() || text.matches(':').count() > 1 {
                return Err(AddressError::Brackets { got: got() });
            }
            let (host, port) = text
                .split_once(':')
                .ok_or_else(|| AddressError::NoPort { got: got() })?;
            check_host(host)?;
            check_port(port)?;
        }
        Ok(Self(text.to_owned()))
    }
}

/// One writing for each port: digits only, no sign, no leading zero.
fn check_port(text: &str) -> Result<(), AddressError> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    match text.parse::<u16>() {
        Ok(1..) if plain => Ok(()),
        _ => Err(AddressError::Port {
            got: printable(text),
        }),
    }
}

fn check_ipv6(host: &str) -> Result<(), AddressError> {
    let got = || printable(host);
    let address: Ipv6Addr = host
        .parse()
        .map_err(|_| AddressError::Ipv6 { got: got() })?;
    if address.is_unspecified() || address.is_multicast() {
        return Err(AddressError::Unusable { got: got() });
    }
    Ok(())
}

fn check_host(host: &str) -> Result<(), AddressError> {
    let got = || printable(host);
    let last_label = host.rsplit('.').next().unwrap_or_default();
    if !last_label.is_empty() && last_label.bytes().all(|byte| byte.is_ascii_digit()) {
        // A name that ends in a number can only be meant as an IPv4 address (RFC 3696, 2).
        let address: Ipv4Addr = host
            .parse()
            .map_err(|_| AddressError::Ipv4 { got: got() })?;
        if address.is_unspecified() || address.is_multicast() || address.is_broadcast() {
            return Err(AddressError::Unusable { got: got() });
        }
        return Ok(());
    }
    let good = host.len() <= DNS_NAME_LENGTH_MAX && host.split('.').all(good_label);
    good.then_some(())
        .ok_or_else(|| AddressError::Host { got: got() })
}

/// RFC 1123, 2.1: letters, digits, hyphens, none of these at either end.
fn good_label(label: &str) -> bool {
    (1..=DNS_LABEL_LENGTH_MAX).contains(&label.len())
        && label
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        && !label.starts_with('-')
        && !label.ends_with('-')
}

/// What was typed, without control characters that could disturb a terminal.
fn printable(text: &str) -> String {
    text.escape_debug().to_string()
}

impl TryFrom<String> for CloudAddress {
    type Error = AddressError;

    fn try_from(text: String) -> Result<Self, AddressError> {
        text.parse()
    }
}

impl From<CloudAddress> for String {
    fn from(address: CloudAddress) -> Self {
        address.0
    }
}

impl fmt::Display for CloudAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}
