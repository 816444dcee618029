//! One attempt at one unit, its steps, and what became of it.

use keyline_protocol::identity::DeviceId;
use serde::{Deserialize, Serialize};

use super::{Failure, OrderId, RunId};

/// A part of a run, named by the state that it reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// The probe or port is open.
    Attached,
    /// The chip is the right one, and the agent on it is the product's.
    Identified,
    /// The private key is in flash and has signed this station's challenge.
    Keyed,
    /// The public key is entered in the registry, pending.
    Claimed,
    /// The identity record is committed in flash.
    Injected,
    /// The unit has proven itself after a reset.
    Proven,
    /// The registry has verified the proof and trusts the key.
    Pinned,
    /// The agent answers only identify and prove.
    Sealed,
    /// Read-back protection is set and was seen to hold.
    Locked,
}

impl Step {
    /// Every step, in the order of a run.
    pub const ALL: [Self; 9] = [
        Self::Attached,
        Self::Identified,
        Self::Keyed,
        Self::Claimed,
        Self::Injected,
        Self::Proven,
        Self::Pinned,
        Self::Sealed,
        Self::Locked,
    ];

    /// The name in events, databases and on screens.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Attached => "attached",
            Self::Identified => "identified",
            Self::Keyed => "keyed",
            Self::Claimed => "claimed",
            Self::Injected => "injected",
            Self::Proven => "proven",
            Self::Pinned => "pinned",
            Self::Sealed => "sealed",
            Self::Locked => "locked",
        }
    }

    /// The step of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|step| step.name() == name)
    }
}

/// Whether a step is about to have its effect or has had it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepPhase {
    /// Journalled before the effect: after a crash, the effect may or may not have happened.
    Intended,
    /// The effect was seen.
    Done,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunResult {
    /// Proven, pinned, recorded.
    Passed,
    /// As passed, but the proof was a MAC: counted apart, never plain PASS.
    Weak,
    /// Finished, but not yet acknowledged by the registry.
    Held,
    /// Anything else.
    Failed,
}

impl RunResult {
    /// The name in events, databases and on screens.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Weak => "weak",
            Self::Held => "held",
            Self::Failed => "failed",
        }
    }
}

/// What the station knows of a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UnitState {
    /// A run was begun and has not ended: running now, or interrupted. Running it again finishes it.
    InProgress,
    /// Its last run passed.
    Passed,
    /// Its last run passed with a weak proof.
    Weak,
    /// Finished, but not yet acknowledged by the registry.
    Held,
    /// Its last run failed; it may be tried again.
    Failed,
    /// Set apart: no run is begun on it.
    Quarantined,
    /// Taken out for good.
    Scrapped,
}

impl UnitState {
    /// The name in events, databases and on screens.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::InProgress => "in-progress",
            Self::Passed => "passed",
            Self::Weak => "weak",
            Self::Held => "held",
            Self::Failed => "failed",
            Self::Quarantined => "quarantined",
            Self::Scrapped => "scrapped",
        }
    }

    /// Whether its last run ended well: it passed, or only the registry's word is missing.
    #[must_use]
    pub const fn is_finished(self) -> bool {
        matches!(self, Self::Passed | Self::Weak | Self::Held)
    }
}

/// A run, as the journal has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// Its id.
    pub id: RunId,
    /// The work order it belongs to.
    pub order: OrderId,
    /// The fixture position.
    pub slot: u16,
    /// The serial number that was scanned, if one was.
    pub serial: Option<String>,
    /// The unit, once it was identified.
    pub device_id: Option<DeviceIdText>,
    /// The last step that was reached.
    pub reached: Option<Step>,
    /// How it ended; `None` while it is running or was interrupted.
    pub result: Option<RunResult>,
    /// Why it failed.
    pub failure: Option<Failure>,
    /// When it began, in milliseconds since 1970.
    pub started_at_ms: u64,
    /// When it ended.
    pub ended_at_ms: Option<u64>,
}

/// A device id that is written as its 24 digits in JSON and shown the same way everywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct DeviceIdText(pub DeviceId);

impl From<DeviceIdText> for String {
    fn from(id: DeviceIdText) -> Self {
        id.0.to_string()
    }
}

impl TryFrom<String> for DeviceIdText {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        DeviceId::parse(&text)
            .map(Self)
            .ok_or_else(|| format!("expected a device id of 24 hexadecimal digits, got \"{text}\""))
    }
}
