//! The emulator's gdb stub: core registers, run, stop, step, breakpoints.
//!
//! Two traps, both found by running QEMU 7.2: register packets work only after the target description was asked for, and
//! any byte that arrives while the core runs stops it. So nothing but an interrupt is sent to a running core.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::net::{RecvFlags, recv};

use super::error::UnitError;

/// r0 to r15 and xPSR, in the order in which the stub sends them.
pub(super) const REGISTER_COUNT: usize = 17;
/// The place of the stack pointer in the register file.
pub(super) const SP: usize = 13;
/// The place of the link register in the register file.
pub(super) const LR: usize = 14;
/// The place of the program counter in the register file.
pub(super) const PC: usize = 15;
/// The place of xPSR in the register file.
pub(super) const XPSR: usize = 16;

/// The register file of a stopped core.
pub(super) type Registers = [u32; REGISTER_COUNT];

/// An answer of the stub takes well under a millisecond; a machine under heavy load gets this long.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// Why the core stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// It was told to, by [`Gdb::interrupt`].
    Interrupted,
    /// It met a breakpoint, or finished a step.
    Breakpoint,
    /// It is about to write where a watchpoint lies.
    Watchpoint,
    /// The program asked for a system reset, which has not been carried out yet.
    GuestReset,
}

/// Breakpoint or watchpoint, as the packets name them.
#[derive(Debug, Clone, Copy)]
pub(super) enum Trap {
    /// Stop before the instruction at `address`.
    Instruction {
        /// Where the instruction is.
        address: u32,
    },
    /// Stop at a write into `address..address + length`.
    Write {
        /// The first byte watched.
        address: u32,
        /// How many bytes are watched.
        length: u32,
    },
}

/// The client side of the stub's remote protocol.
#[derive(Debug)]
pub(super) struct Gdb {
    stream: UnixStream,
    received: Vec<u8>,
}

fn io_error(source: std::io::Error) -> UnitError {
    UnitError::Channel {
        channel: "gdb",
        source,
    }
}

impl Gdb {
    /// Takes a connected stream and goes through the greetings that the stub needs.
    pub(super) fn new(stream: UnixStream) -> Result<Self, UnitError> {
        stream
            .set_read_timeout(Some(ANSWER_LIMIT))
            .map_err(io_error)?;
        let mut gdb = Self {
            stream,
            received: Vec::new(),
        };
        for greeting in [
            "qSupported:swbreak+;hwbreak+",
            "qXfer:features:read:target.xml:0,ffb",
            "?",
            "QStartNoAckMode",
        ] {
            gdb.ask(greeting)?;
        }
        gdb.stream.write_all(b"+").map_err(io_error)?;
        Ok(gdb)
    }

    /// Reads all registers of the stopped core.
    pub(super) fn registers(&mut self) -> Result<Registers, UnitError> {
        let answer = self.ask("g")?;
        let mut registers = [0; REGISTER_COUNT];
        let words = answer.as_bytes().chunks_exact(8);
        if words.len() < REGISTER_COUNT {
            return Err(UnitError::unexpected("gdb", "17 registers", &answer));
        }
        for (register, digits) in registers.iter_mut().zip(words) {
            *register = std::str::from_utf8(digits)
                .ok()
                .and_then(|text| u32::from_str_radix(text, 16).ok())
                .ok_or_else(|| UnitError::unexpected("gdb", "hex digits", &answer))?
                .swap_bytes();
        }
        Ok(registers)
    }

    /// Writes all registers of the stopped core.
    pub(super) fn set_registers(&mut self, registers: &Registers) -> Result<(), UnitError> {
        let mut packet = String::from("G");
        for register in registers {
            let _ = write!(packet, "{:08x}", register.swap_bytes());
        }
        self.ask_ok(&packet)
    }

    /// Writes memory behind the bus: flash as well as RAM, but never a peripheral (the stub ignores those without a word).
    pub(super) fn write_memory(&mut self, address: u32, bytes: &[u8]) -> Result<(), UnitError> {
        let mut packet = format!("M{address:x},{:x}:", bytes.len());
        for byte in bytes {
            let _ = write!(packet, "{byte:02x}");
        }
        self.ask_ok(&packet)
    }

    /// Sets a trap; the core must be stopped.
    pub(super) fn insert(&mut self, trap: Trap) -> Result<(), UnitError> {
        self.ask_ok(&trap_packet('Z', trap))
    }

