//! Which link a slot has, as it stands in the configuration.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A slot's link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum LinkSelector {
    /// A debug probe, by USB vendor, product and serial number: `VID:PID:SERIAL`, as probe-rs writes it.
    Probe(String),
    /// A serial port.
    Serial(PathBuf),
    /// A simulated unit.
    Sim,
}

/// The text names no link.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkSelectorError {
    /// Neither of the three kinds.
    #[error("expected \"probe:VID:PID:SERIAL\", \"serial:/dev/…\" or \"sim\", got {got:?}")]
    Kind {
        /// The text.
        got: String,
    },
    /// A probe without its serial number could be any probe.
    #[error(
        "expected \"probe:VID:PID:SERIAL\" with two hexadecimal numbers of 1 to 4 digits and a serial number, got {got:?}"
    )]
    Probe {
        /// The text.
        got: String,
    },
    /// A relative path depends on where a command is run.
    #[error("expected \"serial:\" and an absolute path, got {got:?}")]
    Serial {
        /// The text.
        got: String,
    },
}

impl FromStr for LinkSelector {
    type Err = LinkSelectorError;

    fn from_str(text: &str) -> Result<Self, LinkSelectorError> {
        let got = || text.to_owned();
        if text == "sim" {
            return Ok(Self::Sim);
        }
        if let Some(path) = text.strip_prefix("serial:") {
            return if path.starts_with('/') {
                Ok(Self::Serial(path.into()))
            } else {
                Err(LinkSelectorError::Serial { got: got() })
            };
        }
        let selector = text
            .strip_prefix("probe:")
            .ok_or_else(|| LinkSelectorError::Kind { got: got() })?;
        let mut parts = selector.splitn(3, ':');
        let numbers_good = [parts.next(), parts.next()].into_iter().all(is_usb_number);
        let serial_good = parts.next().is_some_and(|serial| {
            !serial.is_empty() && serial.chars().all(|c| c.is_ascii_graphic())
        });
        if numbers_good && serial_good {
            Ok(Self::Probe(selector.to_owned()))
        } else {
            Err(LinkSelectorError::Probe { got: got() })
        }
    }
}

fn is_usb_number(text: Option<&str>) -> bool {
    text.is_some_and(|text| {
        (1..=4).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
    })
}

impl fmt::Display for LinkSelector {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Probe(selector) => write!(formatter, "probe:{selector}"),
            Self::Serial(path) => write!(formatter, "serial:{}", path.display()),
            Self::Sim => formatter.write_str("sim"),
        }
    }
}

impl TryFrom<String> for LinkSelector {
    type Error = LinkSelectorError;

    fn try_from(text: String) -> Result<Self, LinkSelectorError> {
        text.parse()
    }
}

impl From<LinkSelector> for String {
    fn from(selector: LinkSelector) -> Self {
        selector.to_string()
    }
}
