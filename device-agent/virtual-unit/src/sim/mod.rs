//! Units in process: the agent library over a strict RAM chip.
//!
//! Thousands fit a process, and everything that goes wrong on a bench can be asked for: power cuts at a chosen flash operation, bits
//! that don't take, generators that fail, frames that are lost or come twice, cables that are pulled.
//!
//! - [`SimUnit`]: the unit on its bench, with a link, a cable and a power switch; a handle that can be cloned.
//! - [`SimOptions`]: what kind of unit it is.
//! - [`SimChip`]: the chip behind the agent's `Hal`, for tests that look inside.
//! - [`StrictFlash`]: NOR flash that refuses what silicon refuses, and remembers that it was asked.

mod bench;
mod chip;
mod faults;
mod flash;
mod image;
mod newer;
mod options;
mod sampler;
mod saved;
mod unit;

pub use chip::{Counts, SimChip};
pub use faults::{Direction, FrameFaultKind};
pub use flash::{StrictFlash, Violation};
pub use image::{AGENT_IMAGE, image_digest};
pub use options::{ProtectionFault, SimOptions};
pub use sampler::GeneratorFault;
pub use saved::SavedUnit;
pub use unit::{SimError, SimUnit};
