//! What of a unit outlives its process.

use keyline_protocol::identity::Platform;
use serde::{Deserialize, Serialize};

/// A unit's flash and configuration, to be kept in a file and put back with [`SimUnit::restored`](super::SimUnit::restored).
///
/// Only pages that hold something are kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedUnit {
    /// The chip.
    pub platform: Platform,
    /// The chip's own id: the word that comes first in memory, then the other.
    pub chip_id: (u32, u32),
    /// Whether read-back protection is set.
    pub protected: bool,
    /// Pages that hold something: how many bytes behind the layout's start, and their bytes.
    pub pages: Vec<(u32, Vec<u8>)>,
}
