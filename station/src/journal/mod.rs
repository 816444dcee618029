//! The station's own durable store: every change is one entry with its audit leaf, and what the changes amount to is kept beside them
//! so that it can be asked.
//!
//! SQLite in write-ahead mode with `synchronous=FULL`. One task writes; it takes whatever waits into one transaction (one fsync, one
//! signed checkpoint), so that many slots share the cost. A commit that returns is on disk, under a checkpoint that covers it. Readers
//! never wait for the writer. All SQL of the journal is in this module.
//!
//! The rules that every change is held against are in `rules`; they work on what the writer holds in memory, so that a request that
//! is refused never reaches the database.

mod ahead;
mod bundle_rules;
mod clock;
mod compare;
mod conducted;
mod error;
mod export;
mod held_rules;
mod idempotency;
mod key_rules;
mod leaving_rules;
mod log_keys;
mod model;
mod open;
mod prefetch;
mod prepared;
mod question;
mod reader;
mod replay;
mod replayed;
mod request;
mod row;
mod rules;
mod snapshot;
mod state;
mod store;
mod unit_rules;
mod verify;
mod verify_keys;
mod view;
mod witnessing;
mod writer;

use std::ops::Deref;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, RwLock};

use tokio::sync::{mpsc, oneshot, watch};

pub use conducted::RunInHand;
pub use error::JournalError;
pub use export::{
    ExportSnapshot, LeafRecord, LoggedChange, Opening, PAGE_MAX, UnitPage, UnitRecord, UnitRun,
};
pub use model::{
    AheadBounds, Alarm, Committed, Entry, Idempotency, InterruptedRun, LogKey, Operator,
    OrderCounts, Outbox, StepEvent, StoredBundle, StoredCosignature, Unit, UnitFilter, WaitingRun,
};
pub use question::LotRun;
pub use question::log::LEAVES_MAX;
pub use reader::JournalReader;

use crate::audit::{CheckpointSigners, VerifierKey};
use crate::record::{Change, RunId};
pub(crate) use compare::{Difference, TABLES};
use conducted::Conducted;
pub(crate) use replay::{Logged, Refused, Replay};
pub(crate) use replayed::{KeyFact, KeyLeaf, Replayed, ReplayedUnit};
pub(crate) use snapshot::{Snapshot, StoredEntry, StoredHead};

use prepared::Prepared;
use request::{CommitRequest, Reply, Request};
use witnessing::WitnessWord;

/// The most changes in one commit. A run has about twenty.
pub const CHANGES_MAX: usize = 256;

/// The longest idempotency key, in bytes.
pub const IDEMPOTENCY_KEY_MAX: usize = 256;

/// How many requests may wait; whoever comes then waits for a place.
const WAITING_MAX: usize = 1_024;

/// A handle on the journal. Clones share the one writer; it ends when the last of them is dropped or [`close`](Self::close)d.
///
/// Questions are those of [`JournalReader`].
#[derive(Clone, Debug)]
pub struct Journal {
    reader: JournalReader,
    requests: mpsc::Sender<Request>,
    latest: watch::Receiver<Arc<str>>,
    keys: Arc<RwLock<Arc<[VerifierKey]>>>,
    outages: Arc<AtomicU64>,
    conducted: Conducted,
}

impl Deref for Journal {
    type Target = JournalReader;

    fn deref(&self) -> &JournalReader {
        &self.reader
    }
}

impl Journal {
    /// Opens the journal at `path` and makes it where there is none. Must be called inside a tokio runtime; the caller sees to it that
    /// only one process does this at a time.
    ///
    /// `origin` is the log's name, for ever. Which keys sign is what the log says (see [`LogKey`]): all of them must be among `signers`,
    /// and the stored tree head must carry their signatures. A new log begins with the first of `signers`.
    ///
    /// # Errors
    /// [`JournalError`] where the file can't be opened, needs newer software, is damaged, or was signed by another key.
    pub async fn open(
        path: &Path,
        signers: impl Into<CheckpointSigners>,
        origin: &str,
    ) -> Result<Self, JournalError> {
        let (writer, reader) = open::open(path, signers.into(), origin).await?;
        let (requests, receiver) = mpsc::channel(WAITING_MAX);
        let journal = Self {
            reader,
            requests,
            latest: writer.latest.subscribe(),
            keys: Arc::clone(&writer.keys),
            outages: Arc::clone(&writer.outages),
            conducted: Conducted::default(),
        };
        tokio::spawn(writer.run(receiver));
        Ok(journal)
    }

