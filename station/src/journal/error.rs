//! Why the journal refuses.

use std::path::PathBuf;
use std::sync::Arc;

use crate::audit::AuditError;
use crate::record::{DeviceIdText, FailureCode, OrderId, ProductId, RunId, RunResult, UnitState};

/// Why the journal refuses a change or can't answer.
///
/// A refused change leaves nothing behind. [`JournalError::Stopped`] is final: the process must end, and opening the journal again
/// finds out what is on disk.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// A write failed, so that nobody knows what is on disk; nothing more is accepted.
    #[error("the journal has stopped, because its last write may or may not be on disk: {cause}")]
    Stopped {
        /// What failed.
        cause: String,
    },
    /// The database failed to answer a question.
    #[error("the journal's database failed while {doing}")]
    Database {
        /// What was being done.
        doing: &'static str,
        /// What the database said.
        #[source]
        source: sqlx::Error,
    },
    /// There is no journal.
    #[error("expected a journal at {}, found none", .path.display())]
    Missing {
        /// Where.
        path: PathBuf,
    },
    /// The schema could not be brought up to date.
    #[error("the journal's schema could not be brought up to date")]
    Migration(#[source] sqlx::migrate::MigrateError),
    /// The journal was written by newer software that says that this one can't go on with it.
    #[error(
        "the journal needs a client of schema version {needed} or newer, this one knows {ours}"
    )]
    TooNew {
        /// The oldest version that may write.
        needed: i64,
        /// This software's.
        ours: i64,
    },
    /// What is stored contradicts itself.
    #[error("the journal is damaged: {what}: expected {expected}, found {found}")]
    Damaged {
        /// Where.
        what: &'static str,
        /// What should stand there.
        expected: String,
        /// What stands there.
        found: String,
    },
    /// The checkpoint could not be signed or read.
    #[error("the audit log refused")]
    Audit(#[from] AuditError),
    /// The log has run too far ahead of what its witnesses have cosigned.
    #[error(
        "expected the log to be at most {leaves_max} leaves and {hours_max} hours ahead of its last witnessed checkpoint, it is {leaves} leaves and {hours} hours ahead"
    )]
    AheadOfWitnesses {
        /// By how many leaves.
        leaves: u64,
        /// For how many hours.
        hours: u64,
        /// The most leaves.
        leaves_max: u64,
        /// The most hours.
        hours_max: u64,
    },
    /// A witness knows a log of this name that this one does not continue.
    #[error("nothing more is signed, because {cause}")]
    Disputed {
        /// Which witness, and what it knows.
        cause: String,
    },
    /// The log's key is out of reach. Nothing was written, and the next commit tries again.
    #[error("nothing was committed, because the audit log's checkpoint could not be signed")]
    SigningUnavailable {
        /// Why; the whole batch has the same answer.
        #[source]
        source: Arc<AuditError>,
    },
    /// A key can't be added to the log or retired.
    #[error("expected {expected}, got {key}")]
    LogKeyRefused {
        /// What it should be.
        expected: &'static str,
        /// The verifier key.
        key: String,
    },
    /// One commit had no change or too many.
    #[error("expected 1 to {limit} changes in a commit, got {got}")]
    ChangeCount {
        /// The most.
        limit: usize,
        /// How many came.
        got: usize,
    },
    /// No checkpoint of this log has the cosignatures that the configuration asks for.
    #[error(
        "expected a checkpoint of this log that its witnesses have cosigned before a run begins, there is none yet"
    )]
    NeverWitnessed,
    /// Something that must be given is empty, or must not be zero.
    #[error("expected {expected}, got {got}")]
    BadValue {
        /// What was expected.
        expected: &'static str,
        /// What came.
        got: String,
    },
    /// The name is in use.
    #[error("the {what} name \"{name}\" is in use")]
    NameTaken {
        /// `product`, `order` or `operator`.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// The id is in use.
    #[error("the {what} id {id} is in use")]
    IdTaken {
        /// `product`, `order`, `run` or `operator`.
        what: &'static str,
        /// The id.
        id: String,
    },
    /// There is no such product that is not retired.
    #[error("expected a product that is not retired, got {0}")]
    NoLiveProduct(ProductId),
    /// There is no such order that is open.
    #[error("expected an order that is open, got {0}")]
    NoOpenOrder(OrderId),
    /// There is no such run that has not ended.
    #[error("expected a run that has not ended, got {0}")]
    NoOpenRun(RunId),
    /// There is no such unit.
    #[error("expected a unit that the journal knows, got {}", .0.0)]
    NoUnit(DeviceIdText),
    /// The unit was set apart, and only a release lets a run go on with it.
    #[error("unit {} is {}; a run goes on with it only after it was released", .device_id.0, .state.name())]
    UnitSetApart {
        /// The unit.
        device_id: DeviceIdText,
        /// `Quarantined` or `Scrapped`.
        state: UnitState,
    },
    /// A scrapped unit is out for good: it is neither released nor scrapped again.
    #[error("expected a unit that was not scrapped, unit {} was", .0.0)]
    ScrappedForGood(DeviceIdText),
    /// The run was on one unit and now is on another.
    #[error("run {run} is on unit {}, the change names unit {}", .expected.0, .got.0)]
    OtherDevice {
        /// The run.
        run: RunId,
        /// The unit of the run.
        expected: DeviceIdText,
        /// The unit in the change.
        got: DeviceIdText,
    },
    /// Another run is on the unit.
    #[error("unit {} is in run {other} at this moment", .device_id.0)]
    UnitBusy {
        /// The unit.
        device_id: DeviceIdText,
        /// The run that it is in.
        other: RunId,
    },
    /// The unit is known by another serial, or the serial belongs to another unit.
    #[error("serial \"{serial}\" was scanned for unit {}, but {known}", .device_id.0)]
    SerialMismatch {
        /// The unit on the bench.
        device_id: DeviceIdText,
        /// The serial that was scanned.
        serial: String,
        /// What the journal knows instead.
        known: String,
    },
    /// The run does not wait in the outbox: it never ended held, or something became of it.
    #[error("expected a run of unit {} that waits in the outbox, got {run}", .device_id.0)]
    NotHeld {
        /// The run.
        run: RunId,
        /// The unit.
        device_id: DeviceIdText,
    },
    /// There is no such order.
    #[error("expected an order of this station, got {0}")]
    NoOrder(OrderId),
    /// The unit must not leave the building for this order.
    #[error("expected {expected} to ship for order {order}, unit {} is {}", .device_id.0, .state.name())]
    NotShippable {
        /// The unit.
        device_id: DeviceIdText,
        /// The order.
        order: OrderId,
        /// What was expected.
        expected: &'static str,
        /// How the unit stands.
        state: UnitState,
    },
    /// The order has all its units.
    #[error("order {order} is for {quantity} units, and all of them are finished")]
    OrderFilled {
        /// The order.
        order: OrderId,
        /// Its quantity.
        quantity: u32,
    },
    /// A run can't end like that.
    #[error("a run that {} needs {needs}", .result.name())]
    BadEnd {
        /// How it ended.
        result: RunResult,
        /// What is missing or too much.
        needs: &'static str,
    },
}

