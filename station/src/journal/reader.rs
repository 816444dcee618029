//! Questions to the journal. They see everything that was committed before they were asked, and need no writer: another process may
//! read while the station writes.

use std::path::Path;
use std::time::Duration;

use sqlx::SqlitePool;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};

use super::JournalError;
use super::error::database;

/// Connections for readers: more than two cores can't use, fewer would queue pages behind lines.
const READERS_MAX: u32 = 4;

/// Reads a journal, also one that another process writes.
#[derive(Clone, Debug)]
pub struct JournalReader {
    pub(super) pool: SqlitePool,
}

impl JournalReader {
    /// Opens a journal that exists, for reading only.
    ///
    /// # Errors
    /// [`JournalError::Missing`] or [`JournalError::Database`] where there is none or it can't be read.
    pub async fn open(path: &Path) -> Result<Self, JournalError> {
        if !path.exists() {
            return Err(JournalError::Missing {
                path: path.to_owned(),
            });
        }
        let options = SqliteConnectOptions::new()
            .filename(path)
            .read_only(true)
            .busy_timeout(Duration::from_secs(5));
        // Without time limits the pool has no task that looks after them. In sqlx 0.9 that task's loop runs over a counter which a
        // race takes below zero, and then a process never ends (seen; `PoolInner::num_idle`).
        let pool = SqlitePoolOptions::new()
            .idle_timeout(None)
            .max_lifetime(None)
            .max_connections(READERS_MAX)
            .connect_with(options)
            .await
            .map_err(database("opening the journal for reading"))?;
        Ok(Self { pool })
    }
}
