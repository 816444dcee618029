//! What the registry answers, beside [`Pin`](crate::record::Pin).

use serde::{Deserialize, Serialize};

use crate::record::{DeviceIdText, RunId, StationId};

/// What happened to a device's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PinEventKind {
    /// It was entered as pending.
    Claimed,
    /// A newer claim took its place before it proved itself; it is burnt.
    Superseded,
    /// It proved itself and is trusted.
    Pinned,
    /// It is trusted no more.
    Revoked,
}

impl PinEventKind {
    const ALL: [Self; 4] = [Self::Claimed, Self::Superseded, Self::Pinned, Self::Revoked];

    /// The name in the database and on screens.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Claimed => "claimed",
            Self::Superseded => "superseded",
            Self::Pinned => "pinned",
            Self::Revoked => "revoked",
        }
    }

    pub(super) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// One line of a device's history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PinEvent {
    /// Counted from 1 for each device, without a gap.
    pub sequence: u64,
    /// What happened.
    pub kind: PinEventKind,
    /// The key.
    #[serde(with = "hex::serde")]
    pub fingerprint: [u8; 32],
    /// The station, where one did it.
    pub station: Option<StationId>,
    /// The operator's id, where one did it.
    pub operator: Option<String>,
    /// Why, where somebody had to say.
    pub reason: Option<String>,
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
}

/// A conflict that may mean a cloned unit or key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegistryAlarm {
    /// `key-belongs-to-another` or `device-has-another-key`.
    pub kind: String,
    /// The unit on the bench.
    pub device_id: DeviceIdText,
    /// The key that it showed.
    #[serde(with = "hex::serde")]
    pub fingerprint: [u8; 32],
    /// The unit that has the key already.
    pub other_device_id: Option<DeviceIdText>,
    /// The key that the unit has already, in hexadecimal.
    pub other_fingerprint: Option<String>,
    /// The station.
    pub station: StationId,
    /// The run.
    pub run: RunId,
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
}
