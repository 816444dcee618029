//! Why nothing is exported.

use std::io;
use std::path::PathBuf;

use crate::audit::AuditError;
use crate::cosign::CosignError;
use crate::dossier::DossierError;
use crate::exit::ExitCode;
use crate::journal::JournalError;
use crate::seal::SealError;

/// Why nothing is exported. Whatever had been written is removed again.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// A filter that says nothing sensible.
    #[error("expected {expected}, got {got}")]
    Filter {
        /// What was expected.
        expected: &'static str,
        /// What came.
        got: String,
    },
    /// There is nothing of that name.
    #[error("expected a {what} that the journal knows, found none called \"{name}\"")]
    Unknown {
        /// `order`, `product` or `customer`.
        what: &'static str,
        /// What was asked for.
        name: String,
    },
    /// The directory is there and not empty, or no directory.
    #[error("expected a directory that is empty or not there yet, found {} with {found} in it", .path.display())]
    Occupied {
        /// The directory.
        path: PathBuf,
        /// What is in it.
        found: String,
    },
    /// There is nothing to put the directory into, or it has no name.
    #[error("expected a new directory in one that exists, got {}", .path.display())]
    NoParent {
        /// The path.
        path: PathBuf,
    },
    /// A file or directory can't be worked with.
    #[error("{} can't be {doing}", .path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// `made`, `written`, `read`, `renamed` or `cleared`.
        doing: &'static str,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A library can't write its format.
    #[error("{} can't be written as {format}", .path.display())]
    Encoding {
        /// The file.
        path: PathBuf,
        /// The format.
        format: &'static str,
        /// What the library said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The journal.
    #[error("the journal refused")]
    Journal(#[from] JournalError),
    /// The checkpoint could not be shown to the witnesses.
    #[error("the checkpoint could not be shown to the log's witnesses")]
    Cosign(#[from] CosignError),
    /// What shows how the log's keys handed over.
    #[error("the hand-over of the log's keys could not be shown")]
    HandOver(#[from] DossierError),
    /// A leaf or note of the log can't be read.
    #[error("the audit log can't be read")]
    Audit(#[from] AuditError),
    /// Sealing.
    #[error("the export can't be sealed")]
    Seal(#[from] SealError),
    /// Somebody asked to stop.
    #[error("the export was stopped; nothing was handed out")]
    Stopped,
}

impl ExportError {
    /// The exit code, where the journal has no say in it.
    #[must_use]
    pub const fn exit_code(&self) -> ExitCode {
        match self {
            Self::Filter { .. }
            | Self::Unknown { .. }
            | Self::Occupied { .. }
            | Self::NoParent { .. }
            | Self::Seal(SealError::TooLarge { .. }) => ExitCode::Usage,
            Self::File { .. } | Self::Encoding { .. } | Self::Seal(_) => ExitCode::NotReady,
            Self::Journal(_) | Self::Audit(_) | Self::Cosign(_) | Self::HandOver(_) => {
                ExitCode::AuditRefused
            }
            Self::Stopped => ExitCode::Interrupted,
        }
    }

    /// A stable name for scripts.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Filter { .. } => "usage",
            Self::Unknown { .. } => "unknown",
            Self::Occupied { .. } | Self::NoParent { .. } => "export-place",
            Self::File { .. } | Self::Encoding { .. } => "export-file",
            Self::Journal(_) | Self::Audit(_) | Self::Cosign(_) | Self::HandOver(_) => "journal",
            Self::Seal(SealError::TooLarge { .. }) => "export-too-large",
            Self::Seal(_) => "export-seal",
            Self::Stopped => "stopped",
        }
    }

    /// What to do next.
    #[must_use]
    pub const fn next(&self) -> &'static str {
        match self {
            Self::Filter { .. } => "See `keyline audit export --help`.",
            Self::Unknown { .. } => {
                "Look at what there is: `keyline order list`, `keyline product list --all`."
            }
            Self::Occupied { .. } | Self::NoParent { .. } => {
                "Name a directory that is not there yet: --out DIR."
            }
            Self::File { .. } | Self::Encoding { .. } => {
                "Make room, or name a directory that this station may write: --out DIR. Nothing was handed out."
            }
            Self::Journal(_) | Self::Audit(_) | Self::Cosign(_) | Self::HandOver(_) => {
                "Run `keyline doctor`, then export again: nothing was handed out."
            }
            Self::Seal(SealError::TooLarge { .. }) => {
                "Export less at a time: --order, --from, --to, or one --format only."
            }
            Self::Seal(_) => "Run `keyline doctor`, then export again.",
            Self::Stopped => "Run it again when there is time for it.",
        }
    }
}
