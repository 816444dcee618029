//! The one that writes. It takes everything that waits into one transaction: one fsync and one signature for all of it.
//!
//! A request that breaks a rule is refused before the transaction begins, so that it can't hurt the others in its batch. A batch whose
//! checkpoint can't be signed is refused whole before the transaction begins: nothing is on disk, and the next batch tries again.
//! Whatever goes wrong after that leaves it open what is on disk: the writer stops for good.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, RwLock};

use sqlx::{Connection, SqliteConnection};
use tokio::sync::{mpsc, watch};

use super::clock::{LeafClock, Moment};
use super::error::database;
use super::idempotency;
use super::model::{Committed, Operator};
use super::open::load_state;
use super::prefetch::prefetch;
use super::prepared::Prepared;
use super::request::{CommitRequest, Reply, Request};
use super::rules;
use super::state::{Dirty, Layer};
use super::store::{self, Entries};
use super::view::View;
use super::witnessing::Witnessing;
use super::{JournalError, JournalReader};
use crate::audit::{
    self, AuditError, Checkpoint, CheckpointSigners, Frontier, Leaf, VerifierKey, leaf_hash,
};
use crate::error_text::chain;
use crate::record::Change;

/// How many requests one transaction takes at most: enough for every slot of the widest line, few enough to keep latency flat.
pub(super) const BATCH_MAX: usize = 512;

/// The writer and all that it owns.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) connection: SqliteConnection,
    pub(super) reader: JournalReader,
    pub(super) state: Layer,
    pub(super) frontier: Frontier,
    pub(super) signers: CheckpointSigners,
    pub(super) origin: String,
    /// The keys in force, for whoever asks.
    pub(super) keys: Arc<RwLock<Arc<[VerifierKey]>>>,
    pub(super) clock: LeafClock,
    pub(super) witnessing: Witnessing,
    /// The latest checkpoint, for whoever asks.
    pub(super) latest: watch::Sender<Arc<str>>,
    /// Since when no checkpoint could be signed, in milliseconds since 1970.
    pub(super) away_since_ms: Option<u64>,
    /// How many batches were refused because of that.
    pub(super) outages: Arc<AtomicU64>,
    /// Why nothing more is accepted.
    pub(super) stopped: Option<String>,
}

impl Writer {
    /// Serves until it is told to close or nobody can ask any more.
    pub(super) async fn run(mut self, mut requests: mpsc::Receiver<Request>) {
        let mut waiting = Vec::with_capacity(BATCH_MAX);
        let mut closing = None;
        while closing.is_none() && requests.recv_many(&mut waiting, BATCH_MAX).await > 0 {
            let mut commits = Vec::with_capacity(waiting.len());
            for request in waiting.drain(..) {
                match request {
                    Request::Commit(commit) => commits.push(commit),
                    other => {
                        self.commit(std::mem::take(&mut commits)).await;
                        closing = closing.or(self.serve(other).await);
                    }
                }
            }
            self.commit(commits).await;
        }
        // SQLite moves the write-ahead log into the database when its last connection closes.
        let closed = self.connection.close().await;
        if let Some(reply) = closing {
            // Whoever asked may have gone away.
            let _ = reply.send(closed.map_err(database("closing the journal")));
        }
    }

