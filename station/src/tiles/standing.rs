//! How what is published stands to the journal, for whoever looks from outside.

use super::directory::TileDirectory;
use super::error::TilesError;
use super::reader::keys_of;
use super::recompute::recompute;
use super::trunk::{blocking, unverified};
use crate::audit::Checkpoint;
use crate::journal::JournalReader;

/// A line may be running beside whoever looks.
const THREADS: usize = 1;

/// How what is published stands to the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// How many leaves are published; 0 where nothing is.
    pub published: u64,
    /// How many leaves the journal has.
    pub journal: u64,
    /// How many published files are missing or damaged.
    pub faults: u64,
    /// The first of them, by its path below the directory.
    pub first: Option<String>,
}

/// Reads everything that is published again and holds it against the journal. Nothing is changed.
///
/// # Errors
/// [`TilesError::Contradiction`] where a key of the log signed a published tree that the journal does not have; others where the journal can't
/// be read.
pub async fn standing(
    directory: &TileDirectory,
    journal: &JournalReader,
) -> Result<Standing, TilesError> {
    // What is published first: it is never ahead of a journal that is read after it.
    let keys = keys_of(journal).await?;
    let (of, by) = (directory.clone(), keys.clone());
    let found = blocking(move || recompute(&of, &by, THREADS)).await?;
    let head = Checkpoint::verify_any(&journal.latest_checkpoint().await?, &keys)?;
    let Ok(found) = found else {
        // No checkpoint, or none of this log: the next publisher begins anew.
        return Ok(Standing {
            published: 0,
            journal: head.size,
            faults: u64::from(directory.checkpoint().is_some()),
            first: directory.checkpoint().map(|_| "checkpoint".to_owned()),
        });
    };
    let published = found.checkpoint.size;
    let known = journal.checkpoint_of(published).await?;
    let known = known.map(|note| unverified(&note)).transpose()?;
    if known.is_none_or(|known| known.root != found.checkpoint.root) {
        return Err(TilesError::Contradiction {
            published,
            journal: head.size,
        });
    }
    Ok(Standing {
        published,
        journal: head.size,
        faults: found.faults,
        first: found.named.into_iter().next(),
    })
}
