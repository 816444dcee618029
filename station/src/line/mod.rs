//! The conductor of a slot: intent → step → commit → event.
//!
//! Every state change is journalled before its effect. What a step left behind and the intent of the next one travel in one commit, so
//! that at any moment the journal says which effect may have happened. A unit is shown as PASS only after its proof is verified, its
//! pin is acknowledged by the registry, and the end of its run is on disk under a checkpoint.
//!
//! - [`provision`] runs an order over slots; `slot` conducts one slot; `walk` takes one unit through its run;
//! - `recorder` commits what happens in a run and tells it; `verdict` decides what becomes of a unit whose run failed;
//! - [`source`] says where units come from, [`places`] keeps slots out of each other's way, [`serial_number`] refuses bad scans.

mod admission;
mod bench;
mod clones;
mod earlier;
mod error;
mod keys;
mod locked;
pub mod places;
mod provision;
mod recorder;
pub mod serial_number;
mod slot;
pub mod source;
mod verdict;
mod walk;

use std::ops::Deref;
use std::path::PathBuf;
use std::sync::Arc;

use crate::event::EventSink;
use crate::journal::Journal;
use crate::link::AgentImage;
use crate::record::{Order, Product, StationId};
use crate::registry::Registry;
use crate::steps::StationKeySource;
use crate::stop::Stop;

pub use bench::{BenchSource, MakeTarget};
pub use error::LineError;
pub use provision::{Slot, dry_run, provision};
pub use source::{Presented, UnitSource};

use places::{Places, UnitsInHand};

/// An order on its way over some slots: what the slots share.
pub struct Line {
    parts: LineParts,
    credentials: Option<PathBuf>,
    /// The line's own wish to stop: a slot finishes the unit in hand.
    halt: Stop,
    places: Places,
    units_in_hand: UnitsInHand,
}

impl Deref for Line {
    type Target = LineParts;

    fn deref(&self) -> &LineParts {
        &self.parts
    }
}

/// Everything that a line is made of, by name.
pub struct LineParts {
    /// The journal.
    pub journal: Journal,
    /// The registry.
    pub registry: Registry,
    /// The runtime of the stores.
    pub runtime: tokio::runtime::Handle,
    /// This station.
    pub station: StationId,
    /// The operator's random id.
    pub operator: String,
    /// What is built.
    pub product: Product,
    /// For which order.
    pub order: Order,
    /// How many units the order still takes.
    pub places: u32,
    /// The agent that the order fixed.
    pub image: AgentImage,
    /// Runs that fail one after the other before a unit is set apart.
    pub failures_before_quarantine: u32,
    /// Where station-made keys come from.
    pub keys: Arc<dyn StationKeySource + Send + Sync>,
    /// Who is told what happens.
    pub events: Arc<dyn EventSink>,
    /// The wish of somebody outside to stop: a slot stops before its unit's next step.
    pub stop: Stop,
}

impl Line {
    /// A line that has not begun.
    #[must_use]
    pub fn new(parts: LineParts) -> Self {
        Self {
            credentials: parts.product.credentials_file.clone(),
            halt: Stop::new(),
            places: Places::new(parts.places),
            units_in_hand: UnitsInHand::default(),
            parts,
        }
    }

    /// Whether no further unit is begun.
    fn ending(&self) -> bool {
        self.stop.requested() || self.halt.requested()
    }

    /// Waits for a store. Slots are threads of their own, never the runtime's.
    fn wait<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }
}
