//! Everything that can change the state of a station. Each change is one journal entry and one audit leaf, in one transaction.

use serde::{Deserialize, Serialize};

use super::{
    DeviceIdText, Evidence, Failure, Order, OrderId, Product, ProductId, RunId, RunResult,
    StationId, Step,
};

/// One change. The variant's name is the leaf's kind; adding a kind is adding a variant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Change {
    /// A station home was made.
    HomeInitialised {
        /// The station's id.
        station: StationId,
    },
    /// The software began to own the home.
    Started {
        /// The software's version.
        version: String,
        /// The kernel's boot id.
        boot_id: String,
        /// Runs that were found interrupted.
        interrupted_runs: u32,
    },
    /// The software let go of the home in good order.
    Stopped,
    /// A product was added.
    ProductAdded {
        /// The product, whole.
        product: Product,
        /// Who added it.
        operator: String,
    },
    /// A product was retired.
    ProductRetired {
        /// The product.
        product: ProductId,
        /// Who retired it.
        operator: String,
    },
    /// A work order was added.
    OrderAdded {
        /// The order, whole.
        order: Order,
        /// Who added it.
        operator: String,
    },
    /// A work order was closed.
    OrderClosed {
        /// The order.
        order: OrderId,
        /// Who closed it.
        operator: String,
    },
    /// An operator was added.
    OperatorAdded {
        /// A random id: names are personal data and stay out of the log.
        operator: String,
        /// The role.
        role: String,
    },
    /// A run began.
    RunStarted {
        /// The run.
        run: RunId,
        /// Its order.
        order: OrderId,
        /// Its slot.
        slot: u16,
        /// The serial that was scanned.
        serial: Option<String>,
        /// Who or what started it.
        operator: String,
    },
    /// A step is about to have its effect.
    StepIntended {
        /// The run.
        run: RunId,
        /// The unit, once it is known.
        device_id: Option<DeviceIdText>,
        /// The step.
        step: Step,
    },
    /// A step was done.
    StepDone {
        /// The run.
        run: RunId,
        /// The unit, once it is known.
        device_id: Option<DeviceIdText>,
        /// The step.
        step: Step,
        /// What it left behind.
        evidence: Box<Evidence>,
    },
    /// A run ended.
    RunEnded {
        /// The run.
        run: RunId,
        /// The unit, where it was identified.
        device_id: Option<DeviceIdText>,
        /// How it ended.
        result: RunResult,
        /// Why it failed.
        failure: Option<Failure>,
        /// How long it took, in milliseconds.
        elapsed_ms: u64,
    },
    /// A unit was set apart.
    UnitQuarantined {
        /// The unit.
        device_id: DeviceIdText,
        /// The run in which it happened.
        run: Option<RunId>,
        /// Why.
        failure: Failure,
    },
    /// Somebody may have cloned a unit or a key.
    CloneAlarm {
        /// The run in which it was found.
        run: RunId,
        /// The unit on the bench.
        device_id: DeviceIdText,
        /// SHA-256 of the key that the unit showed.
        #[serde(with = "hex::serde")]
        fingerprint: [u8; 32],
        /// The unit that already has the key, where it is another.
        other_device_id: Option<DeviceIdText>,
        /// The key that the device id already has, where it is another.
        other_fingerprint: Option<String>,
    },
    /// A unit was taken out of quarantine or marked for rework.
    UnitReleased {
        /// The unit.
        device_id: DeviceIdText,
        /// Who did it.
        operator: String,
        /// Why.
        reason: String,
    },
    /// A unit was taken out for good.
    UnitScrapped {
        /// The unit.
        device_id: DeviceIdText,
        /// Who did it.
        operator: String,
        /// Why.
        reason: String,
    },
}

impl Change {
    /// The kind, as it stands in the JSON and in the audit leaf.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::HomeInitialised { .. } => "home-initialised",
            Self::Started { .. } => "started",
            Self::Stopped => "stopped",
            Self::ProductAdded { .. } => "product-added",
            Self::ProductRetired { .. } => "product-retired",
            Self::OrderAdded { .. } => "order-added",
            Self::OrderClosed { .. } => "order-closed",
            Self::OperatorAdded { .. } => "operator-added",
            Self::RunStarted { .. } => "run-started",
            Self::StepIntended { .. } => "step-intended",
            Self::StepDone { .. } => "step-done",
            Self::RunEnded { .. } => "run-ended",
            Self::UnitQuarantined { .. } => "unit-quarantined",
            Self::CloneAlarm { .. } => "clone-alarm",
            Self::UnitReleased { .. } => "unit-released",
            Self::UnitScrapped { .. } => "unit-scrapped",
        }
    }

    /// The run that it belongs to.
    #[must_use]
    pub const fn run(&self) -> Option<RunId> {
        match self {
            Self::RunStarted { run, .. }
            | Self::StepIntended { run, .. }
            | Self::StepDone { run, .. }
            | Self::RunEnded { run, .. }
            | Self::CloneAlarm { run, .. } => Some(*run),
            Self::UnitQuarantined { run, .. } => *run,
            _ => None,
        }
    }

    /// The unit that it is about.
    #[must_use]
    pub const fn device_id(&self) -> Option<DeviceIdText> {
        match self {
            Self::StepIntended { device_id, .. }
            | Self::StepDone { device_id, .. }
            | Self::RunEnded { device_id, .. } => *device_id,
            Self::UnitQuarantined { device_id, .. }
            | Self::CloneAlarm { device_id, .. }
            | Self::UnitReleased { device_id, .. }
            | Self::UnitScrapped { device_id, .. } => Some(*device_id),
            _ => None,
        }
    }
}
