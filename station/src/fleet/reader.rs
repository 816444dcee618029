//! From a file's bytes to rows that are in order or refused, one after the other.

use std::collections::VecDeque;
use std::fmt;
use std::io::BufRead;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::csv::{self, ROW_LINES_MAX, RowScanner};
use super::error::FileError;
use super::jsonl;
use super::lines::{LINE_LENGTH_MAX, Line, Lines};
use super::member::{Member, Members};
use super::refusal::{Refusal, RefusalCode, RefusedRow};
use super::seen::{ImportedKey, Seen};
use crate::record::Name;

/// How a fleet's file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FleetFormat {
    /// CSV (RFC 4180), UTF-8, with a header.
    Csv,
    /// One JSON object a line.
    Jsonl,
}

impl FleetFormat {
    /// The format that a file's name says, if it does.
    #[must_use]
    pub fn of_path(path: &Path) -> Option<Self> {
        let extension = path.extension()?.to_str()?.to_ascii_lowercase();
        match extension.as_str() {
            "csv" => Some(Self::Csv),
            "jsonl" | "ndjson" => Some(Self::Jsonl),
            _ => None,
        }
    }
}

impl fmt::Display for FleetFormat {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Csv => "CSV",
            Self::Jsonl => "JSON Lines",
        })
    }
}

/// What a reader has to know.
#[derive(Clone, Debug, Default)]
pub struct ReaderOptions {
    /// The format; `None` to see it from the first byte.
    pub format: Option<FleetFormat>,
    /// The product of rows that name none.
    pub product: Option<Name>,
}

/// A row: in order, or refused.
pub type ReadRow = Result<ImportedKey, RefusedRow>;

/// Reads rows. It holds one row, and the devices and keys of the latest ones to find repeated ones; never the file.
///
/// As an iterator it ends after the last row, or after a [`FileError`] that makes the rest unreadable.
pub struct FleetReader<R> {
    lines: Lines<R>,
    /// Lines that were read as a part of a row that they are none of.
    pending: VecDeque<Line>,
    format: FleetFormat,
    columns: Vec<Member>,
    product: Option<Name>,
    seen: Seen,
    rows: u64,
    ended: bool,
}

impl<R: BufRead> FleetReader<R> {
    /// Looks at the first line: whether this is a file that can be read, and its header.
    ///
    /// # Errors
    /// [`FileError`].
    pub fn open(reader: R, options: ReaderOptions) -> Result<Self, FileError> {
        let mut lines = Lines::new(reader);
        let mut first = lines
            .next()
            .map_err(|source| FileError::Unreadable { line: 1, source })?
            .ok_or(FileError::Empty)?;
        refuse_other_files(&first.bytes)?;
        if let Some(rest) = first.bytes.strip_prefix(b"\xef\xbb\xbf") {
            first.bytes = rest.to_vec();
        }
        let begin = first.bytes.trim_ascii_start().first().copied();
        let seen_format = match begin {
            Some(b'{' | b'[') => FleetFormat::Jsonl,
            _ => FleetFormat::Csv,
        };
        let format = options.format.unwrap_or(seen_format);
        if format == FleetFormat::Jsonl && begin == Some(b'[') {
            return Err(FileError::Array);
        }
        let mut reader = Self {
            lines,
            pending: VecDeque::new(),
            format,
            columns: Vec::new(),
            product: options.product,
            seen: Seen::default(),
            rows: 0,
            ended: false,
        };
        match format {
            FleetFormat::Csv => reader.columns = csv::header(&first)?,
            FleetFormat::Jsonl => reader.pending.push_back(first),
        }
        Ok(reader)
    }

    /// How the file is written.
    pub const fn format(&self) -> FleetFormat {
        self.format
    }

    /// How many bytes were read.
    pub const fn offset(&self) -> u64 {
        self.lines.offset()
    }

    /// How many lines were read.
    pub const fn line(&self) -> u64 {
        self.lines.number()
    }

    /// How many rows were read, refused ones included.
    pub const fn rows(&self) -> u64 {
        self.rows
    }

    /// SHA-256 of the bytes that were read.
    pub fn digest(&self) -> [u8; 32] {
        self.lines.digest()
    }

    fn next_line(&mut self) -> Result<Option<Line>, FileError> {
        if let Some(line) = self.pending.pop_front() {
            return Ok(Some(line));
        }
        let line = self.lines.number() + 1;
        self.lines
            .next()
            .map_err(|source| FileError::Unreadable { line, source })
    }

    /// The next row; `None` at the end.
    fn row(&mut self) -> Result<Option<ReadRow>, FileError> {
        loop {
            let Some(line) = self.next_line()? else {
                return Ok(None);
            };
            if line.is_blank() {
                continue;
            }
            let number = line.number;
            let members = match self.format {
                FleetFormat::Jsonl => json_members(&line),
                FleetFormat::Csv => self.csv_members(line)?,
            };
            return Ok(Some(match members {
                Ok(members) => self.check(&members, number),
                Err(refusal) => Err(refusal.at(number, None)),
            }));
        }
    }

    fn check(&mut self, members: &Members, line: u64) -> ReadRow {
        let key = members.check(line, self.product.as_ref())?;
        match self.seen.add(&key) {
            Ok(()) => Ok(key),
            Err(refusal) => Err(refusal.at(line, Some(key.device_id))),
        }
    }

