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
        /// SHA-256 of the configuration that it runs under; the text stands in the latest [`Change::ConfigurationChanged`].
        #[serde(default)]
        configuration: String,
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
    /// A signed bundle was accepted: from this leaf on it says who may act, what is built or which stations build.
    BundleAccepted {
        /// `roster`, `product` or `station`.
        bundle: String,
        /// What it is about: a customer or site, a product's name, a station's id.
        subject: String,
        /// Its version: later ones replace it, earlier ones do not come back.
        version: u64,
        /// SHA-256 of its text, without signatures.
        #[serde(with = "hex::serde")]
        digest: [u8; 32],
        /// The signed note, whole: an auditor sees who signed. It names no person.
        note: String,
        /// Who installed it.
        operator: String,
    },
    /// A product has another cloud key from this leaf on; the bundle that says so is accepted with it.
    CloudKeyChanged {
        /// The product's name.
        product: String,
        /// The number of the new key.
        version: u32,
        /// SHA-256 of the new key's SPKI DER.
        #[serde(with = "hex::serde")]
        fingerprint: [u8; 32],
        /// Where units find the cloud.
        address: String,
        /// The number of the key before.
        previous_version: u32,
        /// SHA-256 of the key before.
        #[serde(with = "hex::serde")]
        previous: [u8; 32],
        /// Who installed the bundle.
        operator: String,
    },
    /// Another root policy was pinned in the place of the one before, whose keys signed it.
    AuthorityReplaced {
        /// SHA-256 of the policy before.
        #[serde(with = "hex::serde")]
        previous: [u8; 32],
        /// SHA-256 of the policy from now on.
        #[serde(with = "hex::serde")]
        root: [u8; 32],
        /// The signed policy, whole.
        note: String,
        /// Who installed it.
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
    /// The registry has acknowledged a run that ended held: the cloud trusts the unit from here on.
    HeldReleased {
        /// The run that ended held.
        run: RunId,
        /// The unit.
        device_id: DeviceIdText,
        /// SHA-256 of the key that the registry trusts.
        #[serde(with = "hex::serde")]
        fingerprint: [u8; 32],
        /// The proof was a MAC: the unit is `weak`, not `passed`.
        weak: bool,
        /// The pin was active before: the answer to an earlier question was lost, or a later proof came first.
        already: bool,
    },
    /// The registry will never acknowledge a run that ended held. A [`Change::UnitQuarantined`] goes with it.
    HeldRefused {
        /// The run that ended held.
        run: RunId,
        /// The unit.
        device_id: DeviceIdText,
        /// Why.
        failure: Failure,
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
    /// A unit's pin is about to be revoked in the registry.
    PinRevoked {
        /// The unit.
        device_id: DeviceIdText,
        /// SHA-256 of the key that the cloud will trust no more.
        #[serde(with = "hex::serde")]
        fingerprint: [u8; 32],
        /// Who did it.
        operator: String,
        /// Why.
        reason: String,
    },
    /// Units of an order may leave the building.
    OrderShipped {
        /// The order.
        order: OrderId,
        /// The units, a part of a shipment where there are many.
        device_ids: Vec<DeviceIdText>,
        /// How many leaves the cosigned checkpoint covers that all of them are under.
        witnessed_size: u64,
        /// Who shipped them.
        operator: String,
    },
    /// The station runs under a configuration that the log did not know.
    ConfigurationChanged {
        /// What the software read from the file, written anew: every value, no comments. It holds paths, never secrets.
        text: String,
    },
    /// The wall clock moved by more than two seconds against the time since the machine started, or ran backwards over a restart.
    ClockStepped {
        /// What it should have shown, in milliseconds since 1970.
        expected_ms: u64,
        /// What it shows.
        found_ms: u64,
    },
    /// Somebody asked for what he may not do, or showed a token that nobody has.
    SignInRefused {
        /// The operator, where the token is somebody's.
        operator: Option<String>,
        /// What was asked for.
        request: String,
        /// Refusals since the last such leaf that got none of their own.
        unlogged: u32,
    },
    /// A further key signs the log's checkpoints from this leaf on.
    LogKeyAdded {
        /// Its verifier key.
        key: String,
        /// Who added it.
        operator: String,
    },
    /// A key has signed its last checkpoint: the one that covers this leaf.
    LogKeyRetired {
        /// Its verifier key.
        key: String,
        /// Who retired it.
        operator: String,
        /// Why.
        reason: String,
    },
    /// The log's key was out of reach, so that nothing could be committed, and is back.
    SigningResumed {
        /// Since when it was out of reach, in milliseconds since 1970.
        away_since_ms: u64,
    },
    /// Data was handed out.
    Exported {
        /// SHA-256 of the manifest or report.
        #[serde(with = "hex::serde")]
        digest: [u8; 32],
        /// What was asked for.
        filter: String,
        /// SHA-256 of the public key that it was sealed to.
        sealed_to: Option<String>,
        /// Who asked.
        operator: String,
    },
    /// A root policy or a bundle is about to be entered in the registry.
    AuthorityPublished {
        /// `root` or `bundle`.
        what: String,
        /// SHA-256 of its text.
        #[serde(with = "hex::serde")]
        digest: [u8; 32],
        /// Who entered it.
        operator: String,
    },
    /// What two people of a roster signed is about to be carried out.
    ActCarriedOut {
        /// SHA-256 of the act's text.
        #[serde(with = "hex::serde")]
        act: [u8; 32],
        /// `pin-revoke`, `pin-rotate` or `unit-return`.
        act_kind: String,
        /// The unit.
        device_id: DeviceIdText,
        /// SHA-256 of the key that is trusted no more.
        #[serde(with = "hex::serde")]
        old: [u8; 32],
        /// SHA-256 of the key that takes its place, in hexadecimal.
        new: Option<String>,
        /// The act with its signatures, whole.
        note: String,
        /// Who had it carried out.
        operator: String,
    },
    /// Devices that exist already are about to be taken into the registry from a file.
    FleetImportBegun {
        /// The import: its rows in the registry carry it.
        import: RunId,
        /// Who imports.
        operator: String,
    },
    /// An import ended, whether it came to the end of its file or not.
    FleetImportEnded {
        /// The import.
        import: RunId,
        /// Rows that it read.
        rows: u64,
        /// Of these, new in the registry.
        imported: u64,
        /// Of these, in the registry before.
        #[serde(default)]
        already: u64,
        /// Of these, refused.
        refused: u64,
        /// Every row of the file was read.
        finished: bool,
        /// The file as far as it was read, by this import and those that it went on from; `None` where it could not be opened.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        file: Option<ImportedFile>,
    },
    /// A station is about to be enrolled in the registry.
    StationEnrolled {
        /// The station.
        station: StationId,
        /// Its name.
        name: String,
        /// SHA-256 of the certificate that it shows to the registry, in hexadecimal.
        certificate: Option<String>,
        /// Who enrolled it.
        operator: String,
    },
    /// A station is about to be retired in the registry.
    StationRetired {
        /// The station.
        station: StationId,
        /// Who takes its place.
        successor: Option<StationId>,
        /// Who retired it.
        operator: String,
        /// Why.
        reason: String,
    },
    /// This station takes the place of one whose log can't be continued.
    StationReplaced {
        /// The station that it replaces.
        previous: StationId,
        /// That one's log.
        previous_origin: String,
        /// The last checkpoint that its home has, whole.
        previous_checkpoint: String,
        /// Who replaced it.
        operator: String,
        /// Why.
        reason: String,
    },
}

/// A fleet's file, as far as it was read, and what became of its rows over all imports that went on from each other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportedFile {
    /// The bytes that were read.
    pub bytes: u64,
    /// SHA-256 of them.
    #[serde(with = "hex::serde")]
    pub sha256: [u8; 32],
    /// Rows that were read.
    pub rows: u64,
    /// Of these, new in the registry.
    pub imported: u64,
    /// Of these, in the registry before.
    pub already: u64,
    /// Of these, refused.
    pub refused: u64,
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
            Self::BundleAccepted { .. } => "bundle-accepted",
            Self::CloudKeyChanged { .. } => "cloud-key-changed",
            Self::AuthorityReplaced { .. } => "authority-replaced",
            Self::OrderAdded { .. } => "order-added",
            Self::OrderClosed { .. } => "order-closed",
            Self::OperatorAdded { .. } => "operator-added",
            Self::RunStarted { .. } => "run-started",
            Self::StepIntended { .. } => "step-intended",
            Self::StepDone { .. } => "step-done",
            Self::RunEnded { .. } => "run-ended",
            Self::UnitQuarantined { .. } => "unit-quarantined",
            Self::CloneAlarm { .. } => "clone-alarm",
            Self::HeldReleased { .. } => "held-released",
            Self::HeldRefused { .. } => "held-refused",
            Self::UnitReleased { .. } => "unit-released",
            Self::UnitScrapped { .. } => "unit-scrapped",
            Self::PinRevoked { .. } => "pin-revoked",
            Self::OrderShipped { .. } => "order-shipped",
            Self::ConfigurationChanged { .. } => "configuration-changed",
            Self::ClockStepped { .. } => "clock-stepped",
            Self::SignInRefused { .. } => "sign-in-refused",
            Self::LogKeyAdded { .. } => "log-key-added",
            Self::LogKeyRetired { .. } => "log-key-retired",
            Self::SigningResumed { .. } => "signing-resumed",
            Self::Exported { .. } => "exported",
            Self::AuthorityPublished { .. } => "authority-published",
            Self::ActCarriedOut { .. } => "act-carried-out",
            Self::FleetImportBegun { .. } => "fleet-import-begun",
            Self::FleetImportEnded { .. } => "fleet-import-ended",
            Self::StationEnrolled { .. } => "station-enrolled",
            Self::StationRetired { .. } => "station-retired",
            Self::StationReplaced { .. } => "station-replaced",
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
            | Self::HeldReleased { run, .. }
            | Self::HeldRefused { run, .. }
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
            | Self::HeldReleased { device_id, .. }
            | Self::HeldRefused { device_id, .. }
            | Self::UnitReleased { device_id, .. }
            | Self::UnitScrapped { device_id, .. }
            | Self::ActCarriedOut { device_id, .. }
            | Self::PinRevoked { device_id, .. } => Some(*device_id),
            _ => None,
        }
    }
}
