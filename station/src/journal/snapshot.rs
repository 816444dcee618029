//! One view of a journal, for an auditor: everything that is read from it is of the same moment, though the station goes on writing.

use std::path::Path;

use sqlx::{ConnectOptions as _, SqliteConnection};

use super::error::database;
use super::row::unsigned;
use super::{JournalError, JournalReader};

/// An entry, as it is stored. Nothing of it was checked.
#[derive(Clone, Debug)]
pub(crate) struct StoredEntry {
    pub(crate) index: i64,
    /// The column beside the leaf, by which a run's entries are found.
    pub(crate) run: Option<Vec<u8>>,
    pub(crate) leaf: Vec<u8>,
    pub(crate) salt: Vec<u8>,
    pub(crate) body: Vec<u8>,
}

/// A tree head, as it is stored.
#[derive(Clone, Debug)]
pub(crate) struct StoredHead {
    pub(crate) size: i64,
    pub(crate) frontier: Vec<u8>,
    pub(crate) note: String,
}

/// A view of a journal. Ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(super) connection: SqliteConnection,
}

impl JournalReader {
    /// Takes a view of the journal as it is at this moment; `scratch` is where a replay of its log will lie, to be compared with it.
    pub(crate) async fn snapshot(&self, scratch: Option<&Path>) -> Result<Snapshot, JournalError> {
        const DOING: &str = "taking a snapshot of the journal";
        let options = self.pool.connect_options();
        let connected = options.as_ref().clone().disable_statement_logging();
        let mut connection = connected.connect().await.map_err(database(DOING))?;
        // Before the transaction begins: that one sees the file of the replay only when it is first asked for, after it was written.
        if let Some(scratch) = scratch {
            sqlx::query("ATTACH ?1 AS replayed")
                .bind(scratch.display().to_string())
                .execute(&mut connection)
                .await
                .map_err(database(DOING))?;
        }
        sqlx::query("BEGIN")
            .execute(&mut connection)
            .await
            .map_err(database(DOING))?;
        let mut snapshot = Snapshot { connection };
        // The view is fixed by the first question.
        snapshot.head().await?;
        Ok(snapshot)
    }
}

impl Snapshot {
    /// The stored tree head, if there is one.
    pub(crate) async fn head(&mut self) -> Result<Option<StoredHead>, JournalError> {
        let stored: Option<(i64, Vec<u8>, String)> =
            sqlx::query_as("SELECT tree_size, frontier, note FROM main.tree_head WHERE id = 1")
                .fetch_optional(&mut self.connection)
                .await
                .map_err(database("reading the tree head"))?;
        Ok(stored.map(|(size, frontier, note)| StoredHead {
            size,
            frontier,
            note,
        }))
    }

    /// Entries from the index `from` on, in order; at most `limit`.
    pub(crate) async fn entries(
        &mut self,
        from: i64,
        limit: u32,
    ) -> Result<Vec<StoredEntry>, JournalError> {
        type Columns = (i64, Option<Vec<u8>>, Vec<u8>, Vec<u8>, Vec<u8>);
        let rows: Vec<Columns> = sqlx::query_as(
            "SELECT leaf_index, run_id, leaf, salt, CAST(body AS BLOB) FROM main.entry WHERE leaf_index >= ?1 \
             ORDER BY leaf_index LIMIT ?2",
        )
        .bind(from)
        .bind(limit)
        .fetch_all(&mut self.connection)
        .await
        .map_err(database("reading entries"))?;
        let entry = |(index, run, leaf, salt, body)| StoredEntry {
            index,
            run,
            leaf,
            salt,
            body,
        };
        Ok(rows.into_iter().map(entry).collect())
    }

    /// Stored checkpoints of more than `after` leaves and at most `up_to`, the smallest first: size and note. At most `limit`.
    pub(crate) async fn checkpoints(
        &mut self,
        after: Option<u64>,
        up_to: i64,
        limit: u32,
    ) -> Result<Vec<(u64, String)>, JournalError> {
        let rows: Vec<(i64, String)> = sqlx::query_as(
            "SELECT tree_size, note FROM main.checkpoint WHERE tree_size > ?1 AND tree_size <= ?2 ORDER BY tree_size LIMIT ?3",
        )
        .bind(after.map_or(-1, super::row::signed))
        .bind(up_to)
        .bind(limit)
        .fetch_all(&mut self.connection)
        .await
        .map_err(database("reading checkpoints"))?;
        rows.into_iter()
            .map(|(size, note)| Ok((unsigned(size)?, note)))
            .collect()
    }
}
