//! Operators. Tokens are compared by their SHA-256, which an index finds: the digest of a guess says nothing about the token.

use crate::journal::error::database;
use crate::journal::{JournalError, JournalReader, Operator, row};

const DOING: &str = "reading operators";

type Columns = (String, String, String, Vec<u8>, i64);

fn operator(columns: Columns) -> Result<Operator, JournalError> {
    let (id, name, role, token_sha256, added_at_ms) = columns;
    Ok(Operator {
        id,
        name,
        role,
        token_sha256: row::hash(&token_sha256)?,
        added_at_ms: row::unsigned(added_at_ms)?,
    })
}

impl JournalReader {
    /// The operator with this name.
    ///
    /// # Errors
    /// [`JournalError`] where the database fails or is damaged.
    pub async fn operator_by_name(&self, name: &str) -> Result<Option<Operator>, JournalError> {
        sqlx::query_as(
            "SELECT id, name, role, token_sha256, added_at_ms FROM operator WHERE name = ?1",
        )
        .bind(name)
        .fetch_optional(&self.pool)
        .await
        .map_err(database(DOING))?
        .map(operator)
        .transpose()
    }

    /// The operator whose token has this SHA-256.
    ///
    /// # Errors
    /// [`JournalError`] where the database fails or is damaged.
    pub async fn operator_by_token(
        &self,
        token_sha256: [u8; 32],
    ) -> Result<Option<Operator>, JournalError> {
        sqlx::query_as(
            "SELECT id, name, role, token_sha256, added_at_ms FROM operator WHERE token_sha256 = ?1",
        )
        .bind(&token_sha256[..])
        .fetch_optional(&self.pool)
        .await
        .map_err(database(DOING))?
        .map(operator)
        .transpose()
    }

    /// Every operator, by name.
    ///
    /// # Errors
    /// [`JournalError`] where the database fails or is damaged.
    pub async fn operators(&self) -> Result<Vec<Operator>, JournalError> {
        let rows: Vec<Columns> = sqlx::query_as(
            "SELECT id, name, role, token_sha256, added_at_ms FROM operator ORDER BY name",
        )
        .fetch_all(&self.pool)
        .await
        .map_err(database(DOING))?;
        rows.into_iter().map(operator).collect()
    }
}