    /// Serves what is no commit; gives back where to report that the journal is closed.
    async fn serve(&mut self, request: Request) -> Option<Reply<()>> {
        match request {
            Request::IdempotencyBegin {
                key,
                request_digest,
                reply,
            } => {
                let answer = match self.refuse_stopped() {
                    Ok(()) => idempotency::begin(&mut self.connection, &key, request_digest).await,
                    Err(stopped) => Err(stopped),
                };
                let _ = reply.send(self.stop_on_failure(answer));
            }
            Request::IdempotencyFinish { key, result, reply } => {
                let answer = match self.refuse_stopped() {
                    Ok(()) => idempotency::finish(&mut self.connection, &key, &result).await,
                    Err(stopped) => Err(stopped),
                };
                let _ = reply.send(self.stop_on_failure(answer));
            }
            Request::Witness { word, reply } => {
                let size = self.frontier.size();
                // What others say of a disputed log is kept all the same: it is what the dispute is about.
                let answer = match &self.stopped {
                    None => self.witnessing.hear(&mut self.connection, word, size).await,
                    Some(cause) => Err(JournalError::Stopped {
                        cause: cause.clone(),
                    }),
                };
                let _ = reply.send(self.stop_on_failure(answer));
            }
            Request::SignManifest { text, reply } => {
                let answer = self.sign_manifest(text).await;
                // Nothing was written: a key that is out of reach is no reason to stop the journal here.
                let _ = reply.send(answer);
            }
            Request::Close { reply } => return Some(reply),
            Request::Commit(commit) => self.commit(vec![commit]).await,
        }
        None
    }

    async fn sign_manifest(&self, text: String) -> Result<String, JournalError> {
        self.refuse_stopped()?;
        let keys = self.state.keys_in_force();
        let note = audit::sign_statement(text, &keys, &self.signers).await?;
        Ok(note.to_string())
    }

    fn refuse_stopped(&self) -> Result<(), JournalError> {
        match &self.stopped {
            Some(cause) => Err(JournalError::Stopped {
                cause: cause.clone(),
            }),
            None => self.witnessing.refuse_disputed(),
        }
    }

    /// Runs begin only while the witnesses are near enough; what is in hand goes on to its end.
    fn may_begin(&self, changes: &[Prepared], now: &Moment) -> Result<(), JournalError> {
        let begins = |prepared: &Prepared| matches!(prepared.change, Change::RunStarted { .. });
        if changes.iter().any(begins) {
            self.witnessing.refuse_ahead(self.frontier.size(), now)
        } else {
            Ok(())
        }
    }

    /// A database that failed once is not written to again.
    fn stop_on_failure<T>(&mut self, answer: Result<T, JournalError>) -> Result<T, JournalError> {
        match answer {
            Err(
                failure @ (JournalError::Database { .. }
                | JournalError::Audit(_)
                | JournalError::Damaged { .. }),
            ) => {
                let cause = chain(&failure);
                tracing::error!(journal.cause = %cause, "the journal has stopped");
                self.stopped = Some(cause.clone());
                Err(JournalError::Stopped { cause })
            }
            other => other,
        }
    }

    /// Takes as many of the requests as the rules allow, in one transaction, and answers all of them.
    async fn commit(&mut self, requests: Vec<CommitRequest>) {
        if requests.is_empty() {
            return;
        }
        let mut answers = Answers::default();
        let outcome = match self.refuse_stopped() {
            Ok(()) => self.write(requests, &mut answers).await,
            Err(stopped) => {
                answers.refuse_all(requests);
                Err(stopped)
            }
        };
        let outcome = match outcome {
            Err(JournalError::SigningUnavailable { source }) => {
                match self.step_back(&source).await {
                    Ok(()) => Err(JournalError::SigningUnavailable { source }),
                    Err(failure) => self.stop_on_failure(Err(failure)),
                }
            }
            outcome => self.stop_on_failure(outcome),
        };
        if self.stopped.is_some() {
            // Readers and backups need the lock that a broken transaction holds. Whether this succeeds changes nothing.
            let _ = sqlx::query("ROLLBACK").execute(&mut self.connection).await;
        }
        answers.give(&outcome, self.frontier.size());
    }

    /// Nothing of the batch was written, because it could not be signed: forgets it. The next batch tries again, and where it succeeds
    /// begins with a leaf that says since when nothing could be committed.
    async fn step_back(&mut self, cause: &AuditError) -> Result<(), JournalError> {
        tracing::error!(journal.cause = %chain(cause), "nothing was committed: the audit log's key is out of reach");
        self.away_since_ms.get_or_insert_with(crate::clock::wall_ms);
        self.outages.fetch_add(1, Ordering::SeqCst);
        self.state = load_state(&self.reader).await?;
        Ok(())
    }

