//! Lines of bounded length, and what was read so far as a digest.

use std::io::{self, BufRead, ErrorKind};

use sha2::{Digest as _, Sha256};

/// The longest line, and the longest row of several lines, in bytes. The longest honest row is an RSA-3072 JWK or PEM: under 2 KiB.
pub const LINE_LENGTH_MAX: usize = 64 * 1024;

/// A line of a file.
#[derive(Clone, Debug)]
pub(super) struct Line {
    /// From 1.
    pub(super) number: u64,
    /// What stands there, its end included; of a line that is too long only the beginning.
    pub(super) bytes: Vec<u8>,
    /// It has an end.
    pub(super) ended: bool,
    /// There was more than is kept.
    pub(super) too_long: bool,
}

impl Line {
    /// Without its end.
    pub(super) fn content(&self) -> &[u8] {
        let content = self.bytes.strip_suffix(b"\n").unwrap_or(&self.bytes);
        content.strip_suffix(b"\r").unwrap_or(content)
    }

    /// Nothing but white space.
    pub(super) fn is_blank(&self) -> bool {
        !self.too_long && self.bytes.iter().all(u8::is_ascii_whitespace)
    }
}

/// Reads lines.
pub(super) struct Lines<R> {
    reader: R,
    digest: Sha256,
    offset: u64,
    number: u64,
}

impl<R: BufRead> Lines<R> {
    pub(super) fn new(reader: R) -> Self {
        Self {
            reader,
            digest: Sha256::new(),
            offset: 0,
            number: 0,
        }
    }

    /// How many bytes were read.
    pub(super) const fn offset(&self) -> u64 {
        self.offset
    }

    /// How many lines were read.
    pub(super) const fn number(&self) -> u64 {
        self.number
    }

    /// SHA-256 of the bytes that were read.
    pub(super) fn digest(&self) -> [u8; 32] {
        self.digest.clone().finalize().into()
    }

    /// The next line; `None` at the end.
    pub(super) fn next(&mut self) -> io::Result<Option<Line>> {
        let mut line = Line {
            number: self.number + 1,
            bytes: Vec::new(),
            ended: false,
            too_long: false,
        };
        let mut begun = false;
        while !line.ended {
            let available = match self.reader.fill_buf() {
                Ok(available) => available,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if available.is_empty() {
                break;
            }
            begun = true;
            let end = available.iter().position(|byte| *byte == b'\n');
            let taken = end.map_or(available.len(), |end| end + 1);
            let part = available.get(..taken).unwrap_or_default();
            let kept = taken.min(LINE_LENGTH_MAX - line.bytes.len());
            line.bytes
                .extend_from_slice(part.get(..kept).unwrap_or_default());
            line.too_long |= kept < taken;
            line.ended = end.is_some();
            self.digest.update(part);
            self.offset += taken as u64;
            self.reader.consume(taken);
        }
        if !begun {
            return Ok(None);
        }
        self.number += 1;
        Ok(Some(line))
    }
}
