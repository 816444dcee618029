//! The log itself: its leaves and the checkpoints that were signed over them.

use crate::journal::error::database;
use crate::journal::{JournalError, JournalReader, row};

/// The most leaves that one question gives: some hundred bytes each.
pub const LEAVES_MAX: u32 = 4_096;

impl JournalReader {
    /// The latest signed checkpoint, a note.
    ///
    /// # Errors
    /// [`JournalError`] where the database fails or has none.
    pub async fn latest_checkpoint(&self) -> Result<String, JournalError> {
        sqlx::query_scalar("SELECT note FROM tree_head WHERE id = 1")
            .fetch_one(&self.pool)
            .await
            .map_err(database("reading the tree head"))
    }

    /// The checkpoint that was signed when the tree had exactly `size` leaves, a note.
    ///
    /// # Errors
    /// [`JournalError`] where the database fails.
    pub async fn checkpoint_of(&self, size: u64) -> Result<Option<String>, JournalError> {
        sqlx::query_scalar("SELECT note FROM checkpoint WHERE tree_size = ?1")
            .bind(row::signed(size))
            .fetch_optional(&self.pool)
            .await
            .map_err(database("reading a checkpoint"))
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
        .map_err(database("reading checkpoints"))?;
        rows.into_iter()
            .map(|(size, note)| Ok((row::unsigned(size)?, note)))
            .collect()
    }

    /// Of the checkpoints over more than `after` leaves the last that is at most `ahead_max` leaves further, or else the first; a note.
    ///
    /// # Errors
    /// [`JournalError`] where the database fails.
    pub async fn next_checkpoint(
        &self,
        after: u64,
        ahead_max: u64,
    ) -> Result<Option<String>, JournalError> {
        const DOING: &str = "reading the next checkpoint";
        let near = sqlx::query_scalar(
            "SELECT note FROM checkpoint WHERE tree_size > ?1 AND tree_size <= ?2 ORDER BY tree_size DESC LIMIT 1",
        )
        .bind(row::signed(after))
        .bind(row::signed(after.saturating_add(ahead_max)))
        .fetch_optional(&self.pool)
        .await
        .map_err(database(DOING))?;
        if near.is_some() {
            return Ok(near);
        }
        sqlx::query_scalar(
            "SELECT note FROM checkpoint WHERE tree_size > ?1 ORDER BY tree_size LIMIT 1",
        )
        .bind(row::signed(after))
        .fetch_optional(&self.pool)
        .await
        .map_err(database(DOING))
    }

    /// The bytes of the leaves `first .. first + count`, all of them; `count` is taken as [`LEAVES_MAX`] where it is more.
    ///
    /// They come as one row: a row costs a change of threads and back, many times what it costs to read and write its hexadecimals.
    ///
    /// # Errors
    /// [`JournalError::Damaged`] where one of them is missing, [`JournalError::Database`] where the database fails.
    pub async fn leaves(&self, first: u64, count: u32) -> Result<Vec<Vec<u8>>, JournalError> {
        let count = count.min(LEAVES_MAX);
        if count == 0 {
            return Ok(Vec::new());
        }
        let end = first.saturating_add(count.into());
        let (found, leaves): (i64, Option<String>) = sqlx::query_as(
            "SELECT count(*), group_concat(hex(leaf), ',' ORDER BY leaf_index) FROM entry WHERE leaf_index >= ?1 AND leaf_index < ?2",
        )
        .bind(row::signed(first))
        .bind(row::signed(end))
        .fetch_one(&self.pool)
        .await
        .map_err(database("reading leaves"))?;
        if row::unsigned(found)? != u64::from(count) {
            let expected = format!("{count} from {first} on");
            return Err(row::damaged("the entries", expected, found.to_string()));
        }
        let leaves = leaves.unwrap_or_default();
        let leaves = leaves.split(',').map(|leaf| {
            hex::decode(leaf).map_err(|error| {
                row::damaged("a leaf", "its bytes in hexadecimal", error.to_string())
            })
        });
        leaves.collect()
    }
}