    async fn write(
        &mut self,
        requests: Vec<CommitRequest>,
        answers: &mut Answers,
    ) -> Result<Arc<str>, JournalError> {
        let changes = requests.iter().flat_map(|request| &request.changes);
        let facts = match prefetch(&mut self.connection, &mut self.state, changes).await {
            Ok(facts) => facts,
            Err(failure) => {
                answers.refuse_all(requests);
                return Err(failure);
            }
        };
        let (now, clock_step) = self.clock.look();
        let mut dirty = Dirty::default();
        let mut frontier = self.frontier.clone();
        let mut leaves = Leaves {
            moment: now,
            entries: Entries::from(frontier.size()),
        };
        let resumed = self
            .away_since_ms
            .map(|away_since_ms| Change::SigningResumed { away_since_ms });
        for change in clock_step.into_iter().chain(resumed) {
            let first = [Prepared::new(change)?];
            let mut view = View::new(&self.state, &facts, now.wall_ms);
            judge(&mut view, &first, None, frontier.size())?;
            let draft = view.draft;
            self.state.take(draft, &mut dirty);
            leaves.append(&mut frontier, &first);
        }
        for request in requests {
            let mut view = View::new(&self.state, &facts, now.wall_ms);
            let first_leaf = frontier.size();
            let judged = self
                .may_begin(&request.changes, &now)
                .and_then(|()| judge(&mut view, &request.changes, request.operator, first_leaf))
                .and_then(|()| check_signers(&request.changes, &self.signers));
            match judged {
                Ok(()) => {
                    let draft = view.draft;
                    self.state.take(draft, &mut dirty);
                    answers.accepted.push((request.reply, first_leaf));
                    leaves.append(&mut frontier, &request.changes);
                }
                Err(refusal) => answers.refused.push((request.reply, Some(refusal))),
            }
        }
        if answers.accepted.is_empty() {
            self.state.settle(&dirty);
            return Ok(Arc::clone(&self.latest.borrow()));
        }
        let note = self.store(leaves, &frontier, &dirty).await?;
        self.settle(frontier, now, &dirty, &note);
        Ok(note)
    }

    /// The batch is on disk: from now on it is what stands.
    fn settle(&mut self, frontier: Frontier, now: Moment, dirty: &Dirty, note: &Arc<str>) {
        self.witnessing.grew(self.frontier.size(), now);
        self.frontier = frontier;
        self.clock.commit(now);
        self.away_since_ms = None;
        self.state.settle(dirty);
        if !dirty.log_keys.is_empty()
            && let Ok(mut keys) = self.keys.write()
        {
            *keys = self.state.keys_in_force().into();
        }
        self.latest.send_replace(Arc::clone(note));
    }

    /// Writes the batch under a checkpoint that covers it; it is on disk when this returns. It is signed before anything is written.
    async fn store(
        &mut self,
        leaves: Leaves,
        frontier: &Frontier,
        dirty: &Dirty,
    ) -> Result<Arc<str>, JournalError> {
        let checkpoint = Checkpoint {
            origin: self.origin.clone(),
            size: frontier.size(),
            root: frontier.root(),
        };
        let keys = self.state.signing_keys(dirty);
        let note = self.signers.sign(&checkpoint, &keys).await;
        let note = note
            .map_err(|source| JournalError::SigningUnavailable {
                source: Arc::new(source),
            })?
            .to_string();
        let head = (frontier, note.as_str());
        store::write(
            &mut self.connection,
            head,
            leaves.entries,
            &self.state,
            dirty,
        )
        .await?;
        Ok(note.into())
    }
}

