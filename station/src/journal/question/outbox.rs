//! What waits for the registry.

use crate::audit::Leaf;
use crate::journal::error::database;
use crate::journal::{JournalError, JournalReader, Outbox, WaitingRun, row};
use crate::record::RunId;

const DOING: &str = "reading the outbox";

/// The most rows that one page has.
const PAGE_MAX: u32 = 10_000;

impl JournalReader {
    /// A page of the outbox, in its order, after the leaf `after`; at most 10,000 runs.
    ///
    /// # Errors
    /// [`JournalError`] where the database fails or is damaged.
    pub async fn waiting_runs(
        &self,
        after: Option<u64>,
        limit: u32,
    ) -> Result<Vec<WaitingRun>, JournalError> {
        let rows: Vec<(i64, Vec<u8>, Vec<u8>)> = sqlx::query_as(
            "SELECT leaf_index, device_id, run_id FROM outbox WHERE leaf_index > ?1 ORDER BY leaf_index LIMIT ?2",
        )
        .bind(after.map_or(-1, row::signed))
        .bind(limit.min(PAGE_MAX))
        .fetch_all(&self.pool)
        .await
        .map_err(database(DOING))?;
        let waiting = |(leaf, device_id, run): (i64, Vec<u8>, Vec<u8>)| {
            Ok(WaitingRun {
                leaf: row::unsigned(leaf)?,
                device_id: row::device_id(&device_id)?,
                run: RunId::from_bytes(row::id(&run)?),
            })
        };
        rows.into_iter().map(waiting).collect()
    }

    /// How much waits in the outbox, and since when.
    ///
    /// # Errors
    /// [`JournalError`] where the database fails or is damaged.
    pub async fn outbox(&self) -> Result<Outbox, JournalError> {
        let (runs, units, oldest): (i64, i64, Option<Vec<u8>>) = sqlx::query_as(
            "SELECT count(*), count(DISTINCT device_id), \
             (SELECT leaf FROM entry WHERE leaf_index = (SELECT min(leaf_index) FROM outbox)) FROM outbox",
        )
        .fetch_one(&self.pool)
        .await
        .map_err(database(DOING))?;
        let since_ms = oldest
            .map(|leaf| Leaf::decode(&leaf).map(|leaf| leaf.wall_ms))
            .transpose()?;
        Ok(Outbox {
            runs: row::unsigned(runs)?,
            units: row::unsigned(units)?,
            since_ms,
        })
    }
}
