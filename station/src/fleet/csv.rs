//! Rows of CSV (RFC 4180), strictly: a row is refused where a lenient reader would guess.
//!
//! The reading is our own because a row must be bounded in length, must know the line that it begins on, and must not swallow the rows
//! behind it when a quote is never closed.

use super::error::FileError;
use super::lines::Line;
use super::member::{Member, known_names, shown_name};

/// The most lines of one row: a PEM block of an RSA-3072 key has eleven.
pub(super) const ROW_LINES_MAX: usize = 64;

/// Takes a row apart, line by line.
#[derive(Default)]
pub(super) struct RowScanner {
    fields: Vec<Vec<u8>>,
    field: Vec<u8>,
    place: Place,
}

/// Where the scanner stands.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Place {
    /// At the beginning of a field.
    #[default]
    Begin,
    /// In a field without quotes.
    Plain,
    /// Between quotes.
    Quoted,
    /// Behind a quote that ends the field, or is the first of two.
    Quote,
}

impl RowScanner {
    /// Takes a line; true where the row ends with it.
    pub(super) fn push(&mut self, line: &Line) -> Result<bool, &'static str> {
        let content = line.content();
        for byte in content {
            self.byte(*byte)?;
        }
        if self.place == Place::Quoted {
            // The line's own end belongs to the field.
            self.field
                .extend_from_slice(line.bytes.get(content.len()..).unwrap_or_default());
            return Ok(false);
        }
        self.end_field();
        Ok(true)
    }

    fn byte(&mut self, byte: u8) -> Result<(), &'static str> {
        match (self.place, byte) {
            (Place::Begin, b'"') => self.place = Place::Quoted,
            (Place::Begin | Place::Plain | Place::Quote, b',') => self.end_field(),
            (Place::Plain, b'"') => {
                return Err("a quote inside of a field without quotes");
            }
            (Place::Begin | Place::Plain, _) => {
                self.place = Place::Plain;
                self.field.push(byte);
            }
            (Place::Quoted, b'"') => self.place = Place::Quote,
            (Place::Quoted, _) => self.field.push(byte),
            (Place::Quote, b'"') => {
                self.place = Place::Quoted;
                self.field.push(byte);
            }
            (Place::Quote, _) => return Err("text behind a closing quote"),
        }
        Ok(())
    }

    fn end_field(&mut self) {
        self.fields.push(std::mem::take(&mut self.field));
        self.place = Place::Begin;
    }

    /// The fields; `None` where one is no UTF-8.
    pub(super) fn into_fields(self) -> Option<Vec<String>> {
        self.fields
            .into_iter()
            .map(|field| String::from_utf8(field).ok())
            .collect()
    }
}

/// The columns that a header names.
pub(super) fn header(line: &Line) -> Result<Vec<Member>, FileError> {
    let refuse = |problem: String| FileError::Header {
        problem,
        known: known_names(),
    };
    let mut scanner = RowScanner::default();
    let whole = scanner.push(line).map_err(|got| refuse(got.to_owned()))?;
    let names = scanner
        .into_fields()
        .filter(|_| whole && !line.too_long)
        .ok_or_else(|| refuse("a line that is no header".to_owned()))?;
    let mut columns = Vec::new();
    for name in &names {
        let name = name.trim();
        let column = Member::of(name)
            .filter(|member| *member != Member::Jwk)
            .ok_or_else(|| refuse(unknown(name)))?;
        if columns.contains(&column) {
            return Err(refuse(format!("the column {column} twice")));
        }
        columns.push(column);
    }
    for needed in [Member::DeviceId, Member::PublicKey] {
        if !columns.contains(&needed) {
            return Err(refuse(format!("no column {needed}")));
        }
    }
    Ok(columns)
}

fn unknown(name: &str) -> String {
    if name.contains(';') {
        "columns separated by semicolons instead of commas".to_owned()
    } else {
        format!("the unknown column {}", shown_name(name))
    }
}
