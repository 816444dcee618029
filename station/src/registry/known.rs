//! What the registry holds of the keys and devices that a batch names, and what the batch makes of it.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::record::{Claim, DeviceIdText, ProductId, Proof, StationId};

use super::acts::{NewKey, TwoPersonAct};
use super::log::{LogAlarmKind, LogCheckpoint};
use super::model::{AlarmKind, ImportRow, ImportTerms, Revocation};
use super::serials::{Serials, UseRow};

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
}

/// A key that was claimed, and what became of it.
#[derive(Clone, Debug)]
pub(super) struct KnownKey {
    pub(super) device_id: DeviceIdText,
    /// Which of the device's pins it is, or wants to be, from 1.
    pub(super) generation: i64,
    /// Which of the claims for that pin it is, from 1.
    pub(super) turn: i64,
    pub(super) algorithm: String,
    pub(super) public_key: Vec<u8>,
    /// `None` where the key was not claimed on a bench.
    pub(super) product: Option<ProductId>,
    /// The station that claimed it, where one did.
    pub(super) station: Option<StationId>,
    pub(super) state: PinState,
    pub(super) weak: bool,
}

/// On whose word a key is entered.
#[derive(Clone, Copy, Debug)]
pub(super) enum Basis<'a> {
    /// A unit on a bench showed that it has it.
    Bench(&'a Claim),
    /// Somebody who may took it in from a file.
    Import(&'a ImportRow, &'a ImportTerms),
    /// Two people agreed, and the key's holder signed.
    Rotation(&'a TwoPersonAct, &'a NewKey),
}

/// A claim that is to be written.
#[derive(Debug)]
pub(super) struct ClaimRow<'a> {
    pub(super) basis: Basis<'a>,
    pub(super) generation: i64,
    pub(super) turn: i64,
}

/// A pin that is to be written.
#[derive(Debug)]
pub(super) struct PinRow<'a> {
    pub(super) device_id: DeviceIdText,
    pub(super) generation: i64,
    pub(super) turn: i64,
    /// The proof on which it stands, where it comes from a bench.
    pub(super) proof: Option<&'a Proof>,
}

/// A revocation that is to be written.
#[derive(Debug)]
pub(super) struct RevocationRow<'a> {
    pub(super) device_id: DeviceIdText,
    pub(super) generation: i64,
    pub(super) by: RevokedBy<'a>,
}

/// On whose word a key is revoked.
#[derive(Clone, Copy, Debug)]
pub(super) enum RevokedBy<'a> {
    /// One person at the station where the unit was scrapped or reworked.
    Station(&'a Revocation),
    /// Two people.
    Act(&'a TwoPersonAct),
}

/// An alarm that is to be written.
#[derive(Debug)]
pub(super) struct AlarmRow<'a> {
    pub(super) kind: AlarmKind,
    /// What was refused.
    pub(super) claim: &'a Claim,
    /// The device that has the key, or that has another one.
    pub(super) holder_device: DeviceIdText,
    /// The key that it has.
    pub(super) holder_key: Fingerprint,
    /// The station that entered that key, where one did.
    pub(super) holder_station: Option<StationId>,
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
    keys: HashMap<Fingerprint, KnownKey>,
    /// The keys of each device.
    devices: HashMap<DeviceIdText, HashSet<Fingerprint>>,
    /// The products of those that the batch names which the registry has.
    pub(super) products: BTreeSet<String>,
    /// The names of the products whose ids differ between a proof of the batch and its claim.
    pub(super) builds: HashMap<ProductId, String>,
    /// Those of the acts that the batch names which were carried out.
    pub(super) acts: HashSet<[u8; 32]>,
    /// Those that were asked for.
    pub(super) requests: HashSet<[u8; 32]>,
    /// Which key a nonce has proven.
    pub(super) nonces: HashMap<[u8; 32], Fingerprint>,
    /// Whom the serials name.
    pub(super) serials: Serials,
    /// By origin.
    pub(super) logs: HashMap<String, KnownLog>,
    /// The roots that were entered at the sizes which the batch names, by origin.
    pub(super) roots: HashMap<(String, u64), [u8; 32]>,
}

