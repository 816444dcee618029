//! What the journal answers: one type a question.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::audit::VerifierKey;
use crate::record::{
    DeviceIdText, Evidence, OrderId, ProductId, Run, RunId, RunResult, Step, StepPhase, UnitState,
};

/// The changes are on disk, under a signed checkpoint that covers them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The index of the first change's leaf; the others follow it.
    pub first_leaf: u64,
    /// How many leaves the checkpoint covers.
    pub tree_size: u64,
    /// The checkpoint, a signed note.
    pub checkpoint: Arc<str>,
}

/// A key that signs the log's checkpoints, or did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogKey {
    /// The key.
    pub key: VerifierKey,
    /// The index of the leaf that added it; `None` for the key that the log began with.
    pub added_at: Option<u64>,
    /// The index of the leaf that retired it. The checkpoint that covers this leaf is the last one that it signed.
    pub retired_at: Option<u64>,
}

impl LogKey {
    /// Whether it signs every checkpoint.
    #[must_use]
    pub const fn in_force(&self) -> bool {
        self.retired_at.is_none()
    }
}

/// What the journal knows of a unit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unit {
    /// Its device id.
    pub device_id: DeviceIdText,
    /// The serial number that was scanned for it.
    pub serial: Option<String>,
    /// The product of its last run.
    pub product: Option<ProductId>,
    /// The order of its last run.
    pub order: Option<OrderId>,
    /// Its state.
    pub state: UnitState,
    /// Runs that failed since the last one that did not: three mean quarantine. Failures that were the station's are not counted.
    pub consecutive_failures: u32,
    /// Its last run.
    pub last_run: Option<RunId>,
    /// The run that last intended to lock it: the unit may be locked since.
    pub lock_intended: Option<RunId>,
    /// When something last happened to it, in milliseconds since 1970.
    pub changed_at_ms: u64,
}

/// Which units to list. The default lists all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UnitFilter {
    /// Only those whose last run was of this order.
    pub order: Option<OrderId>,
    /// Only those in this state.
    pub state: Option<UnitState>,
    /// Only those after this device id: the last one of the page before.
    pub after: Option<DeviceIdText>,
}

/// How far an order is. Units are distinct device ids, by their last run in this order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderCounts {
    /// Units that passed.
    pub passed: u32,
    /// Units that passed with a weak proof.
    pub weak: u32,
    /// Units that are held.
    pub held: u32,
    /// Units whose last run failed.
    pub failed: u32,
    /// Runs that failed before the unit was known.
    pub failed_unidentified: u32,
}

impl OrderCounts {
    /// Units that fill the order: passed, weak and held.
    #[must_use]
    pub const fn finished(&self) -> u32 {
        self.passed + self.weak + self.held
    }

    /// The count of units whose last run ended like this.
    pub(super) const fn of_mut(&mut self, result: RunResult) -> &mut u32 {
        match result {
            RunResult::Passed => &mut self.passed,
            RunResult::Weak => &mut self.weak,
            RunResult::Held => &mut self.held,
            RunResult::Failed => &mut self.failed,
        }
    }
}

/// One step of a run, intended or done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepEvent {
    /// The index of its audit leaf.
    pub leaf: u64,
    /// When it was committed, in milliseconds since 1970.
    pub at_ms: u64,
    /// The step.
    pub step: Step,
    /// Intended or done.
    pub phase: StepPhase,
    /// The unit, if it was known.
    pub device_id: Option<DeviceIdText>,
    /// What the step left behind; `None` where it was only intended.
    pub evidence: Option<Evidence>,
}

/// A run that has no end: the station stopped in its middle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InterruptedRun {
    /// The run.
    pub run: Run,
    /// The last step whose effect may or may not have happened; `None` where the last intent was done.
    pub intended: Option<Step>,
    /// The last step that was done.
    pub done: Option<Step>,
}

/// Somebody may have cloned a unit or a key, or a unit was set apart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alarm {
    /// The index of its audit leaf.
    pub leaf: u64,
    /// When it was raised, in milliseconds since 1970.
    pub at_ms: u64,
    /// `clone-alarm` or `unit-quarantined`.
    pub kind: String,
    /// The unit.
    pub device_id: DeviceIdText,
    /// The run in which it happened.
    pub run: Option<RunId>,
    /// The whole change.
    pub change: crate::record::Change,
}

/// A run in the outbox: it ended held, and the registry has not acknowledged it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitingRun {
    /// Its place: the index of the leaf that ended it.
    pub leaf: u64,
    /// The unit.
    pub device_id: DeviceIdText,
    /// The run.
    pub run: RunId,
}

/// What waits in the outbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outbox {
    /// Runs that ended held and that the registry has not acknowledged.
    pub runs: u64,
    /// The units that they were on.
    pub units: u64,
    /// When the oldest of them ended, in milliseconds since 1970; `None` where nothing waits.
    pub since_ms: Option<u64>,
}

/// Who may sign in. The token itself is nowhere in the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operator {
    /// A random id: what the audit log calls the operator.
    pub id: String,
    /// The name, for signing in and for screens only.
    pub name: String,
    /// The role.
    pub role: String,
    /// SHA-256 of the token: 32 random bytes, so there is nothing to guess.
    pub token_sha256: [u8; 32],
    /// When the operator was added, in milliseconds since 1970.
    pub added_at_ms: u64,
}

/// An entry of the log: a leaf, and what opens its commitment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its index in the log.
    pub index: u64,
    /// The bytes that the tree hashes ([`crate::audit::Leaf`]).
    pub leaf: Vec<u8>,
    /// What the commitment is salted with.
    pub salt: [u8; 32],
    /// The change, as JSON: the bytes that were committed to.
    pub body: String,
}

/// How far the log may run ahead of its last witnessed checkpoint before no run begins any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AheadBounds {
    /// In leaves.
    pub leaves_max: u64,
    /// In hours since the first leaf that no witnessed checkpoint covers.
    pub hours_max: u64,
}

/// A signed bundle that was accepted: a roster, a product or a station enrolment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredBundle {
    /// `roster`, `product` or `station`.
    pub kind: String,
    /// What it is about.
    pub subject: String,
    /// Its version.
    pub version: u64,
    /// SHA-256 of its text, without signatures.
    pub digest: [u8; 32],
    /// The signed note.
    pub note: String,
}

/// A witness's signature on one of this log's checkpoints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredCosignature {
    /// The checkpoint's size.
    pub tree_size: u64,
    /// The witness's verifier key.
    pub witness: String,
    /// The signature line (C2SP `signed-note`), without its line end.
    pub line: String,
    /// When the witness signed, by its own clock, in seconds since 1970.
    pub time_s: u64,
}

/// What became of a request with this idempotency key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Idempotency {
    /// It was never seen, or never finished: carry it out.
    New,
    /// It was carried out; this is its result.
    Stored(String),
    /// The key was used for another request.
    Different,
}
