//! Checkpoints, and what witnesses said of them.

use crate::journal::error::database;
use crate::journal::{JournalError, JournalReader, StoredCosignature, row};

const DOING: &str = "reading checkpoints";

type Columns = (i64, String, String, i64);

fn cosignature(columns: Columns) -> Result<StoredCosignature, JournalError> {
    let (tree_size, witness, line, time_s) = columns;
    Ok(StoredCosignature {
        tree_size: row::unsigned(tree_size)?,
        witness,
        line,
        time_s: row::unsigned(time_s)?,
    })
}

impl JournalReader {
    /// The latest signed tree head.
    ///
    /// # Errors
    /// [`JournalError`] where the database fails or has none.
    pub async fn tree_head(&self) -> Result<String, JournalError> {
        sqlx::query_scalar("SELECT note FROM tree_head WHERE id = 1")
            .fetch_one(&self.pool)
            .await
            .map_err(database(DOING))
    }

    /// The checkpoint that was signed at this size, if one was.
    ///
    /// # Errors
    /// [`JournalError`] where the database fails.
    pub async fn checkpoint_at(&self, tree_size: u64) -> Result<Option<String>, JournalError> {
        sqlx::query_scalar("SELECT note FROM checkpoint WHERE tree_size = ?1")
            .bind(row::signed(tree_size))
            .fetch_optional(&self.pool)
            .await
            .map_err(database(DOING))
    }

    /// The checkpoints that were signed up to this size, the largest first, at most `limit`.
    ///
    /// # Errors
    /// [`JournalError`] where the database fails or is damaged.
    pub async fn checkpoints_before(
        &self,
        tree_size: u64,
        limit: u32,
    ) -> Result<Vec<(u64, String)>, JournalError> {
        let rows: Vec<(i64, String)> = sqlx::query_as(
            "SELECT tree_size, note FROM checkpoint WHERE tree_size <= ?1 ORDER BY tree_size DESC LIMIT ?2",
        )
        .bind(row::signed(tree_size))
        .bind(i64::from(limit))
        .fetch_all(&self.pool)
        .await
        .map_err(database(DOING))?;
        rows.into_iter()
            .map(|(size, note)| Ok((row::unsigned(size)?, note)))
            .collect()
    }

    /// The first checkpoint that covers the leaf at this index, if one does.
    ///
    /// # Errors
    /// [`JournalError`] where the database fails or is damaged.
    pub async fn checkpoint_over(&self, index: u64) -> Result<Option<(u64, String)>, JournalError> {
        let found: Option<(i64, String)> = sqlx::query_as(
            "SELECT tree_size, note FROM checkpoint WHERE tree_size > ?1 ORDER BY tree_size LIMIT 1",
        )
        .bind(row::signed(index))
        .fetch_optional(&self.pool)
        .await
        .map_err(database(DOING))?;
        found
            .map(|(size, note)| Ok((row::unsigned(size)?, note)))
            .transpose()
    }

    /// What witnesses said, the largest checkpoints first, at most `limit` signatures.
    ///
    /// # Errors
    /// [`JournalError`] where the database fails or is damaged.
    pub async fn latest_cosignatures(
        &self,
        limit: u32,
    ) -> Result<Vec<StoredCosignature>, JournalError> {
        let rows: Vec<Columns> = sqlx::query_as(
            "SELECT tree_size, witness, line, time_s FROM cosignature ORDER BY tree_size DESC, witness LIMIT ?1",
        )
        .bind(i64::from(limit))
        .fetch_all(&self.pool)
        .await
        .map_err(database(DOING))?;
        rows.into_iter().map(cosignature).collect()
    }
}
