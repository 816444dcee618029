//! Names that people give to products, orders and customers.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The longest name, in characters.
const LENGTH_MAX: usize = 64;

/// One to 64 of `A-Z a-z 0-9 . _ -`: fit for labels, file names, scripts and logs without quoting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Name(String);

impl Name {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The text is no name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Empty or too long.
    #[error("expected a name of 1 to {LENGTH_MAX} characters, got {got}")]
    Length {
        /// How long it was, in characters.
        got: usize,
    },
    /// A character that no name has.
    #[error(
        "expected only letters A-Z and a-z, digits and the characters . _ - in a name, got {got:?} at position {position}"
    )]
    Character {
        /// The character.
        got: char,
        /// Where it stands, counted from 1.
        position: usize,
    },
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let length = text.chars().count();
        if length == 0 || length > LENGTH_MAX {
            return Err(NameError::Length { got: length });
        }
        let wrong = text.chars().enumerate().find(|(_, found)| {
            !(found.is_ascii_alphanumeric() || matches!(found, '.' | '_' | '-'))
        });
        match wrong {
            Some((index, got)) => Err(NameError::Character {
                got,
                position: index + 1,
            }),
            None => Ok(Self(text.to_owned())),
        }
    }
}

impl TryFrom<String> for Name {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain() {
        for good in ["a", "WO-1001", "sensor_v2.1", &"x".repeat(64)] {
            assert_eq!(good.parse::<Name>().map(String::from), Ok(good.to_owned()));
        }
        assert_eq!("".parse::<Name>(), Err(NameError::Length { got: 0 }));
        assert_eq!(
            "x".repeat(65).parse::<Name>(),
            Err(NameError::Length { got: 65 })
        );
        for (bad, got, position) in [
            ("a b", ' ', 2),
            ("../x", '/', 3),
            ("naïve", 'ï', 3),
            ("a\n", '\n', 2),
        ] {
            assert_eq!(
                bad.parse::<Name>(),
                Err(NameError::Character { got, position })
            );
        }
    }
}
