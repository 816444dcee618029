//! Notes that a log signed and should not have: kept, because two roots at one size are a proof of misbehaviour that anybody can check.
//!
//! One file a note in `evidence/`, never overwritten or removed by the witness: `<origin hash>-<suspicion>-<size>-<hash of the text>.toml`.
//! Their number is bounded for each log and suspicion apart, so that what anybody can provoke (a wrong proof, an old checkpoint) can't take
//! the room of what only the log can.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::log_file::{Cosigned, origin_hash};
use super::{AddCheckpoint, WitnessStoreError};
use crate::audit::{Checkpoint, SignedNote};
use crate::home::{HomeError, write_private};

/// How the name of the file ends that holds the last note for which there was no room.
const LAST: &str = "last-note.toml";

/// What a refused checkpoint with a good signature may mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Suspicion {
    /// Another root at the size of the latest cosigned checkpoint (or at size 0): the log signed two histories. The two notes prove it.
    Fork,
    /// The proof does not lead from the latest cosigned checkpoint to this one: another history, or only a wrong proof.
    Inconsistent,
    /// Smaller than the latest cosigned checkpoint: a log that was set back, or only an old checkpoint that somebody sent again.
    Smaller,
    /// It continues the log, but no key signed it that signed the latest cosigned checkpoint: a retired key in somebody's hand, or a
    /// roll-over that this witness has not seen.
    OtherKey,
}

impl Suspicion {
    const ALL: [Self; 4] = [
        Self::Fork,
        Self::Inconsistent,
        Self::Smaller,
        Self::OtherKey,
    ];

    /// Its name in files and logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fork => "fork",
            Self::Inconsistent => "inconsistent",
            Self::Smaller => "smaller",
            Self::OtherKey => "other_key",
        }
    }

    /// How many notes of one log are kept.
    #[must_use]
    pub const fn notes_max(self) -> usize {
        match self {
            Self::Fork => 1_000,
            Self::Inconsistent | Self::Smaller | Self::OtherKey => 100,
        }
    }
}

/// A file of evidence.
#[derive(Serialize)]
struct Written {
    suspicion: Suspicion,
    /// When it came, in milliseconds since 1970.
    at_ms: u64,
    /// The size that the proof was said to begin at.
    old_size: u64,
    proof: Vec<String>,
    /// The note that was refused, with the signatures of the log that were verified.
    refused: String,
    /// The note that was cosigned before.
    cosigned: Option<String>,
}

/// The directory of notes.
pub(super) struct Evidence {
    directory: PathBuf,
    /// How many there are, by file name up to the size. Held while a note is written.
    counts: Mutex<BTreeMap<String, usize>>,
}

impl Evidence {
    /// Counts what is there.
    pub(super) fn open(directory: PathBuf) -> Result<Self, WitnessStoreError> {
        let mut counts = BTreeMap::new();
        let failed = |source| HomeError::from_io(&directory, "listed", source);
        for entry in std::fs::read_dir(&directory).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            let name = name.to_str().filter(|name| !name.ends_with(LAST));
            if let Some(kind) = name.and_then(kind_of) {
                *counts.entry(kind.to_owned()).or_default() += 1;
            }
        }
        Ok(Self {
            directory,
            counts: Mutex::new(counts),
        })
    }

    /// How many notes are kept in all.
    pub(super) fn count(&self) -> usize {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.values().sum()
    }

    /// Keeps a note, once, as long as there is room; where there is none any more, in the place of the last one that had none. That it can't be kept is logged, and no reason to answer otherwise: nothing was cosigned.
    pub(super) fn keep(
        &self,
        suspicion: Suspicion,
        (checkpoint, note): (&Checkpoint, &SignedNote),
        request: &AddCheckpoint,
        latest: Option<&Cosigned>,
        at_ms: u64,
    ) {
        tracing::warn!(
            log.origin = checkpoint.origin,
            log.suspicion = suspicion.name(),
            refused.size = checkpoint.size,
            refused.root = hex::encode(checkpoint.root),
            cosigned.size = latest.map_or(0, |latest| latest.checkpoint.size),
            cosigned.root = latest.map(|latest| hex::encode(latest.checkpoint.root)),
            "refused a checkpoint that its log signed"
        );
        let written = Written {
            suspicion,
            at_ms,
            old_size: request.old_size,
            proof: request.proof.iter().map(hex::encode).collect(),
            refused: note.to_string(),
            cosigned: latest.map(|latest| latest.note.to_string()),
        };
        match self.write(suspicion, checkpoint, &note.text, &written) {
            Ok(Some(path)) => {
                tracing::warn!(evidence.path = %path.display(), "kept it as evidence");
            }
            Ok(None) => {}
            Err(error) => {
                let error = crate::command::chain(&error);
                tracing::error!(%error, "the evidence can't be kept");
            }
        }
    }

    fn write(
        &self,
        suspicion: Suspicion,
        checkpoint: &Checkpoint,
        note_text: &str,
        written: &Written,
    ) -> Result<Option<PathBuf>, WitnessStoreError> {
        let kind = format!("{}-{}", origin_hash(&checkpoint.origin), suspicion.name());
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(kind.clone()).or_default();
        let text_hash = hex::encode(&Sha256::digest(note_text)[..8]);
        let path = self
            .directory
            .join(format!("{kind}-{}-{text_hash}.toml", checkpoint.size));
        if path.exists() {
            return Ok(None);
        }
        // Whoever fills the directory does not hide what comes after it: the last note is always there.
        let full = *count >= suspicion.notes_max();
        let path = if full {
            self.directory.join(format!("{kind}-{LAST}"))
        } else {
            path
        };
        let text = toml::to_string(written).map_err(|error| WitnessStoreError::Damaged {
            path: path.clone(),
            expected: "what can be written as TOML",
            got: error.to_string(),
        })?;
        write_private(&path, text.as_bytes())?;
        *count += usize::from(!full);
        Ok(Some(path))
    }
}

/// How many notes are kept in a directory of evidence, without owning it.
pub(super) fn count_in(directory: &Path) -> Result<usize, WitnessStoreError> {
    Evidence::open(directory.to_owned()).map(|evidence| evidence.count())
}

/// `<origin hash>-<suspicion>` of a file's name.
fn kind_of(name: &str) -> Option<&str> {
    let kind = name.strip_suffix(".toml")?;
    let kind = kind.rsplit_once('-')?.0.rsplit_once('-')?.0;
    let suspicion = kind.rsplit_once('-')?.1;
    let known = Suspicion::ALL.map(Suspicion::name);
    known.contains(&suspicion).then_some(kind)
}
