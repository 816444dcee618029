//! What a serial number looks like: refused before a run begins, not found out after.

/// The longest serial number, in characters.
pub const LENGTH_MAX: usize = 32;

/// Why a text is no serial number of a product.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SerialError {
    /// No text, or too long a one.
    #[error("expected a serial of 1 to {LENGTH_MAX} characters, got {0}")]
    Length(usize),
    /// A character that no label prints.
    #[error("expected letters, digits, '-', '.', '_' and '/', got {0:?} in the serial")]
    Character(char),
    /// Not in the product's format.
    #[error(
        "expected a serial like \"{format}\" (# stands for a digit, @ for a capital letter), got \"{got}\""
    )]
    Format {
        /// The product's format.
        format: String,
        /// What was scanned.
        got: String,
    },
    /// The product's units carry serials, and none was given.
    #[error("expected a serial like \"{format}\", got none")]
    Missing {
        /// The product's format.
        format: String,
    },
}

/// Checks a scanned serial against a product's format: `#` stands for a digit, `@` for a capital letter, anything else for itself.
///
/// # Errors
/// [`SerialError`], in words for the person who scanned.
pub fn check(format: Option<&str>, serial: Option<&str>) -> Result<(), SerialError> {
    let serial = match (format, serial) {
        (_, Some(serial)) => serial,
        (None, None) => return Ok(()),
        (Some(format), None) => {
            return Err(SerialError::Missing {
                format: format.to_owned(),
            });
        }
    };
    let length = serial.chars().count();
    if !(1..=LENGTH_MAX).contains(&length) {
        return Err(SerialError::Length(length));
    }
    if let Some(character) = serial
        .chars()
        .find(|character| !(character.is_ascii_alphanumeric() || "-._/".contains(*character)))
    {
        return Err(SerialError::Character(character));
    }
    match format {
        Some(format) if !fits(format, serial) => Err(SerialError::Format {
            format: format.to_owned(),
            got: serial.to_owned(),
        }),
        _ => Ok(()),
    }
}

fn fits(format: &str, serial: &str) -> bool {
    format.chars().count() == serial.chars().count()
        && format
            .chars()
            .zip(serial.chars())
            .all(|(expected, got)| match expected {
                '#' => got.is_ascii_digit(),
                '@' => got.is_ascii_uppercase(),
                _ => expected == got,
            })
}

#[cfg(test)]
mod tests {
    use super::{SerialError, check};

    #[test]
    fn a_serial_must_look_like_one_of_the_product() {
        assert_eq!(check(Some("TH-######"), Some("TH-001234")), Ok(()));
        assert_eq!(check(None, None), Ok(()));
        assert_eq!(check(None, Some("anything/1.0_b")), Ok(()));
        for bad in ["TH-00123", "TH-0012345", "th-001234", "TH-00123a"] {
            assert!(
                matches!(
                    check(Some("TH-######"), Some(bad)),
                    Err(SerialError::Format { .. })
                ),
                "{bad}"
            );
        }
        assert_eq!(check(None, Some("")), Err(SerialError::Length(0)));
        assert_eq!(
            check(None, Some(&"1".repeat(33))),
            Err(SerialError::Length(33))
        );
        assert_eq!(check(None, Some("a\nb")), Err(SerialError::Character('\n')));
        assert!(matches!(
            check(Some("@@##"), None),
            Err(SerialError::Missing { .. })
        ));
    }
}
