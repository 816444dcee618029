//! How a unit is reached: over a debug probe, over a serial line, or in memory.
//!
//! A [`Target`] is one unit in one fixture position. It carries frames and does what only the link can do: read the chip before any
//! agent runs, load and measure the agent, reset, look at the protection from outside.

use std::time::Instant;

use keyline_protocol::identity::{DeviceId, Digest, Platform};

mod error;
mod image;
mod probe;
mod serial;
mod sim;

pub use error::LinkError;
pub use image::ImageError;
pub use probe::ProbeTarget;
pub use serial::SerialTarget;
pub use sim::SimTarget;

/// An agent image, as the station loads and measures it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentImage {
    /// The chip that it runs on.
    pub platform: Platform,
    /// Grows with each release.
    pub version: u32,
    /// Where its first byte lies in the chip's memory.
    pub load_address: u32,
    /// The image, from its vector table on.
    pub bytes: Vec<u8>,
    /// SHA-256 of `bytes`.
    pub digest: Digest,
    /// Where the RTT control block lies in RAM.
    pub rtt_address: u32,
    /// Whether it stays in flash or lives in RAM until the next reset.
    pub residence: Residence,
}

/// Where an agent lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Residence {
    /// In flash: it survives a reset, and answers over a serial line on a locked unit.
    Flash,
    /// In RAM: the station loads it again after each reset.
    Ram,
}

/// What the link knows of a unit before any agent runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// What was read over the probe; `None` over a link that reads nothing by itself.
    pub probe: Option<ProbeFacts>,
}

/// What a probe reads by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeFacts {
    /// The chip, by its debug port and factory registers.
    pub platform: Platform,
    /// The device id in the chip's factory registers; `None` on a chip that is protected against reading them.
    pub device_id: Option<DeviceId>,
    /// Whether read-back protection keeps the probe out.
    pub protected: bool,
    /// Where a bootloader begins, if the chip says that it has one.
    pub bootloader_address: Option<u32>,
    /// Where the maker's radio stack (its `SoftDevice`) ends, if there is one.
    pub softdevice_end: Option<u32>,
}

/// An agent that was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AgentStart {
    /// SHA-256 of the image as it was read back; `None` over a link that can't read.
    pub measured: Option<Digest>,
}

/// One unit in one fixture position.
///
/// # Contract
/// - Calls block, and each has an end: where a unit or probe doesn't answer, a [`LinkError`] comes within a few seconds.
/// - Nothing here writes to the unit's flash but [`Target::start_agent`], and that only the agent's own pages: attaching never erases.
/// - After an error the target can be attached again.
pub trait Target: Send {
    /// The link and its address, for people: `probe 20b7:9db1:…`, `serial /dev/ttyUSB0`, `sim 3`.
    fn describe(&self) -> String;

    /// Opens the link and reads what can be read without an agent. `expected` is the product's chip: a probe must know which chip it
    /// speaks to, and refuses another one.
    ///
    /// # Errors
    /// [`LinkError`] where there is no probe, no unit, or another process has it.
    fn attach(&mut self, expected: Platform) -> Result<Attachment, LinkError>;

    /// Loads the agent where it isn't there already, reads it back, and starts it.
    ///
    /// # Errors
    /// [`LinkError`] where loading or reading back fails.
    fn start_agent(&mut self, image: &AgentImage) -> Result<AgentStart, LinkError>;

    /// Sends one encoded frame.
    ///
    /// # Errors
    /// [`LinkError`] where the unit can't be reached.
    fn send(&mut self, frame: &[u8]) -> Result<(), LinkError>;

    /// Appends what the unit has sent to `into`: at least one byte, or [`LinkError::Timeout`] at `deadline`.
    ///
    /// # Errors
    /// [`LinkError`] where the unit can't be reached or stays silent.
    fn receive(&mut self, deadline: Instant, into: &mut Vec<u8>) -> Result<(), LinkError>;

    /// Resets the chip and has the agent running again, cold. Where the link has no reset of its own, the agent was asked to reset
    /// before this call, and it waits for the agent to be back.
    ///
    /// # Errors
    /// [`LinkError`] where the unit can't be reached.
    fn reset(&mut self) -> Result<(), LinkError>;

    /// Whether [`Target::reset`] resets by itself.
    fn resets_by_itself(&self) -> bool;

    /// Reads the chip's memory over the probe; `None` over a link that can't.
    ///
    /// # Errors
    /// [`LinkError`] where the unit can't be reached or is protected.
    fn read_memory(&mut self, address: u32, length: usize) -> Result<Option<Vec<u8>>, LinkError>;

    /// Lets go of the unit, opens the link anew and looks whether read-back protection keeps it out; `None` over a link that can't see.
    ///
    /// # Errors
    /// [`LinkError`] where the probe can't be opened.
    fn probe_protection(&mut self) -> Result<Option<bool>, LinkError>;

    /// Lets go of the unit. Attaching again is allowed.
    fn detach(&mut self);
}
