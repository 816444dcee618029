//! What can go wrong between the emulated board and its parts.

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;

/// Why an emulated unit could not be started, or could not do what its owner asked.
#[derive(Debug, thiserror::Error)]
pub enum UnitError {
    /// The emulator program is not installed, or it can't be started.
    #[error(
        "`{program}` could not be started: install it (Debian, Ubuntu: `apt-get install qemu-system-arm util-linux`)"
    )]
    EmulatorMissing {
        /// The program that was looked for.
        program: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// The emulator is installed, but it is not one that this crate was tried with.
    #[error(
        "the emulator answers `{found}`: expected QEMU 7.2 or newer with the `microbit` machine; install a newer `qemu-system-arm`"
    )]
    EmulatorUnfit {
        /// The first line that the emulator printed.
        found: String,
    },
    /// The emulator ended before it had connected all its control channels.
    #[error("the emulator ended while it started ({status}); it said: {message}")]
    EmulatorEnded {
        /// How it ended.
        status: ExitStatus,
        /// What it wrote to its standard error, at most 2,000 characters.
        message: String,
    },
    /// The emulator did not do something within its deadline.
    #[error("the emulator did not {expected} within {limit_ms} ms")]
    EmulatorSlow {
        /// What was waited for.
        expected: &'static str,
        /// The deadline, in milliseconds.
        limit_ms: u64,
    },
    /// A control channel of the emulator is closed, or reading or writing it failed.
    #[error("the emulator's {channel} channel failed")]
    Channel {
        /// Which of the channels: gdb, qtest, QMP, memory.
        channel: &'static str,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// A control channel answered something that its protocol does not allow.
    #[error("the emulator's {channel} channel answered `{found}` where {expected} was expected")]
    Unexpected {
        /// Which of the channels: gdb, qtest, QMP, memory.
        channel: &'static str,
        /// What should have come.
        expected: &'static str,
        /// What came, at most 200 characters.
        found: String,
    },
    /// A socket, a pseudo-terminal or a directory that the unit needs could not be made.
    #[error("could not {action}")]
    Host {
        /// What was being done.
        action: &'static str,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// The unit has no power: there is no emulator process to ask.
    #[error("the unit has no power: expected a running emulator; ask for power_on first")]
    NoPower,
    /// A range of flash that the chip does not have.
    #[error(
        "flash range {start:#x}..{end:#x} expected inside 0..{size:#x}, the flash of this chip"
    )]
    FlashRange {
        /// First byte asked for.
        start: u32,
        /// One past the last byte asked for.
        end: u32,
        /// The size of the chip's flash, in bytes.
        size: u32,
    },
    /// The thread that drives the unit has ended.
    #[error("the unit's thread has ended")]
    ThreadEnded,
}

impl UnitError {
    /// Makes a closure that wraps an I/O error of one of the emulator's channels.
    pub(super) fn channel(channel: &'static str) -> impl Fn(io::Error) -> Self {
        move |source| Self::Channel { channel, source }
    }

    /// Makes a closure that wraps an I/O error of this machine, with what was being done.
    pub(super) fn host(action: &'static str) -> impl Fn(io::Error) -> Self {
        move |source| Self::Host { action, source }
    }

    /// Makes an error for an answer that does not fit a channel's protocol.
    pub(super) fn unexpected(channel: &'static str, expected: &'static str, found: &str) -> Self {
        Self::Unexpected {
            channel,
            expected,
            found: found.chars().take(200).collect(),
        }
    }
}