    /// Takes a trap away; the core must be stopped.
    pub(super) fn remove(&mut self, trap: Trap) -> Result<(), UnitError> {
        self.ask_ok(&trap_packet('z', trap))
    }

    /// Lets the core run. Exactly one [`Stop`] follows, sooner or later.
    pub(super) fn resume(&mut self) -> Result<(), UnitError> {
        self.send("c")
    }

    /// Executes one instruction, interrupts masked.
    pub(super) fn step(&mut self) -> Result<Stop, UnitError> {
        self.send("s")?;
        self.wait_stop()
    }

    /// Stops a running core and gives the reason, which is another one if it stopped in the same moment.
    pub(super) fn interrupt(&mut self) -> Result<Stop, UnitError> {
        self.stream.write_all(&[3]).map_err(io_error)?;
        self.wait_stop()
    }

    /// Says, without waiting, whether a running core has stopped.
    pub(super) fn poll_stop(&mut self) -> Result<Option<Stop>, UnitError> {
        let mut chunk = [0; 512];
        match recv(&self.stream, &mut chunk, RecvFlags::DONTWAIT) {
            Ok((_, 0)) => return Err(io_error(std::io::ErrorKind::UnexpectedEof.into())),
            Ok((_, count)) => self.received.extend_from_slice(&chunk[..count]),
            Err(rustix::io::Errno::AGAIN) => {}
            Err(error) => return Err(io_error(error.into())),
        }
        self.take_packet()
            .map(|packet| parse_stop(&packet))
            .transpose()
    }

    fn wait_stop(&mut self) -> Result<Stop, UnitError> {
        let packet = self.receive()?;
        parse_stop(&packet)
    }

    fn ask_ok(&mut self, packet: &str) -> Result<(), UnitError> {
        let answer = self.ask(packet)?;
        if answer == "OK" {
            Ok(())
        } else {
            Err(UnitError::unexpected("gdb", "OK", &answer))
        }
    }

    fn ask(&mut self, packet: &str) -> Result<String, UnitError> {
        self.send(packet)?;
        self.receive()
    }

    fn send(&mut self, packet: &str) -> Result<(), UnitError> {
        let sum = packet.bytes().fold(0_u8, u8::wrapping_add);
        let framed = format!("${packet}#{sum:02x}");
        self.stream.write_all(framed.as_bytes()).map_err(io_error)
    }

    fn receive(&mut self) -> Result<String, UnitError> {
        loop {
            if let Some(packet) = self.take_packet() {
                return Ok(packet);
            }
            let mut chunk = [0; 4096];
            match self.stream.read(&mut chunk).map_err(io_error)? {
                0 => return Err(io_error(std::io::ErrorKind::UnexpectedEof.into())),
                count => self.received.extend_from_slice(&chunk[..count]),
            }
        }
    }

    /// Takes one whole packet out of what was received, acknowledgements skipped.
    fn take_packet(&mut self) -> Option<String> {
        let start = self.received.iter().position(|&byte| byte == b'$')?;
        let end = start
            + self.received[start..]
                .iter()
                .position(|&byte| byte == b'#')?;
        if self.received.len() < end + 3 {
            return None;
        }
        let packet = String::from_utf8_lossy(&self.received[start + 1..end]).into_owned();
        self.received.drain(..end + 3);
        Some(packet)
    }
}

impl AsFd for Gdb {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

fn trap_packet(verb: char, trap: Trap) -> String {
    match trap {
        Trap::Instruction { address } => format!("{verb}1,{address:x},2"),
        Trap::Write { address, length } => format!("{verb}2,{address:x},{length:x}"),
    }
}

/// Understands a stop packet: `T05…` a trap, `T02…` an interrupt, `T03…` the machine was shut down, which is what a reset
/// that the program asked for becomes under `-action reboot=shutdown,shutdown=pause`.
fn parse_stop(packet: &str) -> Result<Stop, UnitError> {
    match packet.get(..3) {
        Some("T05") if packet.contains("watch:") => Ok(Stop::Watchpoint),
        Some("T05") => Ok(Stop::Breakpoint),
        Some("T02") => Ok(Stop::Interrupted),
        Some("T03") => Ok(Stop::GuestReset),
        _ => Err(UnitError::unexpected("gdb", "a stop packet", packet)),
    }
}