/// Where the answers of a batch go.
#[derive(Default)]
struct Answers {
    /// With the index of the request's first leaf.
    accepted: Vec<(Reply<Committed>, u64)>,
    /// With the refusal, or none where the whole batch was refused before anybody looked.
    refused: Vec<(Reply<Committed>, Option<JournalError>)>,
}

impl Answers {
    fn refuse_all(&mut self, requests: Vec<CommitRequest>) {
        let replies = requests.into_iter().map(|request| (request.reply, None));
        self.refused.extend(replies);
    }

    /// Answers everybody. Whoever asked may have gone away.
    fn give(self, outcome: &Result<Arc<str>, JournalError>, tree_size: u64) {
        // A refusal may rest on another request of a batch that was not written: it is worth nothing then.
        let unsigned = matches!(outcome, Err(JournalError::SigningUnavailable { .. }));
        for (reply, refusal) in self.refused {
            let refusal = refusal.filter(|_| !unsigned);
            let error = refusal.or_else(|| outcome.as_ref().err().map(repeated));
            if let Some(error) = error {
                let _ = reply.send(Err(error));
            }
        }
        for (reply, first_leaf) in self.accepted {
            let answer = match outcome {
                Ok(checkpoint) => Ok(Committed {
                    first_leaf,
                    tree_size,
                    checkpoint: Arc::clone(checkpoint),
                }),
                Err(error) => Err(repeated(error)),
            };
            let _ = reply.send(answer);
        }
    }
}

/// The failure of a batch, once more for the next one who asked.
fn repeated(failure: &JournalError) -> JournalError {
    match failure {
        JournalError::SigningUnavailable { source } => JournalError::SigningUnavailable {
            source: Arc::clone(source),
        },
        JournalError::Stopped { cause } => JournalError::Stopped {
            cause: cause.clone(),
        },
        JournalError::Disputed { cause } => JournalError::Disputed {
            cause: cause.clone(),
        },
        other => JournalError::Stopped {
            cause: chain(other),
        },
    }
}

/// Carries out a request on its view, all of it or, by the error, nothing.
fn judge(
    view: &mut View<'_>,
    changes: &[Prepared],
    operator: Option<Operator>,
    first_leaf: u64,
) -> Result<(), JournalError> {
    view.leaf_index = first_leaf;
    for prepared in changes {
        rules::apply(view, &prepared.change)?;
        view.leaf_index += 1;
    }
    if let Some(operator) = operator {
        rules::add_operator(view, operator)?;
    }
    Ok(())
}

/// A key can join the log only where it can sign the checkpoint that covers its joining.
fn check_signers(changes: &[Prepared], signers: &CheckpointSigners) -> Result<(), JournalError> {
    for prepared in changes {
        if let Change::LogKeyAdded { key, .. } = &prepared.change
            && !VerifierKey::parse(key).is_ok_and(|key| signers.has(&key))
        {
            return Err(JournalError::LogKeyRefused {
                expected: "a key that the configuration names ([[audit.key]])",
                key: key.clone(),
            });
        }
    }
    Ok(())
}

/// The leaves of a batch, as they are made.
struct Leaves {
    moment: Moment,
    entries: Entries,
}

impl Leaves {
    fn append(&mut self, frontier: &mut Frontier, changes: &[Prepared]) {
        for prepared in changes {
            let (kind, run) = (prepared.change.kind(), prepared.change.run());
            let leaf = Leaf {
                kind,
                wall_ms: self.moment.wall_ms,
                monotonic_ms: self.moment.monotonic_ms,
                boot_id: self.moment.boot_id,
                run,
                device_id: prepared.change.device_id(),
                commitment: prepared.commitment,
            };
            let leaf = leaf.encode();
            frontier.append(leaf_hash(&leaf));
            self.entries
                .push(run, &leaf, &prepared.salt, &prepared.body);
            self.entries
                .push_event_of(frontier.size() - 1, &prepared.change);
        }
    }
}
