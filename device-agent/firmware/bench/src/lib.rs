//! The nRF51822 image on an emulated chip, without a debug probe: over the serial line, and over RTT through QEMU's own test channel.
//!
//! - [`machine`]: QEMU with an image in flash, and what can be asked of it;
//! - [`gdb`]: QEMU's debugger channel;
//! - [`link`]: the two ways to the agent;
//! - [`station`]: requests, answers and busy frames;
//! - [`job`]: a whole job, every signature verified; and what comes after it.

mod afterwards;
pub mod gdb;
pub mod job;
pub mod link;
pub mod machine;
pub mod station;

use std::path::PathBuf;

/// What went wrong.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// QEMU could not be started.
    #[error("could not start {program}; on Debian: apt-get install qemu-system-arm gcc")]
    Start {
        /// What was to be started.
        program: String,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// A file or a socket failed.
    #[error("{path}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// QEMU answered something else.
    #[error("QEMU: expected {expected}, got {got:?}")]
    Emulator {
        /// What was expected.
        expected: &'static str,
        /// What came.
        got: String,
    },
    /// The agent did not answer in time.
    #[error("no answer to {request} within {deadline_ms} ms")]
    Silent {
        /// The request.
        request: String,
        /// How long was waited.
        deadline_ms: u32,
    },
    /// The agent answered something else.
    #[error("expected {expected}, got {got}")]
    Answer {
        /// What was expected.
        expected: String,
        /// What came.
        got: String,
    },
}