    /// Writes the changes, all or none of them, in their order. Returns when they are on disk under a signed checkpoint.
    ///
    /// # Errors
    /// [`JournalError`] where a rule refuses one of them or the log's key is out of reach (nothing is written), or
    /// [`JournalError::Stopped`].
    pub async fn commit(&self, changes: Vec<Change>) -> Result<Committed, JournalError> {
        self.commit_with(changes, None).await
    }

    /// Adds an operator. The log gets the id and the role only.
    ///
    /// # Errors
    /// As [`commit`](Self::commit); [`JournalError::NameTaken`] where there is one of this name.
    pub async fn add_operator(&self, operator: Operator) -> Result<Committed, JournalError> {
        let change = Change::OperatorAdded {
            operator: operator.id.clone(),
            role: operator.role.clone(),
        };
        self.commit_with(vec![change], Some(operator)).await
    }

    async fn commit_with(
        &self,
        changes: Vec<Change>,
        operator: Option<Operator>,
    ) -> Result<Committed, JournalError> {
        if changes.is_empty() || changes.len() > CHANGES_MAX {
            return Err(JournalError::ChangeCount {
                limit: CHANGES_MAX,
                got: changes.len(),
            });
        }
        let changes: Result<Vec<_>, _> = changes.into_iter().map(Prepared::new).collect();
        let changes = changes?;
        self.ask(|reply| {
            Request::Commit(CommitRequest {
                changes,
                operator,
                reply,
            })
        })
        .await
    }

    /// The runs that were interrupted: they have no end, and nobody [`conducts`](Self::conduct) them. They stay open until each is ended
    /// by a [`Change::RunEnded`]; a new run may take over their units before.
    ///
    /// # Errors
    /// [`JournalError`] where the database fails or is damaged.
    pub async fn recover(&self) -> Result<Vec<InterruptedRun>, JournalError> {
        // A run may begin or end while this reads: it is looked at before and after.
        let before = self.conducted.all();
        let mut runs = self.reader.unfinished_runs().await?;
        runs.retain(|run| !before.contains(&run.run.id) && !self.conducted.has(run.run.id));
        Ok(runs)
    }

    /// Says that somebody is conducting this run, from before its first commit until what is returned is dropped.
    #[must_use]
    pub fn conduct(&self, run: RunId) -> RunInHand {
        self.conducted.begin(run)
    }

    /// How many batches were refused because the log's key was out of reach: where this has grown, runs may have been interrupted.
    #[must_use]
    pub fn outages(&self) -> u64 {
        self.outages.load(Ordering::SeqCst)
    }

    /// Signs a text that is no checkpoint, such as the manifest of an export, by the log's key and under its name. Gives the signed
    /// note.
    ///
    /// The text's first line must have a space: the name of a log has none, so that nobody can take the text for a checkpoint.
    ///
    /// # Errors
    /// [`JournalError::Audit`] where the text could be taken for a checkpoint or can't be signed; the journal goes on. Else
    /// [`JournalError::Stopped`].
    pub async fn sign_manifest(&self, text: String) -> Result<String, JournalError> {
        self.ask(|reply| Request::SignManifest { text, reply })
            .await
    }

    /// The latest signed checkpoint. It is on disk.
    #[must_use]
    pub fn checkpoint(&self) -> Arc<str> {
        Arc::clone(&self.latest.borrow())
    }

