//! Why a fleet could not be read, imported or exported at all.

use std::error::Error;
use std::path::PathBuf;

/// Why a file, or the rest of it, can't be read as a fleet.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The system can't read on.
    #[error("line {line}: the file can't be read from here on")]
    Unreadable {
        /// The line.
        line: u64,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Nothing in it.
    #[error("line 1: expected a header or a row, got an empty file")]
    Empty,
    /// Nothing but a header.
    #[error("line 1: expected rows, got none")]
    NoRows,
    /// A compressed file.
    #[error("line 1: expected text, got a compressed file: {kind}")]
    Compressed {
        /// The format.
        kind: &'static str,
        /// What opens it.
        command: &'static str,
    },
    /// UTF-16.
    #[error("line 1: expected UTF-8 text, got UTF-16")]
    Utf16,
    /// Bytes that are no text.
    #[error("line 1: expected UTF-8 text, got NUL bytes: UTF-16, or no text at all")]
    Binary,
    /// One JSON array.
    #[error("line 1: expected one JSON object a line, got a JSON array")]
    Array,
    /// A header that names other columns.
    #[error("line 1: expected a header with the columns device_id and public_key, got {problem}")]
    Header {
        /// What is wrong.
        problem: String,
        /// The columns that there are.
        known: String,
    },
}

impl FileError {
    /// What to do.
    #[must_use]
    pub fn next(&self) -> String {
        match self {
            Self::Unreadable { .. } => {
                "Check the disk; then go on with --resume where a state file was kept.".to_owned()
            }
            Self::Empty | Self::NoRows => "Export the fleet again.".to_owned(),
            Self::Compressed { command, .. } => {
                format!("Unpack it first (`{command}`), and give the file with the rows.")
            }
            Self::Utf16 | Self::Binary => {
                "Save it as UTF-8 (`iconv -f UTF-16 -t UTF-8 FILE`).".to_owned()
            }
            Self::Array => "Write one object a line (`jq -c '.[]' FILE`).".to_owned(),
            Self::Header { known, .. } => {
                format!(
                    "Name the columns in the first line, separated by commas; there are {known}, without jwk."
                )
            }
        }
    }

    /// A stable name for scripts.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => "input",
            _ => "fleet-file",
        }
    }
}

/// Why a fleet could not be imported or exported to its end.
#[derive(Debug, thiserror::Error)]
pub enum FleetError {
    /// The file.
    #[error("{} can't be imported", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: FileError,
    },
    /// A file of the import: its input, report or state.
    #[error("{} can't be {doing}", .path.display())]
    Path {
        /// The file.
        path: PathBuf,
        /// `read`, `written`, …
        doing: &'static str,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// Something is there that would be written over.
    #[error("expected to make a new file at {}, got one that is there", .path.display())]
    Occupied {
        /// The file.
        path: PathBuf,
    },
    /// An import that was not finished.
    #[error("expected --resume: {} says that an import stopped after {rows} rows", .path.display())]
    Unfinished {
        /// The state file.
        path: PathBuf,
        /// How many rows it had done.
        rows: u64,
    },
    /// There is no state to go on from.
    #[error("expected the state of an import at {}, got {got}", .path.display())]
    NoState {
        /// The state file.
        path: PathBuf,
        /// What is there.
        got: String,
    },
    /// The file, its report or the options are not those that the import began with.
    #[error("expected {what} as it was when the import stopped, got {got}")]
    Changed {
        /// What.
        what: String,
        /// How it is now.
        got: String,
    },
    /// Whoever takes the rows failed.
    #[error("the rows could not be handed on")]
    Sink {
        /// Why.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// Whoever takes the rows answered for another number of them.
    #[error("expected an answer for each of {expected} rows, got {got}")]
    Answers {
        /// How many rows were given.
        expected: usize,
        /// How many answers came.
        got: usize,
    },
    /// Whoever gives the keys of an export failed.
    #[error("the keys could not be read")]
    Source {
        /// Why.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// The reading thread ended without an answer.
    #[error("the file's reader ended without an answer")]
    ReaderLost,
}

impl FleetError {
    /// What to do.
    #[must_use]
    pub fn next(&self) -> String {
        match self {
            Self::File { source, .. } => return source.next(),
            Self::Path { .. } => "Check the path, its permissions and the room on the disk.",
            Self::Occupied { .. } => "Name a path where nothing is yet.",
            Self::Unfinished { .. } => {
                "Go on with --resume, or remove the state file to begin again: rows that are in stay in."
            }
            Self::NoState { .. } => "Import without --resume: rows that are in already stay as they are.",
            Self::Changed { .. } => {
                "Import without --resume and with new report and state files: rows that are in already stay as they are."
            }
            Self::Sink { .. } | Self::Source { .. } => {
                "See to the registry (`keyline doctor`), then go on with --resume."
            }
            Self::Answers { .. } | Self::ReaderLost => "Go on with --resume.",
        }
        .to_owned()
    }

    /// A stable name for scripts.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::File { source, .. } => source.code(),
            Self::Path { .. } => "input",
            Self::Occupied { .. } => "output",
            Self::Unfinished { .. } | Self::NoState { .. } | Self::Changed { .. } => "resume",
            Self::Sink { .. } | Self::Source { .. } | Self::Answers { .. } => "registry",
            Self::ReaderLost => "system",
        }
    }

    /// Whether what was asked for is wrong, rather than something around the station.
    #[must_use]
    pub const fn is_usage(&self) -> bool {
        matches!(
            self,
            Self::File { .. }
                | Self::Path { .. }
                | Self::Occupied { .. }
                | Self::Unfinished { .. }
                | Self::NoState { .. }
                | Self::Changed { .. }
        )
    }
}
