//! What reaches the writer.

use tokio::sync::oneshot;

use super::JournalError;
use super::model::{Committed, Idempotency, Operator};
use super::prepared::Prepared;
use super::witnessing::WitnessWord;

/// Where an answer goes.
pub(super) type Reply<T> = oneshot::Sender<Result<T, JournalError>>;

/// Changes that are taken all or not at all.
#[derive(Debug)]
pub(super) struct CommitRequest {
    pub(super) changes: Vec<Prepared>,
    /// The row of an operator whose addition is among the changes.
    pub(super) operator: Option<Operator>,
    pub(super) reply: Reply<Committed>,
}

/// One request.
#[derive(Debug)]
pub(super) enum Request {
    Commit(CommitRequest),
    IdempotencyBegin {
        key: String,
        request_digest: [u8; 32],
        reply: Reply<Idempotency>,
    },
    IdempotencyFinish {
        key: String,
        result: String,
        reply: Reply<()>,
    },
    /// What the witnesses said, or how much that counts.
    Witness {
        word: WitnessWord,
        reply: Reply<()>,
    },
    /// A text that is no checkpoint is to be signed by the log's key.
    SignManifest {
        text: String,
        reply: Reply<String>,
    },
    /// Everything before it is on disk when the answer comes, and nothing after it is taken.
    Close {
        reply: Reply<()>,
    },
}
