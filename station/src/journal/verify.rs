//! Recomputing the log from its entries.

use super::error::database;
use super::row::{damaged, hash, unsigned};
use super::verify_keys::KeyChanges;
use super::{JournalError, JournalReader};
use crate::audit::{Checkpoint, Frontier, Leaf, VerifierKey, commitment, leaf_hash};

/// How many entries are held in memory at a time.
const PAGE: i64 = 4_096;

impl JournalReader {
    /// Recomputes the whole tree from the entries, opens every commitment, and holds the root against the tree head, which one of `keys`
    /// must have signed: those whom the caller trusts. The keys in force must be those that the leaves say, and all of them must have
    /// signed. Gives the number of leaves. Takes as long as the log is; memory stays flat.
    ///
    /// # Errors
    /// [`JournalError::Damaged`] that names the first entry that does not fit, [`JournalError::Audit`] where the checkpoint does not
    /// verify.
    pub async fn verify_log(&self, keys: &[VerifierKey]) -> Result<u64, JournalError> {
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
        let checkpoint = Checkpoint::verify_any(&note, keys)?;
        let mut key_changes = KeyChanges::default();
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
                let kind = check_entry(frontier.size(), unsigned(index)?, &leaf, &salt, &body)?;
                key_changes.take(frontier.size(), kind, &body)?;
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
        key_changes.check(&mut snapshot, &note).await?;
        Ok(frontier.size())
    }
}

/// Checks one entry and gives its kind.
fn check_entry<'l>(
    expected: u64,
    index: u64,
    leaf: &'l [u8],
    salt: &[u8],
    body: &str,
) -> Result<&'l str, JournalError> {
    if index != expected {
        return Err(damaged(
            "the entries",
            format!("entry {expected}"),
            format!("entry {index}"),
        ));
    }
    let decoded = Leaf::decode(leaf)?;
    let committed = decoded.commitment;
    let found = commitment(&hash(salt)?, body.as_bytes());
    if found != committed {
        return Err(damaged(
            "an entry's body",
            format!("commitment {} in entry {index}", hex::encode(committed)),
            hex::encode(found),
        ));
    }
    Ok(decoded.kind)
}
