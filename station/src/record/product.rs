//! What is built.

use std::path::PathBuf;

use keyline_protocol::identity::{Algorithm, Digest, KeyPolicy, LockPolicy, Platform};
use serde::{Deserialize, Serialize};

use super::ProductId;

/// What a line does with a product's units while the registry can't be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WhenRegistryUnreachable {
    /// The line stops with exit code 3.
    Stop,
    /// Units go on as *held*: finished, but not trusted and not shippable until the registry has acknowledged them.
    Hold,
}

/// A product: platform, key policy, cloud key, record layout, lock policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Product {
    /// Its id; the name may be used again after it is retired, the id never.
    pub id: ProductId,
    /// What people call it; unique among the products of a station that are not retired.
    pub name: String,
    /// For whom it is built.
    pub customer: String,
    /// The chip.
    pub platform: Platform,
    /// Where the device key comes from.
    pub key_policy: KeyPolicy,
    /// The device key's algorithm.
    pub algorithm: Algorithm,
    /// How far a finished unit is closed.
    pub lock_policy: LockPolicy,
    /// The cloud's public key, SPKI DER.
    #[serde(with = "hex::serde")]
    pub cloud_key: Vec<u8>,
    /// `HOST:PORT`.
    pub cloud_address: String,
    /// The P-256 key whose signature a sealed unit obeys, SPKI DER.
    #[serde(with = "optional_hex")]
    pub authority_key: Option<Vec<u8>>,
    /// The file with the network credentials. Their content is read for each unit and goes to flash only.
    pub credentials_file: Option<PathBuf>,
    /// What the line does while the registry can't be reached.
    pub when_registry_unreachable: WhenRegistryUnreachable,
    /// What a serial number of this product looks like: a prefix, then this many digits in all; `None` where units have no serial.
    pub serial_format: Option<String>,
    /// When it was added, in milliseconds since 1970.
    pub added_at_ms: u64,
    /// When it was retired, if it was.
    pub retired_at_ms: Option<u64>,
}

impl Product {
    /// SHA-256 of the cloud key's SPKI DER.
    #[must_use]
    pub fn cloud_key_fingerprint(&self) -> Digest {
        keyline_protocol::identity::fingerprint(&self.cloud_key)
    }
}

mod optional_hex {
    use serde::{Deserialize, Deserializer, Serializer};

    #[expect(clippy::ref_option, reason = "serde hands over the field by reference")]
    pub(super) fn serialize<S: Serializer>(
        bytes: &Option<Vec<u8>>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match bytes {
            Some(bytes) => serializer.serialize_some(&hex::encode(bytes)),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Vec<u8>>, D::Error> {
        Option::<String>::deserialize(deserializer)?
            .map(|text| hex::decode(text).map_err(serde::de::Error::custom))
            .transpose()
    }
}
