//! Why tiles can't be written or a proof can't be given.

use std::path::PathBuf;

use crate::audit::AuditError;
use crate::journal::JournalError;

/// Why tiles can't be written or a proof can't be given. None of it stops a line: the log is in the journal.
#[derive(Debug, thiserror::Error)]
pub enum TilesError {
    /// The system refused.
    #[error("{} can't be {doing}", .path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// `written`, `removed` or `looked at`.
        doing: &'static str,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The disk's last room is the journal's.
    #[error("expected at least {expected_mib} MiB of free space for tiles under {}, found {found_mib} MiB", .path.display())]
    Space {
        /// The directory.
        path: PathBuf,
        /// What must be left to the journal.
        expected_mib: u64,
        /// What is free.
        found_mib: u64,
    },
    /// The journal can't say what the log is.
    #[error("the journal can't be read")]
    Journal(#[from] JournalError),
    /// A checkpoint or a proof does not hold.
    #[error("the log does not verify")]
    Audit(#[from] AuditError),
    /// A tile is missing or damaged, and there is no journal to make it anew from.
    #[error("expected {what} that fits the checkpoint, and there is no journal to make it from")]
    NoTile {
        /// The tile's path, or what it is a part of.
        what: String,
    },
    /// The journal's entries are not those that the checkpoint was signed over.
    #[error("the journal's {what} do not lead to the signed root of {size} leaves")]
    Damaged {
        /// Which entries.
        what: String,
        /// The size of the tree.
        size: u64,
    },
    /// This station's key signed a tree that the journal does not have.
    #[error(
        "the published checkpoint of {published} leaves is signed with this log's key, and the journal of {journal} leaves has no such one"
    )]
    Contradiction {
        /// The size of the published tree.
        published: u64,
        /// The size of the journal's.
        journal: u64,
    },
    /// The work was cut off.
    #[error("the process is ending")]
    Ending,
}

impl TilesError {
    /// What to do next.
    #[must_use]
    pub const fn next(&self) -> &'static str {
        match self {
            Self::Io { .. } | Self::Space { .. } => {
                "Make room on that disk and check its permissions: the tiles are then made from the journal, nothing is lost."
            }
            Self::Journal(_) | Self::Damaged { .. } | Self::Audit(_) => {
                "Keep the journal as it is and run `keyline doctor`: the log has to be looked at."
            }
            Self::NoTile { .. } => "Copy the published log again, whole.",
            Self::Contradiction { .. } => {
                "Keep both: the journal is older than what was published, or was replaced. Nothing is published until somebody has looked."
            }
            Self::Ending => "Start again: the tiles are made from the journal.",
        }
    }

    /// Names the file and what was done to it.
    pub(super) fn io(
        path: impl Into<PathBuf>,
        doing: &'static str,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io {
            path,
            doing,
            source,
        }
    }
}
