//! The registry as a witness: the checkpoints of the stations' audit logs, and what contradicts them.
//!
//! The registry sees no leaves, so it can't tell whether one tree contains another; whoever enters a checkpoint has checked that. What
//! it does tell is a log that has grown shorter, two roots at one size, and two stations under one name.

use serde::{Deserialize, Serialize};

use super::RegistryError;
use crate::audit::{Checkpoint, SignedNote};
use crate::record::StationId;

/// The longest note that is kept, in bytes: a checkpoint with some hundred cosignatures.
const NOTE_LENGTH_MAX: usize = 65_536;

/// A checkpoint that a station shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogCheckpoint {
    /// The log's name.
    pub origin: String,
    /// The station whose log it is.
    pub station: StationId,
    /// How many leaves the tree has; at least one.
    pub size: u64,
    /// Its root.
    pub root: [u8; 32],
    /// The signed note, whole. The caller has verified it, and that this tree contains the one entered before.
    pub note: String,
}

/// The registry has the checkpoint on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckpointReceipt {
    /// It was the latest one before.
    pub already: bool,
}

/// A checkpoint that was entered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnteredCheckpoint {
    /// How many leaves the tree has.
    pub size: u64,
    /// The size of the one before it; 0 for the first.
    pub previous_size: u64,
    /// The root.
    pub root: [u8; 32],
    /// The signed note, whole.
    pub note: String,
    /// When it was entered, in milliseconds since 1970.
    pub at_ms: u64,
}

/// What contradicts a log's own past.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogAlarmKind {
    /// A checkpoint of fewer leaves than were shown before.
    LogRolledBack,
    /// Another root at a size that was shown before.
    LogForked,
    /// Another station under the origin.
    OriginOfAnother,
}

impl LogAlarmKind {
    const ALL: [Self; 3] = [Self::LogRolledBack, Self::LogForked, Self::OriginOfAnother];

    /// The name in the database and on screens.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::LogRolledBack => "log-rolled-back",
            Self::LogForked => "log-forked",
            Self::OriginOfAnother => "origin-of-another",
        }
    }

    pub(super) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// A checkpoint that was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogAlarm {
    /// What it contradicts.
    pub kind: LogAlarmKind,
    /// The log's name.
    pub origin: String,
    /// The station that showed it.
    pub station: StationId,
    /// The latest size that was entered.
    pub known_size: u64,
    /// The size that was shown.
    pub shown_size: u64,
    /// The refused note, whole: the signature in it is the evidence.
    pub note: String,
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
}

/// Checks that the note says what is entered. Done by whoever asks, so that the one writer needn't.
pub(super) fn check(shown: &LogCheckpoint) -> Result<(), RegistryError> {
    let refuse = |expected: &'static str, got: String| RegistryError::BadCheckpoint {
        origin: shown.origin.clone(),
        expected,
        got,
    };
    if shown.size == 0 {
        let expected = "a checkpoint of one leaf or more: an empty log vouches for nothing";
        return Err(refuse(expected, "0 leaves".to_owned()));
    }
    if shown.note.len() > NOTE_LENGTH_MAX {
        let got = format!("{} bytes", shown.note.len());
        return Err(refuse("a note of at most 65536 bytes", got));
    }
    let said = SignedNote::parse(&shown.note)
        .and_then(|note| Checkpoint::parse(&note.text))
        .map_err(|error| refuse("a signed checkpoint", error.to_string()))?;
    if (&said.origin, said.size, said.root) != (&shown.origin, shown.size, shown.root) {
        let got = format!(
            "one of {}, {} leaves, root {}",
            said.origin,
            said.size,
            hex::encode(said.root)
        );
        return Err(refuse("a note of the same origin, size and root", got));
    }
    Ok(())
}
