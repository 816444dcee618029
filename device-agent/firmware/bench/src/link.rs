//! The two ways to the agent: its serial line, and RTT through QEMU's test channel, which reads and writes memory while the core runs.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use crate::BenchError;
use crate::machine::{Image, Machine};

/// A way to the agent.
pub trait Link {
    /// Sends all of `bytes`.
    ///
    /// # Errors
    /// [`BenchError::Emulator`] where QEMU is gone.
    fn send(&mut self, bytes: &[u8]) -> Result<(), BenchError>;

    /// What came since, or nothing; waits for a few milliseconds at most.
    ///
    /// # Errors
    /// [`BenchError::Emulator`] where QEMU is gone.
    fn receive(&mut self) -> Result<Vec<u8>, BenchError>;
}

fn gone(error: &std::io::Error) -> BenchError {
    BenchError::Emulator {
        expected: "an open channel",
        got: error.to_string(),
    }
}

/// The serial line.
pub struct Serial {
    stream: UnixStream,
}

impl Serial {
    /// Opens the line.
    ///
    /// # Errors
    /// [`BenchError::File`] where it can't be opened.
    pub fn open(machine: &Machine) -> Result<Self, BenchError> {
        let stream = machine.connect("serial")?;
        stream
            .set_read_timeout(Some(Duration::from_millis(2)))
            .map_err(|error| gone(&error))?;
        Ok(Self { stream })
    }
}

impl Link for Serial {
    fn send(&mut self, bytes: &[u8]) -> Result<(), BenchError> {
        self.stream.write_all(bytes).map_err(|error| gone(&error))
    }

    fn receive(&mut self) -> Result<Vec<u8>, BenchError> {
        let mut bytes = vec![0; 512];
        match self.stream.read(&mut bytes) {
            Ok(length) => bytes.truncate(length),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                bytes.clear();
            }
            Err(error) => return Err(gone(&error)),
        }
        Ok(bytes)
    }
}

/// Where the ring towards the debugger stands in the control block.
const UP: u32 = 24;

/// Where the ring towards the unit stands.
const DOWN: u32 = 48;

/// RTT.
pub struct Rtt {
    stream: BufReader<UnixStream>,
    control_block: u32,
}

impl Rtt {
    /// Opens the test channel; whether the control block is ready is asked at each use.
    ///
    /// # Errors
    /// [`BenchError::File`] where it can't be opened.
    pub fn open(machine: &Machine, image: &Image) -> Result<Self, BenchError> {
        Ok(Self {
            stream: BufReader::new(machine.connect("qtest")?),
            control_block: image.rtt_control_block,
        })
    }

    fn command(&mut self, command: &str) -> Result<String, BenchError> {
        writeln!(self.stream.get_mut(), "{command}").map_err(|error| gone(&error))?;
        let mut answer = String::new();
        self.stream
            .read_line(&mut answer)
            .map_err(|error| gone(&error))?;
        match answer.trim_end().strip_prefix("OK") {
            Some(value) => Ok(value.trim().to_owned()),
            None => Err(BenchError::Emulator {
                expected: "OK",
                got: answer,
            }),
        }
    }

    /// Sends a command that reads, and gives the value that it read.
    fn value(&mut self, command: &str) -> Result<u32, BenchError> {
        let answer = self.command(command)?;
        answer
            .strip_prefix("0x")
            .and_then(|digits| u64::from_str_radix(digits, 16).ok())
            .and_then(|value| u32::try_from(value).ok())
            .ok_or(BenchError::Emulator {
                expected: "a value",
                got: answer,
            })
    }

    fn word(&mut self, address: u32) -> Result<u32, BenchError> {
        self.value(&format!("readl {address:#x}"))
    }

    fn is_ready(&mut self) -> Result<bool, BenchError> {
        Ok(self.word(self.control_block)? == u32::from_le_bytes(*b"SEGG"))
    }

    /// The ring's buffer, length, write index and read index.
    fn fields(&mut self, ring: u32) -> Result<[u32; 4], BenchError> {
        let mut fields = [0; 4];
        for (field, offset) in fields.iter_mut().zip([4, 8, 12, 16]) {
            *field = self.word(ring + offset)?;
        }
        Ok(fields)
    }
}

impl Link for Rtt {
    fn send(&mut self, bytes: &[u8]) -> Result<(), BenchError> {
        while !self.is_ready()? {}
        let ring = self.control_block + DOWN;
        for byte in bytes {
            loop {
                let [buffer, length, write, read] = self.fields(ring)?;
                let next = (write + 1) % length;
                if next != read {
                    self.command(&format!("writeb {:#x} {byte:#x}", buffer + write))?;
                    self.command(&format!("writel {:#x} {next:#x}", ring + 12))?;
                    break;
                }
            }
        }
        Ok(())
    }

    fn receive(&mut self) -> Result<Vec<u8>, BenchError> {
        let mut bytes = Vec::new();
        if !self.is_ready()? {
            return Ok(bytes);
        }
        let ring = self.control_block + UP;
        let [buffer, length, write, mut read] = self.fields(ring)?;
        while read != write {
            let byte = self.value(&format!("readb {:#x}", buffer + read))?;
            bytes.push(u8::try_from(byte).unwrap_or_default());
            read = (read + 1) % length;
        }
        self.command(&format!("writel {:#x} {read:#x}", ring + 16))?;
        Ok(bytes)
    }
}
