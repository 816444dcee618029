//! What bundles say: one type a kind. Each is one line of JSON, its fields in the order of their declaration.

use serde::{Deserialize, Serialize};

use super::{AuthorityError, NumberedCloudKey, Roster};
use crate::audit::VerifierKey;
use crate::cloud_key::{CloudAddress, CloudKey};
use crate::record::{
    AlgorithmName, KeyPolicyName, LockPolicyName, Name, PlatformName, StationId,
    WhenRegistryUnreachable,
};

/// The most agent digests of a product: years of releases.
const AGENT_DIGESTS_MAX: usize = 64;

/// The most log keys of a station: the old one and the new one of a roll-over.
const LOG_KEYS_MAX: usize = 2;

/// Kinds of bundles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum BundleKind {
    /// Operators of a customer or site.
    Roster,
    /// What is built, with its cloud key and agents.
    Product,
    /// A station that may build.
    Station,
}

impl BundleKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Roster, Self::Product, Self::Station];

    /// The name in texts and tables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Roster => "roster",
            Self::Product => "product",
            Self::Station => "station",
        }
    }

    /// The kind of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// SHA-256, written as 64 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct DigestHex(#[serde(with = "hex::serde")] pub [u8; 32]);

/// What is built. What it lacks of a product is this station's own: an id, and the file with the network credentials.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProductBundle {
    /// What people call it; the bundle's subject.
    pub name: Name,
    /// For whom it is built.
    pub customer: Name,
    /// The chip.
    pub platform: PlatformName,
    /// Where the device key comes from.
    pub key_policy: KeyPolicyName,
    /// The device key's algorithm.
    pub algorithm: AlgorithmName,
    /// How far a finished unit is closed.
    pub lock_policy: LockPolicyName,
    /// Whom the device trusts, SPKI DER in hexadecimal.
    pub cloud_key: CloudKey,
    /// Counts the cloud's keys, from 1.
    pub cloud_key_version: u32,
    /// Where the device finds the cloud.
    pub cloud_address: CloudAddress,
    /// The key whose signature a sealed unit obeys.
    pub authority_key: Option<CloudKey>,
    /// SHA-256 of the agent images that may be used; where there is none, any that the station has.
    pub agent_digests: Vec<DigestHex>,
    /// What a line does while the registry can't be reached.
    pub when_registry_unreachable: WhenRegistryUnreachable,
    /// What a serial number looks like.
    pub serial_format: Option<String>,
}

impl ProductBundle {
    /// Whether this agent image may be used.
    #[must_use]
    pub fn allows_agent(&self, digest: &[u8; 32]) -> bool {
        self.agent_digests.is_empty() || self.agent_digests.contains(&DigestHex(*digest))
    }

    /// Its cloud key, in short.
    #[must_use]
    pub fn numbered_cloud_key(&self) -> NumberedCloudKey {
        NumberedCloudKey {
            version: self.cloud_key_version,
            fingerprint: keyline_protocol::identity::fingerprint(self.cloud_key.spki()),
        }
    }

    fn check(&self) -> Result<(), AuthorityError> {
        if self.cloud_key_version == 0 {
            return Err(AuthorityError::value("a cloud key version from 1 on", "0"));
        }
        let digests = &self.agent_digests;
        // One way to write a list: the same digests are the same bundle.
        let sorted = digests.windows(2).all(|pair| pair[0] < pair[1]);
        if digests.len() > AGENT_DIGESTS_MAX || !sorted {
            return Err(AuthorityError::Value {
                expected: "at most 64 agent digests, sorted, each once",
                got: format!("{} digests", digests.len()),
            });
        }
        let format = self.serial_format.as_deref().unwrap_or("#");
        if format.is_empty()
            || format.len() > 64
            || !format.bytes().all(|byte| byte.is_ascii_graphic())
        {
            return Err(AuthorityError::value(
                "a serial format of 1 to 64 printable characters",
                format,
            ));
        }
        Ok(())
    }
}

/// Whether a station may build.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EnrolmentState {
    /// It may.
    Enrolled,
    /// It may not any more.
    Retired,
}

impl EnrolmentState {
    /// The name, as it stands in the text.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Enrolled => "enrolled",
            Self::Retired => "retired",
        }
    }
}

/// A station, as the root knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StationEnrolment {
    /// Its id; the bundle's subject.
    pub station: StationId,
    /// Its name, which is its log's.
    pub name: String,
    /// The keys that sign its log, under its name.
    pub log_keys: Vec<VerifierKey>,
    /// SHA-256 of the certificate with which it connects to the registry.
    pub certificate_sha256: Option<DigestHex>,
    /// Whether it may build.
    pub state: EnrolmentState,
    /// The station whose place it takes.
    pub replaces: Option<StationId>,
}

impl StationEnrolment {
    fn check(&self) -> Result<(), AuthorityError> {
        let count = self.log_keys.len();
        if !(1..=LOG_KEYS_MAX).contains(&count) {
            return Err(AuthorityError::value(
                "one or two log keys of a station",
                &count.to_string(),
            ));
        }
        let other = self.log_keys.iter().find(|key| key.name() != self.name);
        if let Some(other) = other {
            return Err(AuthorityError::value(
                "log keys under the station's name",
                other.name(),
            ));
        }
        if count == 2 && self.log_keys[0] == self.log_keys[1] {
            return Err(AuthorityError::value("two different log keys", &self.name));
        }
        if self.replaces == Some(self.station) {
            return Err(AuthorityError::value(
                "another station than itself to be replaced",
                &self.station.to_string(),
            ));
        }
        Ok(())
    }
}

/// What a bundle says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BundleBody {
    /// Operators.
    Roster(Roster),
    /// A product.
    Product(Box<ProductBundle>),
    /// A station.
    Station(StationEnrolment),
}

impl BundleBody {
    /// The kind.
    #[must_use]
    pub const fn kind(&self) -> BundleKind {
        match self {
            Self::Roster(_) => BundleKind::Roster,
            Self::Product(_) => BundleKind::Product,
            Self::Station(_) => BundleKind::Station,
        }
    }

    /// What the bundle's subject must be; a roster does not say.
    pub(super) fn subject(&self) -> Option<String> {
        match self {
            Self::Roster(_) => None,
            Self::Product(product) => Some(product.name.to_string()),
            Self::Station(station) => Some(station.station.to_string()),
        }
    }

    /// Checks what the types do not say.
    pub(super) fn check(&self) -> Result<(), AuthorityError> {
        match self {
            Self::Roster(roster) => roster.check(),
            Self::Product(product) => product.check(),
            Self::Station(station) => station.check(),
        }
    }

    /// Reads the JSON of a kind.
    pub(super) fn parse(kind: BundleKind, json: &str) -> Result<Self, serde_json::Error> {
        Ok(match kind {
            BundleKind::Roster => Self::Roster(serde_json::from_str(json)?),
            BundleKind::Product => Self::Product(serde_json::from_str(json)?),
            BundleKind::Station => Self::Station(serde_json::from_str(json)?),
        })
    }

    /// The JSON, one line.
    pub(super) fn to_json(&self) -> Result<String, serde_json::Error> {
        match self {
            Self::Roster(roster) => serde_json::to_string(roster),
            Self::Product(product) => serde_json::to_string(product),
            Self::Station(station) => serde_json::to_string(station),
        }
    }
}
