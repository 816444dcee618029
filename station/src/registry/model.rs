//! What the registry answers, beside [`Pin`](crate::record::Pin).

use serde::{Deserialize, Serialize};

use crate::record::{AlgorithmName, DeviceIdText, Label, RunId, StationId};

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

/// That a serial names a device, or named it once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SerialUse {
    /// The serial, and whose it is.
    #[serde(flatten)]
    pub label: Label,
    /// Which use of this serial it is, from 1.
    pub turn: u64,
    /// The device.
    pub device_id: DeviceIdText,
    /// Which of the device's pins it lives with, from 1.
    pub generation: u64,
    /// The station that entered it; `None` where people did.
    pub station: Option<StationId>,
    /// Since when, in milliseconds since 1970.
    pub used_at_ms: u64,
    /// Until when: the pin was revoked. `None` while it lives.
    pub released_at_ms: Option<u64>,
}

impl SerialUse {
    /// Whether the serial names the device at this moment.
    #[must_use]
    pub const fn is_living(&self) -> bool {
        self.released_at_ms.is_none()
    }
}

/// What is the same for every row of an import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportTerms {
    /// The import, by which its rows are found again.
    pub id: RunId,
    /// The id of the operator who imports.
    pub operator: String,
}

/// A device that exists already, and its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportRow {
    /// The device.
    pub device_id: DeviceIdText,
    /// The key's algorithm.
    pub algorithm: AlgorithmName,
    /// SPKI DER, in its only encoding.
    pub public_key: Vec<u8>,
    /// The product's name.
    pub product: Option<String>,
    /// The device's serial; it counts beside a product only.
    pub serial: Option<String>,
}

impl ImportRow {
    /// What stands on the device's label, where product and serial are known.
    #[must_use]
    pub fn label(&self) -> Option<Label> {
        let (product, serial) = (self.product.clone()?, self.serial.clone()?);
        Some(Label { product, serial })
    }

    /// SHA-256 of the public key's SPKI DER.
    #[must_use]
    pub fn fingerprint(&self) -> [u8; 32] {
        keyline_protocol::identity::fingerprint(&self.public_key)
    }
}

/// That a device's key is to be trusted no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// The device.
    pub device_id: DeviceIdText,
    /// The station at which it was decided, because the unit is scrapped.
    pub station: StationId,
    /// The id of the operator who decided.
    pub operator: String,
    /// Why.
    pub reason: String,
}

/// What may mean a cloned unit or key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AlarmKind {
    /// A unit showed a key that belongs to another one.
    KeyBelongsToAnother,
    /// A unit that is trusted with one key showed another.
    DeviceHasAnotherKey,
}

impl AlarmKind {
    /// The name in the database and on screens.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::KeyBelongsToAnother => "key-belongs-to-another",
            Self::DeviceHasAnotherKey => "device-has-another-key",
        }
    }

    pub(super) fn from_name(name: &str) -> Option<Self> {
        [Self::KeyBelongsToAnother, Self::DeviceHasAnotherKey]
            .into_iter()
            .find(|kind| kind.name() == name)
    }
}

/// Whose view of a conflict an alarm is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AlarmSide {
    /// The station that was refused.
    Refused,
    /// The station that had entered the key before.
    Holder,
}

impl AlarmSide {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Holder => "holder",
        }
    }

    pub(super) fn from_name(name: &str) -> Option<Self> {
        [Self::Refused, Self::Holder]
            .into_iter()
            .find(|side| side.name() == name)
    }
}

/// A conflict that may mean a cloned unit or key, as one of its two sides has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegistryAlarm {
    /// Whose view it is.
    pub side: AlarmSide,
    /// What happened.
    pub kind: AlarmKind,
    /// The unit that was refused.
    pub device_id: DeviceIdText,
    /// The key that it showed.
    #[serde(with = "hex::serde")]
    pub fingerprint: [u8; 32],
    /// The unit that has that key, or the same unit where it has another one.
    pub other_device_id: DeviceIdText,
    /// The key that it has.
    #[serde(with = "hex::serde")]
    pub other_fingerprint: [u8; 32],
    /// The station whose alarm this is.
    pub station: StationId,
    /// The station on the other side; `None` where the key did not come from a bench.
    pub other_station: Option<StationId>,
    /// The run that was refused.
    pub run: RunId,
    /// The claim that was refused, whole: JSON of [`Claim`](crate::record::Claim), with the signature by the key.
    pub evidence: String,
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
}
