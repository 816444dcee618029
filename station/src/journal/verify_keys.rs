//! Whether the keys that sign the log are those that its leaves say, and each joined and left with both sides' signatures.

use sqlx::SqliteConnection;

use super::JournalError;
use super::model::LogKey;
use super::question::{checkpoint_covering, log_keys};
use super::row::{damaged, from_json};
use crate::audit::{Checkpoint, VerifierKey};
use crate::record::Change;

/// The most key changes that are kept: a key every day for ten years.
const CHANGES_MAX: usize = 4_096;

/// What the leaves say of the log's keys.
#[derive(Debug, Default)]
pub(super) struct KeyChanges {
    changes: Vec<(u64, Change)>,
}

impl KeyChanges {
    /// Keeps an entry that adds or retires a key; others are nothing to it.
    pub(super) fn take(&mut self, index: u64, kind: &str, body: &str) -> Result<(), JournalError> {
        if !kind.starts_with("log-key-") {
            return Ok(());
        }
        if self.changes.len() == CHANGES_MAX {
            return Err(damaged(
                "the log's keys",
                format!("at most {CHANGES_MAX} changes"),
                "more",
            ));
        }
        self.changes.push((index, from_json("an entry", body)?));
        Ok(())
    }

    /// Holds them against the table of keys, and `head` against the keys in force.
    pub(super) async fn check(
        self,
        connection: &mut SqliteConnection,
        head: &str,
    ) -> Result<(), JournalError> {
        let stored = log_keys(&mut *connection).await?;
        let mut said: Vec<LogKey> = stored.iter().take(1).cloned().collect();
        for first in &mut said {
            first.added_at = None;
            first.retired_at = None;
        }
        if let Some(first) = said.first() {
            check_first(connection, &first.key).await?;
        }
        for (index, change) in self.changes {
            let mut signing = in_force(&said);
            apply(&mut said, index, change)?;
            for key in in_force(&said) {
                if !signing.contains(&key) {
                    signing.push(key);
                }
            }
            let covering = checkpoint_covering(&mut *connection, index).await?;
            let covering = covering.ok_or_else(|| {
                let expected = format!("one that covers entry {index}");
                damaged("the checkpoints", expected, "none")
            })?;
            Checkpoint::verify_all(&covering, &signing)?;
        }
        if said != stored {
            return Err(damaged(
                "the log's keys",
                format!("{} as the leaves say", listed(&said)),
                listed(&stored),
            ));
        }
        Checkpoint::verify_all(head, &in_force(&said))?;
        Ok(())
    }
}

/// The first key is the one that signed the empty log.
async fn check_first(
    connection: &mut SqliteConnection,
    first: &VerifierKey,
) -> Result<(), JournalError> {
    let empty: Option<String> =
        sqlx::query_scalar("SELECT note FROM checkpoint WHERE tree_size = 0")
            .fetch_optional(connection)
            .await
            .map_err(super::error::database("reading the first checkpoint"))?;
    let empty = empty.ok_or_else(|| damaged("the checkpoints", "one of the empty log", "none"))?;
    Checkpoint::verify(&empty, first)?;
    Ok(())
}

fn in_force(keys: &[LogKey]) -> Vec<VerifierKey> {
    keys.iter()
        .filter(|key| key.in_force())
        .map(|key| key.key.clone())
        .collect()
}

fn apply(keys: &mut Vec<LogKey>, index: u64, change: Change) -> Result<(), JournalError> {
    match change {
        Change::LogKeyAdded { key, .. } => keys.push(LogKey {
            key: VerifierKey::parse(&key)?,
            added_at: Some(index),
            retired_at: None,
        }),
        Change::LogKeyRetired { key, .. } => {
            let retired = keys
                .iter_mut()
                .find(|known| known.in_force() && known.key.to_string() == key)
                .ok_or_else(|| {
                    damaged(
                        "the log's keys",
                        format!("a key in force that entry {index} retires"),
                        key,
                    )
                })?;
            retired.retired_at = Some(index);
        }
        _ => {}
    }
    Ok(())
}

fn listed(keys: &[LogKey]) -> String {
    let listed: Vec<_> = keys
        .iter()
        .map(|key| match key.retired_at {
            Some(at) => format!("{} until entry {at}", key.key),
            None => key.key.to_string(),
        })
        .collect();
    listed.join(", ")
}
