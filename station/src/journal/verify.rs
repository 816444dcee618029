//! Recomputing the log from its entries.

use super::error::database;
use super::row::{damaged, hash, unsigned};
use super::{JournalError, JournalReader};
use crate::audit::{Checkpoint, Frontier, Leaf, VerifierKey, commitment, leaf_hash};

/// How many entries are held in memory at a time.
const PAGE: i64 = 4_096;

impl JournalReader {
    /// Recomputes the whole tree from the entries, opens every commitment, and holds the root against the signed tree head. Gives the
    /// number of leaves. Takes as long as the log is; memory stays flat.
    ///
    /// # Errors
    /// [`JournalError::Damaged`] that names the first entry that does not fit, [`JournalError::Audit`] where the checkpoint does not
    /// verify.
    pub async fn verify_log(&self, key: &VerifierKey) -> Result<u64, JournalError> {
        // One snapshot for all pages: the station may be writing.
        let mut snapshot = self
            .pool
            .begin()
            .await
            .map_err(database("beginning to verify the log"))?;
        let note: String = sqlx::query_scalar("SELECT note FROM tree_head WHERE id = 1")
            .fetch_one(&mut *snapshot)
            .await
            .map_err(database("reading the tree head"))?;
        let checkpoint = Checkpoint::verify(&note, key)?;
        let mut frontier = Frontier::default();
        loop {
            let page: Vec<(i64, Vec<u8>, Vec<u8>, String)> = sqlx::query_as(
                "SELECT leaf_index, leaf, salt, body FROM entry WHERE leaf_index >= ?1 ORDER BY leaf_index LIMIT ?2",
            )
            .bind(super::row::signed(frontier.size()))
            .bind(PAGE)
            .fetch_all(&mut *snapshot)
            .await
            .map_err(database("reading entries"))?;
            if page.is_empty() {
                break;
            }
            for (index, leaf, salt, body) in page {
                check_entry(frontier.size(), unsigned(index)?, &leaf, &salt, &body)?;
                frontier.append(leaf_hash(&leaf));
            }
        }
        if frontier.size() != checkpoint.size || frontier.root() != checkpoint.root {
            return Err(damaged(
                "the log",
                format!(
                    "{} leaves, root {}",
                    checkpoint.size,
                    hex::encode(checkpoint.root)
                ),
                format!(
                    "{} leaves, root {}",
                    frontier.size(),
                    hex::encode(frontier.root())
                ),
            ));
        }
        Ok(frontier.size())
    }
}

fn check_entry(
    expected: u64,
    index: u64,
    leaf: &[u8],
    salt: &[u8],
    body: &str,
) -> Result<(), JournalError> {
    if index != expected {
        return Err(damaged(
            "the entries",
            format!("entry {expected}"),
            format!("entry {index}"),
        ));
    }
    let committed = Leaf::decode(leaf)?.commitment;
    let found = commitment(&hash(salt)?, body.as_bytes());
    if found != committed {
        return Err(damaged(
            "an entry's body",
            format!("commitment {} in entry {index}", hex::encode(committed)),
            hex::encode(found),
        ));
    }
    Ok(())
}
