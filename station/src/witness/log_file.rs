//! What a witness keeps of one log: its trusted keys and the latest checkpoint that it cosigned, one file a log.
//!
//! ```toml
//! origin = "example.com/behind-the-sofa"
//! keys = ["example.com/behind-the-sofa+…+AX…"]
//! checkpoint = """
//! example.com/behind-the-sofa
//! …
//! """
//! ```

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::WitnessStoreError;
use crate::audit::{Checkpoint, SignedNote, VerifierKey, WitnessKey};
use crate::home::{HomeError, check_private_file, write_private};

/// The longest file that is read, in bytes: a note of the greatest length, its keys, and room for escapes.
const FILE_LENGTH_MAX: u64 = 524_288;

/// The file as it stands.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    origin: String,
    keys: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    distrusted: Vec<String>,
    checkpoint: Option<String>,
}

/// What is known of one log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LogFile {
    /// The log's name.
    pub(super) origin: String,
    /// The keys that may sign for it; at least one.
    pub(super) keys: Vec<VerifierKey>,
    /// Keys that signed for it once and count no more. What was cosigned under them stays.
    pub(super) distrusted: Vec<VerifierKey>,
    /// The latest checkpoint that was cosigned.
    pub(super) latest: Option<Cosigned>,
}

/// A checkpoint with the log's signatures that were verified and the witness's own cosignature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cosigned {
    /// The checkpoint.
    pub(super) checkpoint: Checkpoint,
    /// The note.
    pub(super) note: SignedNote,
    /// When it was cosigned, in seconds since 1970.
    pub(super) time_s: u64,
}

/// The lowercase hexadecimal SHA-256 of an origin: a log's file name, and its path for monitors.
pub(super) fn origin_hash(origin: &str) -> String {
    hex::encode(Sha256::digest(origin))
}

impl LogFile {
    /// Where the log of this origin is kept.
    pub(super) fn path(directory: &Path, origin: &str) -> PathBuf {
        directory.join(origin_hash(origin))
    }

    /// Reads a file and verifies everything in it again; `own` is the witness's key.
    pub(super) fn read(path: &Path, own: &WitnessKey) -> Result<Self, WitnessStoreError> {
        check_private_file(path)?;
        let failed = |source| HomeError::from_io(path, "read", source);
        let length = std::fs::metadata(path).map_err(failed)?.len();
        let damaged = |expected, got| WitnessStoreError::Damaged {
            path: path.to_owned(),
            expected,
            got,
        };
        if length > FILE_LENGTH_MAX {
            return Err(damaged("at most 512 KiB", format!("{length} bytes")));
        }
        let text = std::fs::read_to_string(path).map_err(failed)?;
        let written: Written = toml::from_str(&text)
            .map_err(|error| damaged("a log's keys and checkpoint", error.message().to_owned()))?;
        let parsed = |keys: &[String]| -> Result<Vec<VerifierKey>, WitnessStoreError> {
            let keys = keys.iter().map(|key| VerifierKey::parse(key));
            keys.collect::<Result<_, _>>()
                .map_err(|error| damaged("the log's verifier keys", error.to_string()))
        };
        let keys = parsed(&written.keys)?;
        let distrusted = parsed(&written.distrusted)?;
        let all = [&keys[..], &distrusted].concat();
        let named = |key: &VerifierKey| key.name() == written.origin;
        if keys.is_empty() || !all.iter().all(named) {
            return Err(damaged("keys under the log's name", written.origin));
        }
        if path.file_name() != Some(origin_hash(&written.origin).as_ref()) {
            return Err(damaged("the log that the file's name says", written.origin));
        }
        let latest = written
            .checkpoint
            .map(|note| Cosigned::verify(&note, &all, own))
            .transpose()
            .map_err(|source| WitnessStoreError::DamagedCheckpoint {
                path: path.to_owned(),
                source,
            })?;
        Ok(Self {
            origin: written.origin,
            keys,
            distrusted,
            latest,
        })
    }

    /// Writes the file: when this returns, it is on disk, its directory too. When it fails, nobody knows which of both contents will be
    /// there after a power cut.
    pub(super) fn write(&self, directory: &Path) -> Result<(), WitnessStoreError> {
        let path = Self::path(directory, &self.origin);
        let written = Written {
            origin: self.origin.clone(),
            keys: self.keys.iter().map(ToString::to_string).collect(),
            distrusted: self.distrusted.iter().map(ToString::to_string).collect(),
            checkpoint: self.latest.as_ref().map(|latest| latest.note.to_string()),
        };
        let text = toml::to_string(&written).map_err(|error| WitnessStoreError::Damaged {
            path: path.clone(),
            expected: "what can be written as TOML",
            got: error.to_string(),
        })?;
        Ok(write_private(&path, text.as_bytes())?)
    }
}

impl Cosigned {
    fn verify(
        note: &str,
        keys: &[VerifierKey],
        own: &WitnessKey,
    ) -> Result<Self, crate::audit::AuditError> {
        let checkpoint = Checkpoint::verify_any(note, keys)?;
        let note = SignedNote::parse(note)?;
        let time_s = own.verify(&note)?.time_s;
        Ok(Self {
            checkpoint,
            note,
            time_s,
        })
    }
}
