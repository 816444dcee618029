//! The emulator's qtest channel: memory and peripherals, read and written while the core runs.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use super::error::UnitError;

/// An answer takes some 30 µs; a machine under heavy load gets this long.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// The client side of the qtest protocol: a line out, a line in.
#[derive(Debug)]
pub(super) struct Qtest {
    stream: BufReader<UnixStream>,
}

impl Qtest {
    /// Takes a connected stream.
    pub(super) fn new(stream: UnixStream) -> Result<Self, UnitError> {
        stream
            .set_read_timeout(Some(ANSWER_LIMIT))
            .map_err(UnitError::channel("qtest"))?;
        Ok(Self {
            stream: BufReader::with_capacity(16 * 1024, stream),
        })
    }

    /// Reads one access of 1, 2 or 4 bytes.
    pub(super) fn read(&mut self, address: u32, size: u32) -> Result<u32, UnitError> {
        let answer = self.ask(&format!("read{} {address:#x}\n", letter(size)))?;
        answer
            .strip_prefix("0x")
            .and_then(|digits| u64::from_str_radix(digits, 16).ok())
            .and_then(|value| u32::try_from(value).ok())
            .ok_or_else(|| UnitError::unexpected("qtest", "a number", &answer))
    }

    /// Writes one access of 1, 2 or 4 bytes.
    pub(super) fn write(&mut self, address: u32, size: u32, value: u32) -> Result<(), UnitError> {
        let letter = letter(size);
        self.ask(&format!("write{letter} {address:#x} {value:#x}\n"))
            .map(drop)
    }

    /// Reads consecutive words, each by one access.
    pub(super) fn read_words(&mut self, address: u32, words: &mut [u32]) -> Result<(), UnitError> {
        let answer = self.ask(&format!("read {address:#x} {:#x}\n", words.len() * 4))?;
        let digits = answer.strip_prefix("0x").unwrap_or_default().as_bytes();
        if digits.len() != words.len() * 8 {
            return Err(UnitError::unexpected("qtest", "as many bytes", &answer));
        }
        for (word, chunk) in words.iter_mut().zip(digits.chunks_exact(8)) {
            *word = std::str::from_utf8(chunk)
                .ok()
                .and_then(|text| u32::from_str_radix(text, 16).ok())
                .ok_or_else(|| UnitError::unexpected("qtest", "hex digits", &answer))?
                .swap_bytes();
        }
        Ok(())
    }

    /// Writes consecutive words, each by one access.
    pub(super) fn write_words(&mut self, address: u32, words: &[u32]) -> Result<(), UnitError> {
        let mut line = format!("write {address:#x} {:#x} 0x", words.len() * 4);
        for word in words {
            let _ = write!(line, "{:08x}", word.swap_bytes());
        }
        line.push('\n');
        self.ask(&line).map(drop)
    }

    /// Sends a line and gives what follows the `OK` of its answer.
    fn ask(&mut self, line: &str) -> Result<String, UnitError> {
        let failed = UnitError::channel("qtest");
        self.stream
            .get_mut()
            .write_all(line.as_bytes())
            .map_err(&failed)?;
        let mut answer = String::new();
        if self.stream.read_line(&mut answer).map_err(&failed)? == 0 {
            return Err(failed(std::io::ErrorKind::UnexpectedEof.into()));
        }
        match answer.trim_end().strip_prefix("OK") {
            Some(rest) => Ok(rest.trim_start().to_owned()),
            None => Err(UnitError::unexpected("qtest", "OK", answer.trim_end())),
        }
    }
}

/// The letter that names an access size in qtest's commands.
fn letter(size: u32) -> char {
    match size {
        1 => 'b',
        2 => 'w',
        _ => 'l',
    }
}
