//! Requests that carry an idempotency key: each statement is a transaction of its own, on disk when it returns.

use sqlx::SqliteConnection;

use super::JournalError;
use super::error::database;
use super::model::Idempotency;
use super::row::signed;

const DOING: &str = "keeping a request's idempotency key";

/// Notes that a request begins, or tells what became of it.
pub(super) async fn begin(
    connection: &mut SqliteConnection,
    key: &str,
    request_digest: [u8; 32],
) -> Result<Idempotency, JournalError> {
    let known: Option<(Vec<u8>, Option<String>)> =
        sqlx::query_as("SELECT request_digest, result FROM idempotency WHERE key = ?1")
            .bind(key)
            .fetch_optional(&mut *connection)
            .await
            .map_err(database(DOING))?;
    match known {
        Some((digest, _)) if digest != request_digest => Ok(Idempotency::Different),
        Some((_, Some(result))) => Ok(Idempotency::Stored(result)),
        // It began and was interrupted: carrying it out again converges.
        Some((_, None)) => Ok(Idempotency::New),
        None => {
            sqlx::query("INSERT INTO idempotency (key, request_digest, at_ms) VALUES (?1, ?2, ?3)")
                .bind(key)
                .bind(&request_digest[..])
                .bind(signed(crate::clock::wall_ms()))
                .execute(connection)
                .await
                .map_err(database(DOING))?;
            Ok(Idempotency::New)
        }
    }
}

/// Stores the result of a request that began. The first result stays.
pub(super) async fn finish(
    connection: &mut SqliteConnection,
    key: &str,
    result: &str,
) -> Result<(), JournalError> {
    let begun: Option<i64> = sqlx::query_scalar("SELECT 1 FROM idempotency WHERE key = ?1")
        .bind(key)
        .fetch_optional(&mut *connection)
        .await
        .map_err(database(DOING))?;
    if begun.is_none() {
        return Err(JournalError::BadValue {
            expected: "an idempotency key that a request began with",
            got: format!("{key:?}"),
        });
    }
    sqlx::query("UPDATE idempotency SET result = ?2 WHERE key = ?1 AND result IS NULL")
        .bind(key)
        .bind(result)
        .execute(connection)
        .await
        .map_err(database(DOING))?;
    Ok(())
}
