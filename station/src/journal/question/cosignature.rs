//! What witnesses said of the log's checkpoints.

use std::collections::BTreeMap;

use crate::journal::error::database;
use crate::journal::{JournalError, JournalReader, StoredCosignature, row};

const DOING: &str = "reading cosignatures";

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
    /// The largest checkpoint that is good enough for `accepts`, which is given the note with the cosignatures that are kept of it. The
    /// latest 1,024 cosignatures are looked at.
    ///
    /// # Errors
    /// [`JournalError`] where the database fails or is damaged.
    pub async fn witnessed_checkpoint(
        &self,
        accepts: impl Fn(&str) -> bool + Send,
    ) -> Result<Option<String>, JournalError> {
        const COSIGNATURES_MAX: u32 = 1_024;
        let mut by_size: BTreeMap<u64, Vec<String>> = BTreeMap::new();
        for cosignature in self.latest_cosignatures(COSIGNATURES_MAX).await? {
            let lines = by_size.entry(cosignature.tree_size).or_default();
            lines.push(cosignature.line + "\n");
        }
        for (size, lines) in by_size.into_iter().rev() {
            let note = self.checkpoint_of(size).await?;
            let cosigned = note.map(|note| note + &lines.concat());
            if let Some(note) = cosigned.filter(|note| accepts(note)) {
                return Ok(Some(note));
            }
        }
        Ok(None)
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
