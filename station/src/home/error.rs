//! Why a home can't be used.

use std::path::PathBuf;

/// Why a home can't be used.
#[derive(Debug, thiserror::Error)]
pub enum HomeError {
    /// There is none.
    #[error("expected a station home at {}, found none", .path.display())]
    Missing {
        /// Where.
        path: PathBuf,
    },
    /// There is one already.
    #[error("expected no station home at {} yet, found one", .path.display())]
    Exists {
        /// Where.
        path: PathBuf,
    },
    /// The directory has other things in it.
    #[error("expected an empty or new directory at {}, found \"{found}\" in it", .path.display())]
    NotEmpty {
        /// Where.
        path: PathBuf,
        /// One of the things.
        found: String,
    },
    /// Another process owns it.
    #[error("the home at {} is owned by {}", .path.display(), .holder.map_or_else(|| "another process".to_owned(), |holder| format!("process {holder}")))]
    Owned {
        /// Where.
        path: PathBuf,
        /// The owner's process id, where it is known.
        holder: Option<u32>,
    },
    /// Another station has taken its place.
    #[error("the station at {} was replaced by the one at {}; its home is read-only for ever", .path.display(), .by.display())]
    Replaced {
        /// Where.
        path: PathBuf,
        /// The home of the other station.
        by: PathBuf,
    },
    /// Somebody outside knows another log under this one's name, or a larger one.
    #[error("the log of this home is disputed, as {} keeps: {cause}", .path.display())]
    Disputed {
        /// The file that keeps it.
        path: PathBuf,
        /// Who knows what.
        cause: String,
    },
    /// Others may look into it.
    #[error("expected {} to be accessible by its owner only (mode {expected:04o}), got mode {got:04o}", .path.display())]
    Exposed {
        /// The file or directory.
        path: PathBuf,
        /// The permission bits that it should have at most.
        expected: u32,
        /// The permission bits that it has.
        got: u32,
    },
    /// It belongs to somebody else.
    #[error("expected {} to belong to user {expected}, it belongs to user {got}", .path.display())]
    Foreign {
        /// The file or directory.
        path: PathBuf,
        /// This process's user.
        expected: u32,
        /// Its owner.
        got: u32,
    },
    /// Nothing can be written there.
    #[error("{} can't be written: it is read-only for this user", .path.display())]
    ReadOnly {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// No room.
    #[error("the disk under {} is full", .path.display())]
    DiskFull {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// Anything else that the system says.
    #[error("{} can't be {doing}", .path.display())]
    System {
        /// The file or directory.
        path: PathBuf,
        /// What was being done, as a participle.
        doing: &'static str,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The configuration is wrong.
    #[error("the configuration {} is wrong", .path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// Where and why.
        #[source]
        source: ConfigError,
    },
}

/// Why a configuration is wrong.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Not TOML, an unknown key, or a value of a wrong type; the text names line and column.
    #[error("{message}")]
    Syntax {
        /// What the parser says, with the position.
        message: String,
    },
    /// A value that can't work.
    #[error("expected {key} to be {expected}, got {got}")]
    Value {
        /// The key.
        key: String,
        /// What it should be.
        expected: &'static str,
        /// What it is.
        got: String,
    },
}

impl HomeError {
    /// Tells a full disk and a read-only home from the rest.
    #[must_use]
    pub fn from_io(path: impl Into<PathBuf>, doing: &'static str, source: std::io::Error) -> Self {
        use std::io::ErrorKind;
        let path = path.into();
        match source.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Self::DiskFull { path, source },
            ErrorKind::ReadOnlyFilesystem | ErrorKind::PermissionDenied => {
                Self::ReadOnly { path, source }
            }
            _ => Self::System {
                path,
                doing,
                source,
            },
        }
    }

    /// What to do.
    #[must_use]
    pub const fn next(&self) -> &'static str {
        match self {
            Self::Missing { .. } => {
                "Make one with `keyline init`, or name another with --home DIR."
            }
            Self::Exists { .. } => "Use it as it is, or name another directory with --home DIR.",
            Self::NotEmpty { .. } => "Name a new or empty directory with --home DIR.",
            Self::Owned { .. } => "Wait until that process has ended, then run again.",
            Self::Replaced { .. } => {
                "Use the home that took its place. What this one's log says still verifies: `keyline audit verify`."
            }
            Self::Disputed { .. } => {
                "Keep the home as it is and call whoever answers for the audit log: it was restored from an old copy, or somebody else signs in its name. `keyline station replace` begins a new log. Where the dispute was cleared up as the witness's own error, remove the file."
            }
            Self::Exposed { .. } => {
                "Take the rights away from the others (`chmod -R go= DIR`), and ask who may have read the keys."
            }
            Self::Foreign { .. } => {
                "Run as the user that the home belongs to, or name another with --home DIR."
            }
            Self::ReadOnly { .. } => {
                "Make the home writable for this user, or name another with --home DIR."
            }
            Self::DiskFull { .. } => "Make room on that disk, then run again: nothing was lost.",
            Self::System { .. } => {
                "Repair what the system complains of, then run `keyline doctor`."
            }
            Self::Config { .. } => "Correct the configuration, then run `keyline doctor`.",
        }
    }
}
