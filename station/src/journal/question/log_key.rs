//! The keys that sign the log's checkpoints.

use sqlx::{Executor, Sqlite};

use crate::audit::VerifierKey;
use crate::journal::error::database;
use crate::journal::model::LogKey;
use crate::journal::{JournalError, JournalReader, row};

/// Every key, the oldest first.
pub(in crate::journal) async fn log_keys<'e>(
    executor: impl Executor<'e, Database = Sqlite>,
) -> Result<Vec<LogKey>, JournalError> {
    let rows: Vec<(String, Option<i64>, Option<i64>)> =
        sqlx::query_as("SELECT key, added_at, retired_at FROM log_key ORDER BY added_at, key")
            .fetch_all(executor)
            .await
            .map_err(database("reading the log's keys"))?;
    rows.into_iter()
        .map(|(key, added_at, retired_at)| {
            Ok(LogKey {
                key: VerifierKey::parse(&key)?,
                added_at: added_at.map(row::unsigned).transpose()?,
                retired_at: retired_at.map(row::unsigned).transpose()?,
            })
        })
        .collect()
}

impl JournalReader {
    /// The keys that sign the log's checkpoints, or did, the oldest first.
    ///
    /// # Errors
    /// [`JournalError`] where the database fails or is damaged.
    pub async fn log_keys(&self) -> Result<Vec<LogKey>, JournalError> {
        log_keys(&self.pool).await
    }

    /// The first stored checkpoint that covers the leaf of this index.
    ///
    /// # Errors
    /// [`JournalError`] where the database fails or is damaged.
    pub async fn checkpoint_covering(&self, leaf: u64) -> Result<Option<String>, JournalError> {
        checkpoint_covering(&self.pool, leaf).await
    }
}

/// The first stored checkpoint that covers the leaf of this index.
pub(in crate::journal) async fn checkpoint_covering<'e>(
    executor: impl Executor<'e, Database = Sqlite>,
    leaf: u64,
) -> Result<Option<String>, JournalError> {
    sqlx::query_scalar(
        "SELECT note FROM checkpoint WHERE tree_size > ?1 ORDER BY tree_size LIMIT 1",
    )
    .bind(row::signed(leaf))
    .fetch_optional(executor)
    .await
    .map_err(database("reading a checkpoint"))
}