impl JournalError {
    /// Whether one change was refused by the rules, as opposed to the journal or its log being in trouble.
    #[must_use]
    pub const fn is_refusal(&self) -> bool {
        !matches!(
            self,
            Self::Stopped { .. }
                | Self::Database { .. }
                | Self::Missing { .. }
                | Self::Migration(_)
                | Self::TooNew { .. }
                | Self::Damaged { .. }
                | Self::Audit(_)
                | Self::AheadOfWitnesses { .. }
                | Self::NeverWitnessed
                | Self::Disputed { .. }
                | Self::SigningUnavailable { .. }
        )
    }

    /// What to do next.
    #[must_use]
    pub fn next(&self) -> &'static str {
        match self {
            Self::SigningUnavailable { source } => source.next(),
            Self::AheadOfWitnesses { .. } | Self::NeverWitnessed => {
                "Bring the witnesses back in reach (`keyline doctor` names those that do not answer), then run again."
            }
            Self::Disputed { .. } => {
                "Keep the home as it is and call whoever answers for the audit log: it was restored from an old copy, or somebody else signs in its name. `keyline station replace` begins a new log."
            }
            Self::BadValue { .. } => "Correct what the message names.",
            Self::NameTaken { .. } => "Choose another name: --name NAME.",
            Self::Missing { .. } => {
                "Restore the home from a backup, or name another with --home DIR."
            }
            Self::Database { source, .. } => database_next(source),
            Self::Damaged { .. } | Self::Migration(_) => DAMAGED_NEXT,
            Self::TooNew { .. } => "Use the software version that wrote it, or a newer one.",
            error if error.is_refusal() => {
                "Look at what there is with `keyline product list`, `keyline order list` or `keyline unit show`."
            }
            _ => {
                "Check the disk's free space and health, then start again: every unit's state is known."
            }
        }
    }

    /// The failure of a run that met this error; `None` where it isn't about the run, and the line stops.
    #[must_use]
    pub const fn failure_code(&self) -> Option<FailureCode> {
        match self {
            Self::ScrappedForGood(_)
            | Self::UnitSetApart {
                state: UnitState::Scrapped,
                ..
            } => Some(FailureCode::Scrapped),
            Self::UnitSetApart { .. } => Some(FailureCode::Quarantined),
            Self::OtherDevice { .. } => Some(FailureCode::DeviceIdMismatch),
            Self::UnitBusy { .. } => Some(FailureCode::UnitBusy),
            Self::SerialMismatch { .. } => Some(FailureCode::SerialMismatch),
            Self::OrderFilled { .. } => Some(FailureCode::OrderFilled),
            Self::NoOpenOrder(_) => Some(FailureCode::OrderClosed),
            _ => None,
        }
    }
}

/// Names what was being done when the database failed.
pub(super) fn database(doing: &'static str) -> impl FnOnce(sqlx::Error) -> JournalError {
    move |source| JournalError::Database { doing, source }
}

/// What to do where the journal's file is not what it was.
const DAMAGED_NEXT: &str = "Keep the home as it is and restore it from a backup beside it; `keyline doctor` and `keyline audit verify --deep` say what is wrong.";

/// What to do about what the database says (the primary result codes of `SQLite`).
fn database_next(source: &sqlx::Error) -> &'static str {
    let code = source
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code);
    let code: Option<i32> = code.and_then(|code| code.parse().ok());
    match code.map(|code| code & 0xff) {
        // Error, corrupt, not a database.
        Some(1 | 11 | 26) => DAMAGED_NEXT,
        // Permission, read-only, can't open.
        Some(3 | 8 | 14) => {
            "This user can't write beside the journal, which even reading needs: run as the home's user, or on a copy of your own (`cp -a HOME copy`)."
        }
        _ => "Check the disk's free space and health, then start again.",
    }
}