/// What the batch writes. Claims and proofs are the requests' own.
#[derive(Debug, Default)]
pub(super) struct Writes<'a> {
    pub(super) claims: Vec<ClaimRow<'a>>,
    pub(super) proofs: Vec<&'a Proof>,
    pub(super) pins: Vec<PinRow<'a>>,
    pub(super) uses: Vec<UseRow<'a>>,
    pub(super) acts: Vec<&'a TwoPersonAct>,
    pub(super) revocations: Vec<RevocationRow<'a>>,
    pub(super) alarms: Vec<AlarmRow<'a>>,
    /// Logs that were never seen before.
    pub(super) logs: Vec<&'a LogCheckpoint>,
    pub(super) checkpoints: Vec<CheckpointRow<'a>>,
    pub(super) log_alarms: Vec<LogAlarmRow<'a>>,
}

impl Writes<'_> {
    /// Whether there is nothing to write.
    pub(super) const fn is_empty(&self) -> bool {
        self.claims.is_empty()
            && self.proofs.is_empty()
            && self.pins.is_empty()
            && self.uses.is_empty()
            && self.acts.is_empty()
            && self.revocations.is_empty()
            && self.alarms.is_empty()
            && self.checkpoints.is_empty()
            && self.log_alarms.is_empty()
    }
}

impl Known {
    /// Adds a key that was read or claimed.
    pub(super) fn add(&mut self, fingerprint: Fingerprint, key: KnownKey) {
        self.devices
            .entry(key.device_id)
            .or_default()
            .insert(fingerprint);
        self.keys.insert(fingerprint, key);
    }

    /// The key with this fingerprint, whatever became of it.
    pub(super) fn key(&self, fingerprint: &Fingerprint) -> Option<&KnownKey> {
        self.keys.get(fingerprint)
    }

    /// The keys of a device, in no order.
    pub(super) fn keys_of(
        &self,
        device_id: DeviceIdText,
    ) -> impl Iterator<Item = (&Fingerprint, &KnownKey)> {
        let fingerprints = self.devices.get(&device_id).into_iter().flatten();
        fingerprints.filter_map(|fingerprint| self.keys.get_key_value(fingerprint))
    }

    /// The device's key in this state; there is at most one that is pending and one that is active.
    pub(super) fn in_state(
        &self,
        device_id: DeviceIdText,
        state: PinState,
    ) -> Option<(&Fingerprint, &KnownKey)> {
        self.keys_of(device_id).find(|(_, key)| key.state == state)
    }

    /// Where the device's next claim stands: its generation and its turn.
    pub(super) fn next_place(&self, device_id: DeviceIdText) -> (i64, i64) {
        let keys = || self.keys_of(device_id).map(|(_, key)| key);
        let revoked = keys().filter(|key| key.state == PinState::Revoked);
        let generation = 1 + revoked.map(|key| key.generation).max().unwrap_or(0);
        let turns = keys().filter(|key| key.generation == generation);
        let turn = 1 + turns.map(|key| key.turn).max().unwrap_or(0);
        (generation, turn)
    }

    /// Whether two ids are of one product: of different bundles, or at different stations.
    pub(super) fn same_product(&self, one: ProductId, other: ProductId) -> bool {
        let name = |id| self.builds.get(&id);
        one == other || name(one).is_some_and(|known| name(other) == Some(known))
    }

    /// Says what became of a key.
    pub(super) fn change(&mut self, fingerprint: &Fingerprint, state: PinState, weak: bool) {
        if let Some(key) = self.keys.get_mut(fingerprint) {
            key.state = state;
            key.weak = weak;
        }
    }
}
