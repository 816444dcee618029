//! Why a unit can't be reached.

use std::time::Duration;

use keyline_protocol::identity::Platform;

/// Why a unit can't be reached.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// Nothing answers to the selector.
    #[error("expected a debug probe or a serial port at {selector}, found none")]
    ProbeNotFound {
        /// The selector in the slot's configuration.
        selector: String,
        /// What the probe library said.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// Somebody else has it.
    #[error("the probe or port at {selector} is in use by another process")]
    Busy {
        /// The selector or path.
        selector: String,
    },
    /// The probe is there, the unit is not.
    #[error("the link at {selector} is open, but no unit answers behind it")]
    NoUnit {
        /// The selector or path.
        selector: String,
        /// What the library said.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// The chip is another one.
    #[error("expected a {expected}, found {got}", expected = .expected.name())]
    WrongChip {
        /// The product's chip.
        expected: Platform,
        /// What was found.
        got: String,
    },
    /// It was there and is gone.
    #[error("the connection to the unit was lost while {doing}")]
    Lost {
        /// What was being done.
        doing: &'static str,
        /// What the library said.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// Silence.
    #[error("the unit was silent for {} ms", .waited.as_millis())]
    Timeout {
        /// How long the station waited.
        waited: Duration,
    },
    /// Read-back protection keeps the probe out.
    #[error("the unit's read-back protection keeps the probe out")]
    Protected,
    /// What was written is not what is read.
    #[error("the agent's image was written to {address:#010x}, but reads back differently")]
    ImageMismatch {
        /// Where the image lies.
        address: u32,
    },
    /// What should be the agent's control block is none.
    #[error("expected the agent's control block, {address:#010x} holds none that is sound")]
    ControlBlock {
        /// Where it was looked for.
        address: u32,
    },
}
