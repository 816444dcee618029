//! Signed bundles that were accepted.

use crate::journal::error::database;
use crate::journal::{JournalError, JournalReader, StoredBundle, row};

const DOING: &str = "reading bundles";

type Columns = (String, String, i64, Vec<u8>, String);

fn bundle(columns: Columns) -> Result<StoredBundle, JournalError> {
    let (kind, subject, version, digest, note) = columns;
    Ok(StoredBundle {
        kind,
        subject,
        version: row::unsigned(version)?,
        digest: row::hash(&digest)?,
        note,
    })
}

impl JournalReader {
    /// The latest bundle of a subject; `kind` is `roster`, `product` or `station`.
    ///
    /// # Errors
    /// [`JournalError`] where the database fails or is damaged.
    pub async fn bundle(
        &self,
        kind: &str,
        subject: &str,
    ) -> Result<Option<StoredBundle>, JournalError> {
        sqlx::query_as(
            "SELECT kind, subject, version, digest, note FROM authority_bundle WHERE kind = ?1 AND subject = ?2 \
             ORDER BY version DESC LIMIT 1",
        )
        .bind(kind)
        .bind(subject)
        .fetch_optional(&self.pool)
        .await
        .map_err(database(DOING))?
        .map(bundle)
        .transpose()
    }

    /// Every bundle of a subject that was ever accepted, the latest first.
    ///
    /// # Errors
    /// [`JournalError`] where the database fails or is damaged.
    pub async fn bundles_of(
        &self,
        kind: &str,
        subject: &str,
    ) -> Result<Vec<StoredBundle>, JournalError> {
        let rows: Vec<Columns> = sqlx::query_as(
            "SELECT kind, subject, version, digest, note FROM authority_bundle WHERE kind = ?1 AND subject = ?2 \
             ORDER BY version DESC",
        )
        .bind(kind)
        .bind(subject)
        .fetch_all(&self.pool)
        .await
        .map_err(database(DOING))?;
        rows.into_iter().map(bundle).collect()
    }

    /// The latest bundle of each subject, by kind and subject.
    ///
    /// # Errors
    /// [`JournalError`] where the database fails or is damaged.
    pub async fn bundles(&self) -> Result<Vec<StoredBundle>, JournalError> {
        // SQLite takes the other columns from the row that has the maximum.
        let rows: Vec<(String, String, i64, Vec<u8>, String)> = sqlx::query_as(
            "SELECT kind, subject, max(version), digest, note FROM authority_bundle GROUP BY kind, subject ORDER BY kind, subject",
        )
        .fetch_all(&self.pool)
        .await
        .map_err(database(DOING))?;
        rows.into_iter().map(bundle).collect()
    }
}
