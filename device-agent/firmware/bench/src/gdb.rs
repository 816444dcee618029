//! QEMU's debugger channel: memory while the core stands still.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use crate::BenchError;

/// Bytes a packet: QEMU takes packets of 4,096 characters.
const CHUNK_LENGTH: usize = 1024;

/// The channel. The core stands still whenever no method is running, except after [`Gdb::go_on`].
pub struct Gdb {
    stream: UnixStream,
}

fn refused(error: &std::io::Error) -> BenchError {
    BenchError::Emulator {
        expected: "an answer over the debugger channel",
        got: error.to_string(),
    }
}

impl Gdb {
    /// Takes the channel over; the core stands still from here on.
    ///
    /// # Errors
    /// [`BenchError::Emulator`] where QEMU does not answer.
    pub fn new(stream: UnixStream) -> Result<Self, BenchError> {
        let mut gdb = Self { stream };
        gdb.command("?")?;
        Ok(gdb)
    }

    fn send(&mut self, packet: &str) -> Result<(), BenchError> {
        let sum = packet.bytes().fold(0_u8, u8::wrapping_add);
        write!(self.stream, "${packet}#{sum:02x}").map_err(|error| refused(&error))
    }

    fn byte(&mut self) -> Result<u8, BenchError> {
        let mut byte = [0];
        self.stream
            .read_exact(&mut byte)
            .map_err(|error| refused(&error))?;
        Ok(byte[0])
    }

    fn receive(&mut self) -> Result<String, BenchError> {
        while self.byte()? != b'$' {}
        let mut packet = String::new();
        loop {
            match self.byte()? {
                b'#' => break,
                byte => packet.push(byte.into()),
            }
        }
        self.byte()?;
        self.byte()?;
        self.stream
            .write_all(b"+")
            .map_err(|error| refused(&error))?;
        Ok(packet)
    }

    fn command(&mut self, packet: &str) -> Result<String, BenchError> {
        self.send(packet)?;
        self.receive()
    }

    fn expect_ok(&mut self, packet: &str) -> Result<(), BenchError> {
        match self.command(packet)? {
            answer if answer == "OK" => Ok(()),
            got => Err(BenchError::Emulator {
                expected: "OK",
                got,
            }),
        }
    }

    /// Writes `bytes` to memory or flash from `address` on, whatever was there.
    ///
    /// # Errors
    /// [`BenchError::Emulator`] where QEMU refuses.
    pub fn write(&mut self, address: u32, bytes: &[u8]) -> Result<(), BenchError> {
        let mut address = address as usize;
        for chunk in bytes.chunks(CHUNK_LENGTH) {
            self.expect_ok(&format!(
                "M{address:x},{:x}:{}",
                chunk.len(),
                hex::encode(chunk)
            ))?;
            address += chunk.len();
        }
        Ok(())
    }

    /// Reads `length` bytes of memory or flash from `address` on.
    ///
    /// # Errors
    /// [`BenchError::Emulator`] where QEMU refuses.
    pub fn read(&mut self, address: u32, length: usize) -> Result<Vec<u8>, BenchError> {
        let mut bytes = Vec::with_capacity(length);
        while bytes.len() < length {
            let count = CHUNK_LENGTH.min(length - bytes.len());
            let answer =
                self.command(&format!("m{:x},{count:x}", address as usize + bytes.len()))?;
            bytes.extend(hex::decode(&answer).map_err(|_| BenchError::Emulator {
                expected: "bytes in hexadecimal digits",
                got: answer,
            })?);
        }
        Ok(bytes)
    }

    /// Resets the machine: the core takes its stack pointer and its start from the vector table.
    ///
    /// # Errors
    /// [`BenchError::Emulator`] where QEMU refuses.
    pub fn reset(&mut self) -> Result<(), BenchError> {
        self.expect_ok(&format!("qRcmd,{}", hex::encode("system_reset")))
    }

    /// Lets the core run.
    ///
    /// # Errors
    /// [`BenchError::Emulator`] where the channel is gone.
    pub fn go_on(&mut self) -> Result<(), BenchError> {
        self.send("c")
    }

    /// Stops the core.
    ///
    /// # Errors
    /// [`BenchError::Emulator`] where the channel is gone.
    pub fn stop(&mut self) -> Result<(), BenchError> {
        self.stream
            .write_all(&[3])
            .map_err(|error| refused(&error))?;
        self.receive().map(drop)
    }
}
