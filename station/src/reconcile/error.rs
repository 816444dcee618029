//! Why a verification could not be carried out. What it finds is never an error.

use crate::journal::JournalError;

/// Why a verification could not be carried out.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    /// The journal's database can't be read at all.
    #[error("the journal could not be read to its end")]
    Journal(#[from] JournalError),
    /// There is no place for the replay.
    #[error("expected a place for temporary files, to replay the log in; there is none")]
    Scratch(#[source] std::io::Error),
    /// A thread that checks entries ended in a way that it never should.
    #[error("a thread of the verification ended unexpectedly")]
    Thread(#[source] tokio::task::JoinError),
}
