//! Texts of lines `name value` in a fixed order: one way to write each, so that two texts that say the same are the same bytes.

use super::AuthorityError;
use super::error::shown;

/// Reads a text line by line.
pub(super) struct Lines<'t> {
    what: &'static str,
    number: usize,
    rest: std::iter::Peekable<std::str::Split<'t, char>>,
}

impl<'t> Lines<'t> {
    /// Begins behind the first line, which must be `first`.
    pub(super) fn begin(
        what: &'static str,
        first: &str,
        text: &'t str,
    ) -> Result<Self, AuthorityError> {
        let mut lines = Self {
            what,
            number: 1,
            rest: text
                .strip_suffix('\n')
                .unwrap_or_default()
                .split('\n')
                .peekable(),
        };
        match lines.rest.next() {
            Some(found) if found == first => Ok(lines),
            found => Err(lines.refuse(
                &format!("\"{first}\" and complete lines"),
                found.unwrap_or_default(),
            )),
        }
    }

    /// The value of the next line, whose name must be this one.
    pub(super) fn field(&mut self, name: &str) -> Result<&'t str, AuthorityError> {
        self.optional(name).ok_or_else(|| {
            let got = self.rest.peek().copied();
            let mut refusal = self.refuse(&format!("\"{name} …\""), got.unwrap_or("the end"));
            if let AuthorityError::Line { line, .. } = &mut refusal {
                *line += 1;
            }
            refusal
        })
    }

    /// The value of the next line, where its name is this one.
    pub(super) fn optional(&mut self, name: &str) -> Option<&'t str> {
        let value = self.rest.peek()?.strip_prefix(name)?.strip_prefix(' ')?;
        self.rest.next();
        self.number += 1;
        Some(value)
    }

    /// The value of the next line, read.
    pub(super) fn read<T>(
        &mut self,
        name: &str,
        expected: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, AuthorityError> {
        let value = self.field(name)?;
        read(value).ok_or_else(|| self.refuse(&format!("{name} to be {expected}"), value))
    }

    /// Nothing may be left.
    pub(super) fn end(mut self) -> Result<(), AuthorityError> {
        match self.rest.next() {
            None => Ok(()),
            Some(more) => {
                self.number += 1;
                Err(self.refuse("nothing more", more))
            }
        }
    }

    fn refuse(&self, expected: &str, got: &str) -> AuthorityError {
        AuthorityError::Line {
            what: self.what,
            line: self.number,
            expected: expected.to_owned(),
            got: shown(got),
        }
    }
}

/// Thirty-two bytes in lower-case hexadecimal.
pub(super) fn hash(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    hex::decode_to_slice(text, &mut bytes).ok()?;
    (hex::encode(bytes) == text).then_some(bytes)
}

/// A number without leading zeros and signs.
pub(super) fn number<T: std::str::FromStr + std::fmt::Display>(text: &str) -> Option<T> {
    let number: T = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}
