//! What a command tells the outside while it runs, as types: the same events become JSON Lines for scripts, bars and tables for
//! people, and lines on the home's socket.
//!
//! An [`EventSink`] takes them in. The last event of every command is a [`Summary`].

mod answer;
mod authority;
mod cloud_key;
mod human;
mod json;
mod pin_text;
mod progress;
mod table;
mod view;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::exit::ExitCode;
use crate::fleet::RefusedRow;
use crate::record::{DeviceIdText, Failure, OrderId, RunId, Step, UnitState};
use crate::registry::EnrolledStation;

pub use authority::AuthorityView;
pub use cloud_key::{CloudKeyRemedy, CloudKeyUnitView, CloudKeyView};
pub use human::{AnswerStyle, HumanSink, Terminal};
pub use json::JsonSink;
pub use view::{
    CheckResult, CheckState, ExportFileView, ExportView, ImportView, LogKeyState, LogKeyView,
    OrderView, PinView, ProductView, RegistryView, RunView, SerialView, ShipmentView, StepView,
    UnitView, VerdictView, WitnessLogView, WitnessView,
};

/// The version of the JSON Lines. Fields are added without a new version; one that changes its meaning needs a new version.
pub const SCHEMA: u32 = 1;

/// One event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// How many units a run over slots is to do, where that is known: progress bars need it.
    Plan {
        /// The slots that take part.
        slots: Vec<u16>,
        /// The units to do; `None` where the line goes on until it is stopped.
        units: Option<u64>,
    },
    /// A unit reached a step, or its run ended.
    Unit(Box<UnitEvent>),
    /// Something worth a sentence that is no failure.
    Notice {
        /// The sentence.
        message: String,
    },
    /// Something that somebody should look at.
    Warning {
        /// What it is.
        message: String,
        /// What to do.
        next: String,
    },
    /// A product that was asked for.
    Product(Box<ProductView>),
    /// A work order that was asked for.
    Order(Box<OrderView>),
    /// A unit that was asked for.
    UnitRecord(Box<UnitView>),
    /// A pin that was asked for.
    Pin(Box<PinView>),
    /// A serial that a unit which was asked for has or had, and whom else it names.
    Serial(Box<SerialView>),
    /// Data that was handed out.
    Export(Box<ExportView>),
    /// A row of a fleet's file that was refused.
    RefusedRow(Box<RefusedRow>),
    /// What became of a fleet's file.
    Import(Box<ImportView>),
    /// A registry that was asked for, or brought up to date.
    Registry(Box<RegistryView>),
    /// A text that was asked for, as it is.
    Document {
        /// The text.
        text: String,
    },
    /// A unit that was looked at before shipping.
    Shipment(Box<ShipmentView>),
    /// What became of the verification of a file.
    Verdict(Box<VerdictView>),
    /// A witness that was asked for.
    Witness(Box<WitnessView>),
    /// A station of the registry that was asked for.
    Station(Box<EnrolledStation>),
    /// A version of a cloud key that was asked for.
    CloudKey(Box<CloudKeyView>),
    /// A unit that carries a cloud key.
    CloudKeyUnit(Box<CloudKeyUnitView>),
    /// A key of the audit log that was asked for.
    LogKey(Box<LogKeyView>),
    /// A root policy, a bundle or an act.
    Authority(Box<AuthorityView>),
    /// One of the doctor's checks.
    Check(CheckResult),
    /// The command could not do what it was asked.
    Error {
        /// Why, and what to do next.
        error: ErrorBody,
    },
    /// The last event.
    Summary(Summary),
}

/// What a unit event says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitEvent {
    /// The run.
    pub run: Option<RunId>,
    /// The work order.
    pub order: Option<OrderId>,
    /// The unit, once it was identified.
    pub device_id: Option<DeviceIdText>,
    /// The serial number that was scanned.
    pub serial: Option<String>,
    /// The fixture position.
    pub slot: u16,
    /// The last step that was reached.
    pub step: Option<Step>,
    /// In progress, or how the run ended.
    pub state: UnitState,
    /// The unit had been finished before; nothing was written again.
    pub already: bool,
    /// The run had ended held: this is what the registry made of it later.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub late: bool,
    /// Since the run began, in milliseconds.
    pub elapsed_ms: u64,
    /// Why the run failed: `code`, `message` and `next`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub error: Option<Failure>,
}

impl UnitEvent {
    /// Whether the run has ended.
    #[must_use]
    pub const fn ended(&self) -> bool {
        !matches!(self.state, UnitState::InProgress)
    }
}

/// Why a command failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// A stable name for scripts.
    pub code: String,
    /// What was expected and what came, with its causes, outermost first.
    pub message: String,
    /// What to do next.
    pub next: String,
}

/// How the command ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// Units whose run ended.
    pub units: u64,
    /// Of these, passed.
    pub passed: u64,
    /// Of these, failed.
    pub failed: u64,
    /// Of these, held.
    pub held: u64,
    /// Of these, passed with a weak proof; not among `passed`.
    pub weak: u64,
    /// How long the command took, in milliseconds.
    pub elapsed_ms: u64,
    /// The latest signed checkpoint of the audit log, whole; `None` where the command opened no journal.
    pub checkpoint: Option<String>,
    /// The exit code.
    pub exit_code: ExitCode,
    /// The station's home, where there is one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub home: Option<PathBuf>,
    /// The command was asked to write nothing.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub dry_run: bool,
}

impl Summary {
    /// The summary of a command that ran no unit.
    #[must_use]
    pub const fn without_units(exit_code: ExitCode, elapsed_ms: u64) -> Self {
        Self {
            units: 0,
            passed: 0,
            failed: 0,
            held: 0,
            weak: 0,
            elapsed_ms,
            checkpoint: None,
            exit_code,
            home: None,
            dry_run: false,
        }
    }

    /// Counts a run that ended; one that is in progress changes nothing.
    pub const fn count(&mut self, state: UnitState) {
        match state {
            UnitState::InProgress => return,
            UnitState::Passed => self.passed += 1,
            UnitState::Weak => self.weak += 1,
            UnitState::Held => self.held += 1,
            UnitState::Failed | UnitState::Quarantined | UnitState::Scrapped => self.failed += 1,
        }
        self.units += 1;
    }

    /// The exit code that these counts mean, where nothing else went wrong.
    #[must_use]
    pub const fn exit_code_of_counts(&self) -> ExitCode {
        if self.failed > 0 {
            ExitCode::UnitsFailed
        } else if self.held > 0 {
            ExitCode::Held
        } else {
            ExitCode::Success
        }
    }
}

/// Takes events in.
///
/// # Contract
/// - `emit` may be called from many threads; events of one thread keep their order.
/// - It does not fail: a sink whose reader went away drops what it gets, and asks its command to stop.
pub trait EventSink: Send + Sync {
    /// Takes one event in.
    fn emit(&self, event: Event);
}
