//! The keys of a log when it is opened: what the log says, held against what the configuration has.

use sqlx::SqliteConnection;

use super::JournalError;
use super::error::database;
use super::model::LogKey;
use super::question::log_keys;
use super::row::damaged;
use crate::audit::{AuditError, Checkpoint, VerifierKey};

/// The keys of the log, the oldest first. None where the log has not begun.
pub(super) async fn of_log(
    connection: &mut SqliteConnection,
    at_hand: &[VerifierKey],
) -> Result<Vec<LogKey>, JournalError> {
    let known = log_keys(&mut *connection).await?;
    if !known.is_empty() {
        return Ok(known);
    }
    let first: Option<String> =
        sqlx::query_scalar("SELECT note FROM checkpoint ORDER BY tree_size LIMIT 1")
            .fetch_optional(&mut *connection)
            .await
            .map_err(database("reading the first checkpoint"))?;
    match first {
        Some(note) => adopt(connection, &note, at_hand).await.map(|key| vec![key]),
        None => Ok(Vec::new()),
    }
}

/// A log that was begun before its keys were written down has one: the one that signed its first checkpoint.
async fn adopt(
    connection: &mut SqliteConnection,
    first_checkpoint: &str,
    at_hand: &[VerifierKey],
) -> Result<LogKey, JournalError> {
    Checkpoint::verify_any(first_checkpoint, at_hand)?;
    let signed = |key: &&VerifierKey| Checkpoint::verify(first_checkpoint, key).is_ok();
    let key = at_hand.iter().find(signed).ok_or_else(|| {
        damaged(
            "the first checkpoint",
            "one that a key in the configuration signed",
            "another",
        )
    })?;
    begin(connection, key).await?;
    Ok(LogKey {
        key: key.clone(),
        added_at: None,
        retired_at: None,
    })
}

/// Writes down the key that the log begins with.
pub(super) async fn begin(
    connection: &mut SqliteConnection,
    key: &VerifierKey,
) -> Result<(), JournalError> {
    sqlx::query("INSERT INTO log_key (key) VALUES (?1)")
        .bind(key.to_string())
        .execute(connection)
        .await
        .map_err(database("writing down the log's key"))?;
    Ok(())
}

/// Refuses a configuration that lacks a key in force: its checkpoints would break what auditors rely on.
pub(super) fn check_at_hand(
    in_force: &[VerifierKey],
    at_hand: &[VerifierKey],
) -> Result<(), JournalError> {
    match in_force.iter().find(|key| !at_hand.contains(key)) {
        Some(missing) => Err(AuditError::KeyNotAtHand {
            key: missing.to_string(),
        }
        .into()),
        None => Ok(()),
    }
}