    /// The latest signed checkpoint, for whoever waits for the next one. It ends with the writer.
    #[must_use]
    pub fn checkpoints(&self) -> watch::Receiver<Arc<str>> {
        self.latest.clone()
    }

    /// The keys in force, the oldest first: each of them has signed the latest checkpoint and will sign the next one.
    #[must_use]
    pub fn verifier_keys(&self) -> Arc<[VerifierKey]> {
        self.keys.read().map_or_else(
            |poisoned| Arc::clone(&poisoned.into_inner()),
            |keys| Arc::clone(&keys),
        )
    }

    /// Notes that a request with this key begins, or tells what became of it.
    ///
    /// # Errors
    /// [`JournalError::BadValue`] where the key is empty or longer than [`IDEMPOTENCY_KEY_MAX`], or [`JournalError::Stopped`].
    pub async fn idempotency_begin(
        &self,
        key: &str,
        request_digest: [u8; 32],
    ) -> Result<Idempotency, JournalError> {
        if key.is_empty() || key.len() > IDEMPOTENCY_KEY_MAX {
            return Err(JournalError::BadValue {
                expected: "an idempotency key of 1 to 256 bytes",
                got: format!("{} bytes", key.len()),
            });
        }
        let key = key.to_owned();
        self.ask(|reply| Request::IdempotencyBegin {
            key,
            request_digest,
            reply,
        })
        .await
    }

    /// Stores the result of a request that began. The first result stays.
    ///
    /// # Errors
    /// [`JournalError::BadValue`] where no request began with this key, or [`JournalError::Stopped`].
    pub async fn idempotency_finish(&self, key: &str, result: &str) -> Result<(), JournalError> {
        let (key, result) = (key.to_owned(), result.to_owned());
        self.ask(|reply| Request::IdempotencyFinish { key, result, reply })
            .await
    }

    /// From now on runs begin only while the log is within these bounds of its last witnessed checkpoint.
    ///
    /// # Errors
    /// [`JournalError::Stopped`].
    pub async fn bound_ahead(&self, bounds: AheadBounds) -> Result<(), JournalError> {
        self.tell(WitnessWord::Bounds(bounds)).await
    }

    /// Keeps what witnesses signed, on disk when this returns. Whether the signatures verify is the caller's to check, as is
    /// `witnessed_size`: the size of the largest checkpoint that has enough of them.
    ///
    /// # Errors
    /// [`JournalError::Stopped`].
    pub async fn keep_cosignatures(
        &self,
        cosignatures: Vec<StoredCosignature>,
        witnessed_size: Option<u64>,
    ) -> Result<(), JournalError> {
        self.tell(WitnessWord::Cosigned {
            cosignatures,
            witnessed_size,
        })
        .await
    }

    /// A witness knows a log of this name that this one does not continue: nothing more is signed by this process. That no later one
    /// signs is the home's to keep.
    ///
    /// # Errors
    /// [`JournalError::Stopped`].
    pub async fn dispute(&self, cause: &str) -> Result<(), JournalError> {
        self.tell(WitnessWord::Disputed {
            cause: cause.to_owned(),
        })
        .await
    }

    async fn tell(&self, word: WitnessWord) -> Result<(), JournalError> {
        self.ask(|reply| Request::Witness { word, reply }).await
    }

    /// Ends the writer. Everything that was asked for before is on disk when this returns; other handles find the journal stopped.
    ///
    /// # Errors
    /// [`JournalError`] where the database can't be closed in good order.
    pub async fn close(self) -> Result<(), JournalError> {
        self.reader.pool.close().await;
        self.ask(|reply| Request::Close { reply }).await
    }

    async fn ask<T>(&self, request: impl FnOnce(Reply<T>) -> Request) -> Result<T, JournalError> {
        let stopped = || JournalError::Stopped {
            cause: "the journal was closed".to_owned(),
        };
        let (reply, answer) = oneshot::channel();
        self.requests
            .send(request(reply))
            .await
            .map_err(|_| stopped())?;
        answer.await.map_err(|_| stopped())?
    }
}
