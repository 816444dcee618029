//! Carries out a log once more, by the journal's own rules, into a database of its own: what its tables say is what the log says.
//!
//! Batches are gathered and written together, so that a long log takes minutes, not hours. A batch is judged with the time that its
//! leaves carry. The state that doesn't fit the writer's memory lies in the database, as it does in a journal.

use std::collections::HashMap;
use std::path::Path;

use sha2::{Digest as _, Sha256};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection};

use super::error::database;
use super::log_keys;
use super::model::{LogKey, Operator};
use super::open::migrate;
use super::prefetch::prefetch;
use super::prepared::Prepared;
use super::replayed::{self, KeyLeaf};
use super::state::{Dirty, Layer};
use super::store::{self, Entries};
use super::view::View;
use super::{JournalError, rules};
use crate::audit::Frontier;
use crate::record::{Change, DeviceIdText, RunId};

/// How many changes are gathered before they are written.
const GATHERED_MAX: usize = 4_096;

/// A change with the place and the time of its leaf.
#[derive(Debug)]
pub(crate) struct Logged {
    pub(crate) index: u64,
    pub(crate) wall_ms: u64,
    pub(crate) change: Change,
}

/// A change that the rules refuse: the journal that wrote it can't have taken it.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) index: u64,
    pub(crate) kind: &'static str,
    pub(crate) refusal: JournalError,
}

/// A log that is being carried out again.
#[derive(Debug)]
pub(crate) struct Replay {
    connection: SqliteConnection,
    state: Layer,
    gathered: Vec<Logged>,
    /// The last run that each unit of the gathered changes was in.
    runs: HashMap<DeviceIdText, RunId>,
    key_leaves: Vec<KeyLeaf>,
    written: u64,
}

impl Replay {
    /// Begins with the key that the log began with, which no leaf names, in a file that does not exist.
    pub(crate) async fn begin(
        path: &Path,
        first_key: Option<LogKey>,
    ) -> Result<Self, JournalError> {
        let mut connection = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            // What is lost with the machine is begun anew.
            .journal_mode(SqliteJournalMode::Memory)
            .synchronous(SqliteSynchronous::Off)
            // Entries are not copied, so nothing may refer to them.
            .foreign_keys(false)
            .statement_cache_capacity(64)
            .pragma("cache_size", "-65536")
            .disable_statement_logging()
            .connect()
            .await
            .map_err(database("making the replay's database"))?;
        migrate(&mut connection).await?;
        replayed::prepare(&mut connection).await?;
        let mut state = Layer::default();
        if let Some(key) = first_key {
            log_keys::begin(&mut connection, &key.key).await?;
            state.log_keys.insert(key.key.to_string(), key);
        }
        Ok(Self {
            connection,
            state,
            gathered: Vec::new(),
            runs: HashMap::new(),
            key_leaves: Vec::new(),
            written: 0,
        })
    }

    /// Notes what a leaf says of a unit's key, to be asked for later.
    pub(crate) fn note(&mut self, leaf: KeyLeaf) {
        self.key_leaves.push(leaf);
    }

    /// Carries out the changes of one batch. Gives those that were refused so far.
    pub(crate) async fn batch(&mut self, batch: Vec<Logged>) -> Result<Vec<Refused>, JournalError> {
        let again = |logged: &Logged| {
            let unit = logged.change.device_id().zip(logged.change.run());
            unit.is_some_and(|(unit, run)| self.runs.get(&unit).is_some_and(|last| *last != run))
        };
        // What a unit's earlier run left is read from the database, so it must be there.
        let mut refused = Vec::new();
        if self.gathered.len() + batch.len() > GATHERED_MAX || batch.iter().any(again) {
            refused = self.write().await?;
        }
        for logged in batch {
            if let (Some(unit), Some(run)) = (logged.change.device_id(), logged.change.run()) {
                self.runs.insert(unit, run);
            }
            self.gathered.push(logged);
        }
        Ok(refused)
    }

    /// Writes what is gathered.
    async fn write(&mut self) -> Result<Vec<Refused>, JournalError> {
        replayed::write(&mut self.connection, std::mem::take(&mut self.key_leaves)).await?;
        self.runs.clear();
        let gathered = std::mem::take(&mut self.gathered);
        if gathered.is_empty() {
            return Ok(Vec::new());
        }
        let prepared = |logged: Logged| {
            let prepared = Prepared {
                change: logged.change,
                body: String::new(),
                salt: [0; 32],
                commitment: [0; 32],
            };
            (logged.index, logged.wall_ms, prepared)
        };
        let gathered: Vec<_> = gathered.into_iter().map(prepared).collect();
        let changes = gathered.iter().map(|(_, _, prepared)| prepared);
        let facts = prefetch(&mut self.connection, &mut self.state, changes).await?;
        let mut dirty = Dirty::default();
        let mut entries = Entries::default();
        let mut refused = Vec::new();
        for (index, wall_ms, prepared) in &gathered {
            let mut view = View::new(&self.state, &facts, *wall_ms);
            view.leaf_index = *index;
            match carry_out(&mut view, &prepared.change, *wall_ms) {
                Ok(()) => {
                    let draft = view.draft;
                    self.state.take(draft, &mut dirty);
                }
                Err(refusal) => refused.push(Refused {
                    index: *index,
                    kind: prepared.change.kind(),
                    refusal,
                }),
            }
            entries.push_event_of(*index, &prepared.change);
        }
        self.written += 1;
        // The replay has no tree of its own; what stands for its head must only grow.
        let roots = vec![0; 32 * self.written.count_ones() as usize];
        let head = Frontier::from_bytes(self.written, &roots)?;
        store::write(
            &mut self.connection,
            (&head, ""),
            entries,
            &self.state,
            &dirty,
        )
        .await?;
        self.state.settle(&dirty);
        Ok(refused)
    }

    /// Writes what is left, and closes the database.
    pub(crate) async fn finish(mut self) -> Result<Vec<Refused>, JournalError> {
        let refused = self.write().await?;
        self.connection
            .close()
            .await
            .map_err(database("closing the replay's database"))?;
        Ok(refused)
    }
}

fn carry_out(view: &mut View<'_>, change: &Change, wall_ms: u64) -> Result<(), JournalError> {
    rules::apply(view, change)?;
    if let Change::OperatorAdded { operator, role } = change {
        // Name and token are not in the log; what stands for them must only be unique.
        let row = Operator {
            id: operator.clone(),
            name: operator.clone(),
            role: role.clone(),
            token_sha256: Sha256::digest(operator).into(),
            added_at_ms: wall_ms,
        };
        rules::add_operator(view, row)?;
    }
    Ok(())
}
