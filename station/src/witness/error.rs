//! Why a witness's store can't be used.

use std::path::PathBuf;

use crate::audit::AuditError;
use crate::exit::ExitCode;
use crate::home::HomeError;

/// Why a witness's store can't be used.
#[derive(Debug, thiserror::Error)]
pub enum WitnessStoreError {
    /// There is none.
    #[error("expected a witness's store at {}, found none", .path.display())]
    Missing {
        /// Where.
        path: PathBuf,
    },
    /// There is one already.
    #[error("expected no witness's store at {} yet, found one", .path.display())]
    Exists {
        /// Where.
        path: PathBuf,
    },
    /// The directory has other things in it.
    #[error("expected an empty or new directory at {}, found {found:?} in it", .path.display())]
    NotEmpty {
        /// Where.
        path: PathBuf,
        /// One of the things.
        found: String,
    },
    /// Another process has it.
    #[error("the witness's store at {} is owned by {}", .path.display(), .holder.map_or_else(|| "another process".to_owned(), |holder| format!("process {holder}")))]
    Owned {
        /// Where.
        path: PathBuf,
        /// That process's id, where it is known.
        holder: Option<u32>,
    },
    /// A file or directory of it.
    #[error("a file of the witness's store can't be used")]
    File(#[source] HomeError),
    /// The witness's key or name.
    #[error("the witness's key can't be used")]
    Key(#[source] AuditError),
    /// A file has something else in it than this program writes.
    #[error("expected {expected} in {}, got {got}", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What should be in it.
        expected: &'static str,
        /// What is.
        got: String,
    },
    /// A checkpoint in the store does not verify.
    #[error("the checkpoint in {} does not verify", .path.display())]
    DamagedCheckpoint {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: AuditError,
    },
    /// The key to trust is none.
    #[error("the log's key can't be trusted")]
    LogKey(#[source] AuditError),
    /// The log is none of those that are trusted.
    #[error("expected a log that this witness trusts a key of, got {origin:?}")]
    UnknownLog {
        /// The log's name.
        origin: String,
    },
    /// A log needs a key.
    #[error("expected another key of the log {origin:?} to stay trusted, this is the only one")]
    LastKey {
        /// The log's name.
        origin: String,
    },
    /// More than a witness keeps.
    #[error("expected at most {limit} {what}, this would be one more")]
    TooMany {
        /// `logs` or `keys of one log`.
        what: &'static str,
        /// The most.
        limit: usize,
    },
}

impl From<HomeError> for WitnessStoreError {
    fn from(error: HomeError) -> Self {
        match error {
            HomeError::Owned { path, holder } => Self::Owned { path, holder },
            HomeError::NotEmpty { path, found } => Self::NotEmpty { path, found },
            error => Self::File(error),
        }
    }
}

impl WitnessStoreError {
    /// The exit code.
    #[must_use]
    pub const fn exit_code(&self) -> ExitCode {
        match self {
            Self::Key(AuditError::Format { .. })
            | Self::LogKey(_)
            | Self::UnknownLog { .. }
            | Self::LastKey { .. }
            | Self::TooMany { .. } => ExitCode::Usage,
            Self::Damaged { .. } | Self::DamagedCheckpoint { .. } => ExitCode::AuditRefused,
            Self::Missing { .. }
            | Self::Exists { .. }
            | Self::NotEmpty { .. }
            | Self::Owned { .. }
            | Self::File(_)
            | Self::Key(_) => ExitCode::NotReady,
        }
    }

    /// A stable name for scripts.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Missing { .. } => "witness-missing",
            Self::Exists { .. } | Self::NotEmpty { .. } => "witness-exists",
            Self::Owned { .. } => "witness-owned",
            Self::File(_) => "witness-store",
            Self::Key(_) => "witness-key",
            Self::Damaged { .. } | Self::DamagedCheckpoint { .. } => "witness-damaged",
            Self::LogKey(_) | Self::UnknownLog { .. } | Self::LastKey { .. } => "log-key",
            Self::TooMany { .. } => "witness-limit",
        }
    }

    /// What to do.
    #[must_use]
    pub const fn next(&self) -> &'static str {
        match self {
            Self::Missing { .. } => {
                "Make one with `keyline witness init --store DIR --name NAME`, or name another with --store DIR."
            }
            Self::Exists { .. } | Self::NotEmpty { .. } => {
                "Use it as it is, or name a new or empty directory with --store DIR."
            }
            Self::Owned { .. } => {
                "Stop that process first (SIGTERM): a store belongs to one process at a time."
            }
            Self::File(HomeError::Exposed { .. }) => {
                "Take the rights away from the others (`chmod -R go= DIR`), and ask who may have read the key."
            }
            Self::File(HomeError::Foreign { .. }) => {
                "Run as the user that the store belongs to, or name another with --store DIR."
            }
            Self::File(HomeError::ReadOnly { .. }) => {
                "Run as the user that the store belongs to, and make it writable for him."
            }
            Self::File(HomeError::DiskFull { .. }) => "Make room on that disk, then start again.",
            Self::File(_) => "Check the path and the disk: --store DIR.",
            Self::Key(_) => {
                "Give a name without spaces and +; a key that was lost can't be replaced: make a new witness and tell the logs."
            }
            Self::Damaged { .. } | Self::DamagedCheckpoint { .. } => {
                "Find out what happened to the disk. Don't put an old copy back: it could cosign a second history. Make a new witness."
            }
            Self::LogKey(_) => {
                "Give the log's verifier key NAME+KEYID+KEY, as the station prints it."
            }
            Self::UnknownLog { .. } => "Look at what there is: `keyline witness show --store DIR`.",
            Self::LastKey { .. } => {
                "Trust the log's new key first (`keyline witness trust`); to cosign nothing more of it, stop the witness."
            }
            Self::TooMany { .. } => "Make another witness for more logs or keys.",
        }
    }
}
