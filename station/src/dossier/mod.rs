//! A unit's dossier: everything that is known of one unit in one file, which is checked on a machine that has nothing but the file and
//! the public keys.
//!
//! A dossier holds the unit's leaves with their bodies, the proof that each of them stands in the log, the log's checkpoint with its
//! cosignatures, the earlier checkpoints that the unit's proofs were bound to, the product and order that it was built to, and what the
//! registry said of its keys. It opens the bodies of this unit only; of all others it shows hashes.
//!
//! [`make`] writes one, [`verify`] checks one and says what each part shows.

pub(crate) mod evidence;
pub(crate) mod finding;
pub(crate) mod log;
pub(crate) mod make;
mod outcome;
mod registry;
mod standing;
mod verify;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};

use crate::audit::Hash;
use crate::record::{DeviceIdText, Pin, Proof};
use crate::registry::PinEvent;

pub use finding::{Finding, Outcome};
pub use log::{outcome_of, words_of};
pub use make::{DossierError, make};
pub use verify::{Verdict, verify};

/// The format that this software reads and writes. A field is added without a new version; one that changes its meaning needs one.
pub const FORMAT: &str = "keyline-dossier/v1";

/// The longest dossier that is read, in bytes. One of a unit with a thousand runs has about 60 MiB.
pub const LENGTH_MAX: u64 = 128 * 1024 * 1024;

/// One unit's dossier.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dossier {
    /// [`FORMAT`].
    pub format: String,
    /// The unit.
    pub device_id: DeviceIdText,
    /// When the dossier was made, in milliseconds since 1970; nobody vouches for it.
    pub made_at_ms: u64,
    /// The checkpoint that all entries are under, a signed note with the cosignatures that the station has.
    pub checkpoint: String,
    /// The leaves, in the order of the log.
    pub entries: Vec<ProvenEntry>,
    /// Checkpoints of this log from before: those in the nonces of the unit's proofs, and those that hand over from one key of the log
    /// to the next.
    pub earlier: Vec<EarlierCheckpoint>,
    /// What the registry said; `None` where it was not asked or did not answer.
    pub registry: Option<RegistryRecord>,
}

/// A leaf, its opened body, and the proof that it stands in the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProvenEntry {
    /// Its index in the log.
    pub index: u64,
    /// Its bytes (`docs/AUDITING.md` has the format).
    #[serde(with = "hex::serde")]
    pub leaf: Vec<u8>,
    /// What the commitment to the body is salted with.
    #[serde(with = "hex::serde")]
    pub salt: [u8; 32],
    /// The body, the very bytes that were committed to: JSON.
    pub body: String,
    /// The inclusion proof, from the leaf's sibling up.
    pub path: HashPath,
}

/// A checkpoint that the dossier's own one continues.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EarlierCheckpoint {
    /// The signed note, as it was.
    pub note: String,
    /// The consistency proof from it to the dossier's checkpoint.
    pub consistency: HashPath,
}

/// What the registry said of the unit's keys when the dossier was made. The proofs in it are verified again; the rest is its word.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegistryRecord {
    /// Every key that was ever claimed for the unit.
    pub pins: Vec<Pin>,
    /// What happened to them.
    pub history: Vec<PinEvent>,
    /// The proofs that the registry accepted.
    pub proofs: Vec<Proof>,
}

/// Hashes of a proof, each written in base64.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Vec<String>", try_from = "Vec<String>")]
pub struct HashPath(pub Vec<Hash>);

impl From<HashPath> for Vec<String> {
    fn from(path: HashPath) -> Self {
        path.0.iter().map(|hash| BASE64.encode(hash)).collect()
    }
}

impl TryFrom<Vec<String>> for HashPath {
    type Error = String;

    fn try_from(texts: Vec<String>) -> Result<Self, String> {
        let parse = |text: &String| {
            let bytes = BASE64.decode(text).ok();
            bytes
                .and_then(|bytes| Hash::try_from(bytes).ok())
                .ok_or_else(|| format!("expected 32 bytes in base64, got {text:?}"))
        };
        texts.iter().map(parse).collect::<Result<_, _>>().map(Self)
    }
}

impl Dossier {
    /// Reads a dossier. Nothing of it is verified.
    ///
    /// # Errors
    /// What is wrong with the text, with line and column.
    pub fn parse(text: &str) -> Result<Self, String> {
        let dossier: Self = serde_json::from_str(text).map_err(|error| {
            if error.is_eof() {
                format!("the file is cut off: {error}")
            } else {
                error.to_string()
            }
        })?;
        if dossier.format == FORMAT {
            Ok(dossier)
        } else {
            Err(format!(
                "expected the format {FORMAT:?}, got {:?}",
                dossier.format
            ))
        }
    }
}