    /// Collects the lines of a row. Where they are none, the first one is refused and the others are looked at again.
    fn csv_members(&mut self, first: Line) -> Result<Result<Members, Refusal>, FileError> {
        let mut scanner = RowScanner::default();
        let mut lines = vec![first];
        loop {
            let length: usize = lines.iter().map(|line| line.bytes.len()).sum();
            let within_bounds = lines.len() <= ROW_LINES_MAX && length <= LINE_LENGTH_MAX;
            let Some(line) = lines.last() else {
                return Ok(Err(unclosed_quote()));
            };
            let refusal = match check_line(line) {
                Err(refusal) if lines.len() == 1 => refusal,
                Err(refusal) if refusal.code == RefusalCode::Truncated => {
                    return Ok(Err(self.ended_in_quotes(lines, refusal)));
                }
                Ok(()) if within_bounds => match scanner.push(line) {
                    Ok(true) => return Ok(self.fields(scanner)),
                    Ok(false) => {
                        let Some(line) = self.next_line()? else {
                            let refusal = truncated("inside of quotes");
                            return Ok(Err(self.ended_in_quotes(lines, refusal)));
                        };
                        lines.push(line);
                        continue;
                    }
                    Err(problem) => not_csv(format!("got {problem}")),
                },
                _ => unclosed_quote(),
            };
            self.look_again(lines);
            return Ok(Err(refusal));
        }
    }

    /// The file ended before a quote was closed: it is cut off in a key of several lines, or somebody forgot the quote. A key's lines have
    /// no comma and a row has one, so that rows are not lost with the quote. The last line may be the end of the row itself.
    fn ended_in_quotes(&mut self, lines: Vec<Line>, refusal: Refusal) -> Refusal {
        let cut = lines.last().is_some_and(|line| !line.ended);
        let whole = lines.len() - usize::from(cut);
        let mut behind = lines.iter().take(whole).skip(1);
        if !behind.any(|line| line.bytes.contains(&b',')) {
            return refusal;
        }
        self.look_again(lines);
        unclosed_quote()
    }

    /// All but the first line are read once more, as rows of their own.
    fn look_again(&mut self, lines: Vec<Line>) {
        for line in lines.into_iter().skip(1).rev() {
            self.pending.push_front(line);
        }
    }

    fn fields(&self, scanner: RowScanner) -> Result<Members, Refusal> {
        let fields = scanner.into_fields().ok_or_else(not_text)?;
        if fields.len() != self.columns.len() {
            return Err(not_csv(format!(
                "expected {} fields as in the header, got {}",
                self.columns.len(),
                fields.len()
            )));
        }
        let mut members = Members::default();
        for (column, field) in self.columns.iter().zip(fields) {
            members.put(*column, field);
        }
        Ok(members)
    }
}

impl<R: BufRead> Iterator for FleetReader<R> {
    type Item = Result<ReadRow, FileError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        match self.row() {
            Ok(Some(row)) => {
                self.rows += 1;
                Some(Ok(row))
            }
            Ok(None) => {
                self.ended = true;
                (self.rows == 0).then_some(Err(FileError::NoRows))
            }
            Err(error) => {
                self.ended = true;
                Some(Err(error))
            }
        }
    }
}

/// Files that are no text at all (RFC 1952, 2.3.1; the Unicode standard, 2.6), by their first bytes.
fn refuse_other_files(bytes: &[u8]) -> Result<(), FileError> {
    if bytes.starts_with(b"\x1f\x8b") {
        return Err(FileError::Compressed {
            kind: "gzip",
            command: "gunzip",
        });
    }
    if bytes.starts_with(b"PK\x03\x04") {
        return Err(FileError::Compressed {
            kind: "ZIP (or a spreadsheet)",
            command: "unzip",
        });
    }
    if bytes.starts_with(b"\x28\xb5\x2f\xfd") {
        return Err(FileError::Compressed {
            kind: "Zstandard",
            command: "unzstd",
        });
    }
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        return Err(FileError::Utf16);
    }
    if bytes.contains(&0) {
        return Err(FileError::Binary);
    }
    Ok(())
}

/// What makes a line unreadable by itself.
fn check_line(line: &Line) -> Result<(), Refusal> {
    if line.too_long {
        return Err(Refusal::new(
            RefusalCode::RowTooLong,
            format!("expected a row of at most {LINE_LENGTH_MAX} bytes, got a longer one"),
            "Look whether the file's line ends were lost.",
        ));
    }
    if !line.ended {
        return Err(truncated("without an end of the line"));
    }
    if line.bytes.contains(&0) || std::str::from_utf8(&line.bytes).is_err() {
        return Err(not_text());
    }
    Ok(())
}

fn json_members(line: &Line) -> Result<Members, Refusal> {
    check_line(line)?;
    jsonl::row(std::str::from_utf8(line.content()).map_err(|_| not_text())?)
}

fn truncated(how: &str) -> Refusal {
    Refusal::new(
        RefusalCode::Truncated,
        format!("expected a whole row, the file ends {how}: it is cut off"),
        "Copy the file again; where the row is whole, put an end of line behind it.",
    )
}

fn not_text() -> Refusal {
    Refusal::new(
        RefusalCode::NotText,
        "expected UTF-8 text, got other bytes",
        "Save the file as UTF-8.",
    )
}

fn unclosed_quote() -> Refusal {
    not_csv("expected a closing quote, got none within the row's bounds".to_owned())
}

fn not_csv(message: String) -> Refusal {
    let message = if message.starts_with("expected") {
        message
    } else {
        format!("expected CSV as RFC 4180 has it, {message}")
    };
    Refusal::new(
        RefusalCode::NotCsv,
        message,
        "Write a field with commas, quotes or line ends in quotes, and a quote in it twice.",
    )
}
