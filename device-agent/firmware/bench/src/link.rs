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

/// Where a ring's fields stand in the control block.
#[derive(Clone, Copy)]
struct Ring {
    /// The address of the ring's description.
    address: u32,
}

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

    fn word(&mut self, address: u32) -> Result<u32, BenchError> {
        let answer = self.command(&format!("readl {address:#x}"))?;
        u32::from_str_radix(
            answer
                .trim_start_matches("0x")
                .trim_start_matches("00000000"),
            16,
        )
        .or_else(|_| {
            if answer.chars().all(|digit| matches!(digit, '0' | 'x')) {
                Ok(0)
            } else {
                Err(())
            }
        })
        .map_err(|()| BenchError::Emulator {
            expected: "a word",
            got: answer,
        })
    }

    fn is_ready(&mut self) -> Result<bool, BenchError> {
        Ok(self.word(self.control_block)? == u32::from_le_bytes(*b"SEGG"))
    }

    fn up(&self) -> Ring {
        Ring {
            address: self.control_block + 24,
        }
    }

    fn down(&self) -> Ring {
        Ring {
            address: self.control_block + 48,
        }
    }

    /// The ring's buffer, length, write index and read index.
    fn fields(&mut self, ring: Ring) -> Result<[u32; 4], BenchError> {
        let mut fields = [0; 4];
        for (field, offset) in fields.iter_mut().zip([4, 8, 12, 16]) {
            *field = self.word(ring.address + offset)?;
        }
        Ok(fields)
    }
}

impl Link for Rtt {
    fn send(&mut self, bytes: &[u8]) -> Result<(), BenchError> {
        while !self.is_ready()? {}
        let ring = self.down();
        for byte in bytes {
            loop {
                let [buffer, length, write, read] = self.fields(ring)?;
                let next = (write + 1) % length;
                if next != read {
                    self.command(&format!("writeb {:#x} {byte:#x}", buffer + write))?;
                    self.command(&format!("writel {:#x} {next:#x}", ring.address + 12))?;
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
        let ring = self.up();
        let [buffer, length, write, mut read] = self.fields(ring)?;
        while read != write {
            let answer = self.command(&format!("readb {:#x}", buffer + read))?;
            let digits = answer.trim_start_matches("0x");
            bytes.push(
                u8::from_str_radix(&digits[digits.len().saturating_sub(2)..], 16)
                    .unwrap_or_default(),
            );
            read = (read + 1) % length;
        }
        self.command(&format!("writel {:#x} {read:#x}", ring.address + 16))?;
        Ok(bytes)
    }
}
