//! What the log says of the station itself.

use crate::journal::error::database;
use crate::journal::{JournalError, JournalReader, row};
use crate::record::Change;

const DOING: &str = "reading the station's entries";

/// How far back is looked for a start: between two of them stand a stop, and what people decided while no unit ran.
const ENTRIES_MAX: i64 = 4_096;

impl JournalReader {
    /// The latest [`Change::Started`]; `None` where there is none within the last 4,096 entries that belong to no run.
    ///
    /// # Errors
    /// [`JournalError`] where the database fails or is damaged.
    pub async fn latest_start(&self) -> Result<Option<Change>, JournalError> {
        let body: Option<String> = sqlx::query_scalar(
            "SELECT body FROM (SELECT leaf_index, body FROM entry WHERE run_id IS NULL ORDER BY leaf_index DESC LIMIT ?1) \
             WHERE body ->> 'kind' = 'started' ORDER BY leaf_index DESC LIMIT 1",
        )
        .bind(ENTRIES_MAX)
        .fetch_optional(&self.pool)
        .await
        .map_err(database(DOING))?;
        body.map(|text| row::from_json("a change", &text))
            .transpose()
    }

    /// How many keys the log says are pinned, or were. It reads every step, so ask only where something is wrong.
    ///
    /// # Errors
    /// [`JournalError`] where the database fails or is damaged.
    pub async fn pinned_count(&self) -> Result<u64, JournalError> {
        let count: i64 = sqlx::query_scalar(
            "SELECT count(DISTINCT body ->> '$.evidence.fingerprint') FROM entry \
             WHERE run_id IS NOT NULL AND body ->> 'kind' = 'step-done' AND body ->> '$.evidence.step' = 'pinned'",
        )
        .fetch_one(&self.pool)
        .await
        .map_err(database(DOING))?;
        row::unsigned(count)
    }
}
