//! Cloud keys, and the units that carry them, as the outside sees them.

use serde::{Deserialize, Serialize};

use super::table::table;
use crate::clock::text as time;
use crate::record::{DeviceIdText, LockPolicyName, StationId};

/// A version of a product's cloud key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CloudKeyView {
    /// The product's name.
    pub product: String,
    /// Its number.
    pub version: u32,
    /// SHA-256 of the key's SPKI DER.
    #[serde(with = "hex::serde")]
    pub fingerprint: [u8; 32],
    /// Where units find the cloud.
    pub address: String,
    /// When the registry heard of it, in milliseconds since 1970.
    pub since_ms: u64,
    /// The id of the operator who entered it.
    pub operator: String,
    /// The station at which it was entered; `None` where a person published the bundle.
    pub station: Option<StationId>,
    /// SHA-256 of the bundle's text.
    #[serde(with = "hex::serde")]
    pub bundle: [u8; 32],
    /// Whether it is the latest one.
    pub in_force: bool,
    /// How many trusted units carry it.
    pub units: u64,
}

/// How a unit gets the latest cloud key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CloudKeyRemedy {
    /// It has it.
    Nothing,
    /// By a run in a rework order; it keeps its device key.
    Run,
    /// It is sealed: after a full erase of its chip and `unit rework`, with a new device key.
    EraseAndRework,
    /// It never proved itself here: a run shows it.
    Unknown,
}

impl CloudKeyRemedy {
    /// The name, in JSON, tables and files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Run => "run",
            Self::EraseAndRework => "erase-and-rework",
            Self::Unknown => "unknown",
        }
    }
}

/// A trusted unit, and the cloud key that it carries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CloudKeyUnitView {
    /// The unit.
    pub device_id: DeviceIdText,
    /// Its serial number, where this station knows it.
    pub serial: Option<String>,
    /// The product's name.
    pub product: String,
    /// The version; `None` where its key is none of the product's, or it never proved itself.
    pub version: Option<u32>,
    /// SHA-256 of the cloud key, in hexadecimal.
    pub cloud_key: Option<String>,
    /// Where it finds the cloud.
    pub address: Option<String>,
    /// When it proved that, in milliseconds since 1970.
    pub proven_at_ms: Option<u64>,
    /// The station before which.
    pub station: Option<StationId>,
    /// That station's name, where it is known.
    pub station_name: Option<String>,
    /// How far it is closed.
    pub lock_policy: Option<LockPolicyName>,
    /// How it gets the latest version.
    pub remedy: CloudKeyRemedy,
}

impl CloudKeyUnitView {
    /// The station, as people know it.
    #[must_use]
    pub fn station_text(&self) -> String {
        let id = self.station.as_ref().map(ToString::to_string);
        self.station_name.clone().or(id).unwrap_or_default()
    }
}

/// The versions as a table.
pub(super) fn versions(keys: &[CloudKeyView]) -> String {
    let row = |key: &CloudKeyView| {
        vec![
            key.product.clone(),
            key.version.to_string(),
            hex::encode(key.fingerprint),
            key.address.clone(),
            time(key.since_ms),
            key.units.to_string(),
            if key.in_force { "in force" } else { "left" }.to_owned(),
        ]
    };
    let rows: Vec<_> = keys.iter().map(row).collect();
    table(
        &[
            "product",
            "version",
            "fingerprint",
            "address",
            "since",
            "units",
            "state",
        ],
        &rows,
    )
}

/// The units as a table.
pub(super) fn units(units: &[CloudKeyUnitView]) -> String {
    let row = |unit: &CloudKeyUnitView| {
        vec![
            unit.device_id.0.to_string(),
            unit.serial.clone().unwrap_or_default(),
            unit.version
                .map_or_else(|| "unknown".to_owned(), |version| version.to_string()),
            unit.proven_at_ms.map_or_else(|| "never".to_owned(), time),
            unit.station_text(),
            unit.remedy.name().to_owned(),
        ]
    };
    let rows: Vec<_> = units.iter().map(row).collect();
    table(
        &[
            "device id",
            "serial",
            "version",
            "last proven",
            "station",
            "what to do",
        ],
        &rows,
    )
}
