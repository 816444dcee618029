//! What the registry holds of the keys and devices that a batch names, and what the batch makes of it.

use std::collections::{HashMap, HashSet};

use crate::record::{Claim, DeviceIdText, ProductId, Proof, RunId, StationId};

use super::log::{LogAlarmKind, LogCheckpoint};
use super::model::PinEventKind;

/// SHA-256 of a public key's SPKI DER.
pub(super) type Fingerprint = [u8; 32];

/// What became of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PinState {
    Pending,
    Active,
    Superseded,
    Revoked,
}

impl PinState {
    const ALL: [Self; 4] = [Self::Pending, Self::Active, Self::Superseded, Self::Revoked];

    /// The name in the database.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Active => "active",
            Self::Superseded => "superseded",
            Self::Revoked => "revoked",
        }
    }

    pub(super) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    /// Whether it never comes back.
    pub(super) const fn is_final(self) -> bool {
        matches!(self, Self::Superseded | Self::Revoked)
    }
}

/// A claim, as far as a proof is held against it.
#[derive(Clone, Debug)]
pub(super) struct KnownClaim {
    pub(super) device_id: DeviceIdText,
    pub(super) algorithm: String,
    pub(super) public_key: Vec<u8>,
    pub(super) product: ProductId,
}

/// One key of a device.
#[derive(Clone, Debug)]
pub(super) struct KnownPin {
    pub(super) fingerprint: Fingerprint,
    pub(super) state: PinState,
    pub(super) weak: bool,
    pub(super) pinned_at_ms: Option<u64>,
}

/// A line of history that is to be written.
#[derive(Debug)]
pub(super) struct HistoryRow {
    pub(super) device_id: DeviceIdText,
    pub(super) sequence: i64,
    pub(super) kind: PinEventKind,
    pub(super) fingerprint: Fingerprint,
    pub(super) station: Option<StationId>,
    pub(super) operator: Option<String>,
    pub(super) reason: Option<String>,
}

/// An alarm that is to be written.
#[derive(Debug)]
pub(super) struct AlarmRow {
    pub(super) kind: &'static str,
    pub(super) device_id: DeviceIdText,
    pub(super) fingerprint: Fingerprint,
    pub(super) other_device_id: Option<DeviceIdText>,
    pub(super) other_fingerprint: Option<Fingerprint>,
    pub(super) station: StationId,
    pub(super) run: RunId,
}

/// What is known of a log: whose it is, and its latest checkpoint.
#[derive(Clone, Copy, Debug)]
pub(super) struct KnownLog {
    pub(super) station: StationId,
    /// 0 where none was entered.
    pub(super) size: u64,
    pub(super) root: [u8; 32],
}

/// A checkpoint that is to be written, and the size of the one before it.
#[derive(Debug)]
pub(super) struct CheckpointRow<'a> {
    pub(super) checkpoint: &'a LogCheckpoint,
    pub(super) previous_size: u64,
}

/// A refused checkpoint that is to be written.
#[derive(Debug)]
pub(super) struct LogAlarmRow<'a> {
    pub(super) kind: LogAlarmKind,
    pub(super) shown: &'a LogCheckpoint,
    pub(super) known_size: u64,
}

/// What the batch has read, kept up to date while it is decided.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) claims: HashMap<Fingerprint, KnownClaim>,
    pub(super) pins: HashMap<DeviceIdText, Vec<KnownPin>>,
    /// The last sequence of each device's history.
    pub(super) sequences: HashMap<DeviceIdText, i64>,
    /// Which key a nonce has proven.
    pub(super) nonces: HashMap<[u8; 32], Fingerprint>,
    /// By origin.
    pub(super) logs: HashMap<String, KnownLog>,
    /// The roots that were entered at the sizes which the batch names, by origin.
    pub(super) roots: HashMap<(String, u64), [u8; 32]>,
}

/// What the batch writes. Claims and proofs are the requests' own.
#[derive(Debug, Default)]
pub(super) struct Writes<'a> {
    pub(super) claims: Vec<&'a Claim>,
    pub(super) pins: HashSet<(DeviceIdText, Fingerprint)>,
    pub(super) proofs: Vec<&'a Proof>,
    pub(super) history: Vec<HistoryRow>,
    pub(super) alarms: Vec<AlarmRow>,
    /// Logs that were never seen before.
    pub(super) logs: Vec<&'a LogCheckpoint>,
    pub(super) checkpoints: Vec<CheckpointRow<'a>>,
    pub(super) log_alarms: Vec<LogAlarmRow<'a>>,
}

impl Writes<'_> {
    /// Whether there is nothing to write.
    pub(super) fn is_empty(&self) -> bool {
        self.claims.is_empty()
            && self.pins.is_empty()
            && self.proofs.is_empty()
            && self.alarms.is_empty()
            && self.checkpoints.is_empty()
            && self.log_alarms.is_empty()
    }
}

impl Known {
    /// The device's key in this state; there is at most one that is pending and one that is active.
    pub(super) fn in_state(&self, device_id: DeviceIdText, state: PinState) -> Option<&KnownPin> {
        self.pins
            .get(&device_id)?
            .iter()
            .find(|pin| pin.state == state)
    }

    /// The state of one key of a device.
    pub(super) fn state_of(
        &self,
        device_id: DeviceIdText,
        fingerprint: &Fingerprint,
    ) -> Option<PinState> {
        let pins = self.pins.get(&device_id)?;
        let pin = pins.iter().find(|pin| pin.fingerprint == *fingerprint)?;
        Some(pin.state)
    }
}
