//! The published tree of the audit log.

use std::path::Path;

use super::super::chain;
use super::{fail, ok, warn};
use crate::event::CheckResult;
use crate::home::{Config, HomeLock};
use crate::journal::JournalReader;
use crate::tiles::{Standing, TILE_DIRECTORY, TileDirectory, TilesError, standing};

/// Reads everything that is published again and holds it against the journal.
pub(super) async fn published(home: &Path, config: &Config) -> CheckResult {
    let standing = match look(home, config).await {
        Ok(standing) => standing,
        Err(error @ TilesError::Contradiction { .. }) => {
            return fail("tiles", chain(&error), error.next());
        }
        Err(error) => return warn("tiles", chain(&error), error.next()),
    };
    let owned = HomeLock::take(home).is_err();
    let found = format!(
        "{} of {} leaves are published under {}",
        standing.published,
        standing.journal,
        home.join(TILE_DIRECTORY).display()
    );
    match standing {
        Standing {
            faults: 0,
            published,
            journal,
            ..
        } if owned || published == journal => ok("tiles", found),
        Standing { faults: 0, .. } => warn(
            "tiles",
            found,
            "The rest is published when the station next runs. If it is not, make room on the disk and look into the log.",
        ),
        Standing { faults, first, .. } => warn(
            "tiles",
            format!(
                "{found}, and {faults} files are missing or damaged, the first is {}",
                first.unwrap_or_default()
            ),
            "They are made anew from the journal while the station runs; nothing is lost. If it comes again, check the disk.",
        ),
    }
}

async fn look(home: &Path, config: &Config) -> Result<Standing, TilesError> {
    let journal = JournalReader::open(&home.join(&config.journal.path)).await?;
    let directory = TileDirectory::new(home.join(TILE_DIRECTORY));
    standing(&directory, &journal).await
}
