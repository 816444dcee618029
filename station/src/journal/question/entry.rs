//! The entries themselves, as an auditor gets them: leaf, salt and body.

use crate::journal::error::database;
use crate::journal::{Entry, JournalError, JournalReader, row};
use crate::record::{DeviceIdText, RunId};

const DOING: &str = "reading entries";

type Columns = (i64, Vec<u8>, Vec<u8>, String);

fn entry(columns: Columns) -> Result<Entry, JournalError> {
    let (index, leaf, salt, body) = columns;
    Ok(Entry {
        index: row::unsigned(index)?,
        leaf,
        salt: row::hash(&salt)?,
        body,
    })
}

fn entries(rows: Vec<Columns>) -> Result<Vec<Entry>, JournalError> {
    rows.into_iter().map(entry).collect()
}

impl JournalReader {
    /// Every entry of a run, in the order of the log.
    ///
    /// # Errors
    /// [`JournalError`] where the database fails or is damaged.
    pub async fn entries_of_run(&self, run: RunId) -> Result<Vec<Entry>, JournalError> {
        let rows = sqlx::query_as(
            "SELECT leaf_index, leaf, salt, body FROM entry WHERE run_id = ?1 ORDER BY leaf_index",
        )
        .bind(&run.as_bytes()[..])
        .fetch_all(&self.pool)
        .await
        .map_err(database(DOING))?;
        entries(rows)
    }

    /// What befell a unit outside of its runs, in the order of the log: quarantine, release, scrapping, revocation.
    ///
    /// # Errors
    /// [`JournalError`] where the database fails or is damaged.
    pub async fn entries_about(&self, device_id: DeviceIdText) -> Result<Vec<Entry>, JournalError> {
        let rows = sqlx::query_as(
            "SELECT entry.leaf_index, leaf, salt, body FROM unit_event JOIN entry USING (leaf_index) \
             WHERE unit_event.device_id = ?1 AND entry.run_id IS NULL ORDER BY entry.leaf_index",
        )
        .bind(&device_id.0.as_bytes()[..])
        .fetch_all(&self.pool)
        .await
        .map_err(database(DOING))?;
        entries(rows)
    }

    /// What befell a unit, inside and outside of its runs, in the order of the log: alarms, quarantine, release, scrapping, revocation.
    ///
    /// # Errors
    /// [`JournalError`] where the database fails or is damaged.
    pub async fn events_about(&self, device_id: DeviceIdText) -> Result<Vec<Entry>, JournalError> {
        let rows = sqlx::query_as(
            "SELECT entry.leaf_index, leaf, salt, body FROM unit_event JOIN entry USING (leaf_index) \
             WHERE unit_event.device_id = ?1 ORDER BY entry.leaf_index",
        )
        .bind(&device_id.0.as_bytes()[..])
        .fetch_all(&self.pool)
        .await
        .map_err(database(DOING))?;
        entries(rows)
    }

    /// The entries of these kinds that belong to no run, in the order of the log: products, orders, keys of the log and the like.
    ///
    /// # Errors
    /// [`JournalError`] where the database fails or is damaged.
    pub async fn station_entries(&self, kinds: &[&str]) -> Result<Vec<Entry>, JournalError> {
        let rows = sqlx::query_as(
            "SELECT leaf_index, leaf, salt, body FROM entry \
             WHERE run_id IS NULL AND body ->> 'kind' IN (SELECT value FROM json_each(?1)) ORDER BY leaf_index",
        )
        .bind(row::to_json("kinds", &kinds)?)
        .fetch_all(&self.pool)
        .await
        .map_err(database(DOING))?;
        entries(rows)
    }
}
