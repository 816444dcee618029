//! The one that writes. It takes everything that waits into one transaction: one fsync and one signature for all of it.
//!
//! A request that breaks a rule is refused before the transaction begins, so that it can't hurt the others in its batch. Whatever goes
//! wrong after that leaves it open what is on disk: the writer stops for good.

use std::sync::{Arc, RwLock};

use sqlx::{Connection, SqliteConnection};
use tokio::sync::mpsc;

use super::JournalError;
use super::clock::LeafClock;
use super::error::database;
use super::idempotency;
use super::model::{Committed, Operator};
use super::prefetch::prefetch;
use super::prepared::Prepared;
use super::request::{CommitRequest, Reply, Request};
use super::rules;
use super::state::{Dirty, Layer};
use super::store::{self, Entries};
use super::view::View;
use crate::audit::{Checkpoint, CheckpointSigner, Frontier, Leaf, VerifierKey, leaf_hash};

/// How many requests one transaction takes at most: enough for every slot of the widest line, few enough to keep latency flat.
pub(super) const BATCH_MAX: usize = 512;

/// The writer and all that it owns.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) connection: SqliteConnection,
    pub(super) state: Layer,
    pub(super) frontier: Frontier,
    pub(super) signer: CheckpointSigner,
    pub(super) key: VerifierKey,
    pub(super) clock: LeafClock,
    /// The latest checkpoint, for whoever asks.
    pub(super) latest: Arc<RwLock<Arc<str>>>,
    /// Why nothing more is accepted.
    pub(super) stopped: Option<String>,
}

/// A request that was accepted: where its answer goes, and its leaves.
struct Accepted {
    reply: Reply<Committed>,
    first_leaf: u64,
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
            Request::Close { reply } => return Some(reply),
            Request::Commit(commit) => self.commit(vec![commit]).await,
        }
        None
    }

    fn refuse_stopped(&self) -> Result<(), JournalError> {
        match &self.stopped {
            Some(cause) => Err(JournalError::Stopped {
                cause: cause.clone(),
            }),
            None => Ok(()),
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
        let mut accepted = Vec::with_capacity(requests.len());
        let mut refused = Vec::new();
        let outcome = match self.refuse_stopped() {
            Ok(()) => self.write(requests, &mut accepted, &mut refused).await,
            Err(stopped) => {
                refused.extend(requests.into_iter().map(|request| (request.reply, None)));
                Err(stopped)
            }
        };
        let outcome = self.stop_on_failure(outcome);
        if self.stopped.is_some() {
            // Readers and backups need the lock that a broken transaction holds. Whether this succeeds changes nothing.
            let _ = sqlx::query("ROLLBACK").execute(&mut self.connection).await;
        }
        for (reply, refusal) in refused {
            let error = refusal.or_else(|| self.refuse_stopped().err());
            if let Some(error) = error {
                let _ = reply.send(Err(error));
            }
        }
        for Accepted { reply, first_leaf } in accepted {
            let answer = match &outcome {
                Ok(checkpoint) => Ok(Committed {
                    first_leaf,
                    tree_size: self.frontier.size(),
                    checkpoint: Arc::clone(checkpoint),
                }),
                Err(error) => Err(JournalError::Stopped {
                    cause: error.to_string(),
                }),
            };
            let _ = reply.send(answer);
        }
    }

    async fn write(
        &mut self,
        requests: Vec<CommitRequest>,
        accepted: &mut Vec<Accepted>,
        refused: &mut Vec<(Reply<Committed>, Option<JournalError>)>,
    ) -> Result<Arc<str>, JournalError> {
        let changes = requests.iter().flat_map(|request| &request.changes);
        let facts = match prefetch(&mut self.connection, &mut self.state, changes).await {
            Ok(facts) => facts,
            Err(failure) => {
                refused.extend(requests.into_iter().map(|request| (request.reply, None)));
                return Err(failure);
            }
        };
        let now_ms = crate::clock::wall_ms();
        let mut dirty = Dirty::default();
        let mut frontier = self.frontier.clone();
        let mut leaves = Leaves {
            clock: self.clock,
            wall_ms: now_ms,
            entries: Entries::from(frontier.size()),
        };
        for request in requests {
            let mut view = View::new(&self.state, &facts, now_ms);
            match judge(&mut view, &request.changes, request.operator) {
                Ok(()) => {
                    let draft = view.draft;
                    self.state.take(draft, &mut dirty);
                    accepted.push(Accepted {
                        reply: request.reply,
                        first_leaf: frontier.size(),
                    });
                    leaves.append(&mut frontier, &request.changes);
                }
                Err(refusal) => refused.push((request.reply, Some(refusal))),
            }
        }
        if accepted.is_empty() {
            self.state.settle(&dirty);
            let latest = self.latest.read().map(|latest| Arc::clone(&latest));
            return latest.map_err(|_| JournalError::Stopped {
                cause: "a reader of the checkpoint has panicked".to_owned(),
            });
        }
        let note = self.store(leaves, &frontier, &dirty).await?;
        self.frontier = frontier;
        self.state.settle(&dirty);
        if let Ok(mut latest) = self.latest.write() {
            *latest = Arc::clone(&note);
        }
        Ok(note)
    }

    /// Writes the batch under a checkpoint that covers it; it is on disk when this returns.
    async fn store(
        &mut self,
        leaves: Leaves,
        frontier: &Frontier,
        dirty: &Dirty,
    ) -> Result<Arc<str>, JournalError> {
        let checkpoint = Checkpoint {
            origin: self.key.name().to_owned(),
            size: frontier.size(),
            root: frontier.root(),
        };
        let note = checkpoint.sign(&self.key, &self.signer)?.to_string();
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

/// Carries out a request on its view, all of it or, by the error, nothing.
fn judge(
    view: &mut View<'_>,
    changes: &[Prepared],
    operator: Option<Operator>,
) -> Result<(), JournalError> {
    for prepared in changes {
        rules::apply(view, &prepared.change)?;
    }
    if let Some(operator) = operator {
        rules::add_operator(view, operator)?;
    }
    Ok(())
}

/// The leaves of a batch, as they are made.
struct Leaves {
    clock: LeafClock,
    wall_ms: u64,
    entries: Entries,
}

impl Leaves {
    fn append(&mut self, frontier: &mut Frontier, changes: &[Prepared]) {
        for prepared in changes {
            let (kind, run) = (prepared.change.kind(), prepared.change.run());
            let leaf = Leaf {
                kind,
                wall_ms: self.wall_ms,
                monotonic_ms: self.clock.monotonic_ms(),
                boot_id: self.clock.boot_id,
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

/// An error and its causes, on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
