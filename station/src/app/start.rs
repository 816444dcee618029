//! What the log says when the software begins to own a home: its version, the machine's start, and the configuration.

use sha2::{Digest as _, Sha256};

use super::AppError;
use crate::home::{Home, config_text};
use crate::journal::{Journal, JournalReader};
use crate::record::Change;

/// Commits that the software has started and, where the log does not know it yet, under which configuration.
///
/// # Errors
/// [`AppError`] where the configuration can't be read or the journal refuses.
pub(super) async fn record(
    home: &Home,
    journal: &Journal,
    interrupted: usize,
) -> Result<(), AppError> {
    // What the software made of the file, not the file: comments say what they like, and a hash of them could be guessed from.
    let text = config_text(home.path(), home.config())?;
    let configuration = hex::encode(Sha256::digest(&text));
    let mut changes = Vec::new();
    if last_configuration(journal).await?.as_ref() != Some(&configuration) {
        changes.push(Change::ConfigurationChanged { text });
    }
    changes.push(Change::Started {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        boot_id: boot_id(),
        interrupted_runs: u32::try_from(interrupted).unwrap_or(u32::MAX),
        configuration,
    });
    journal.commit(changes).await?;
    Ok(())
}

/// The digest of the configuration under which the software ran last; `None` where that is not known.
async fn last_configuration(journal: &JournalReader) -> Result<Option<String>, AppError> {
    let latest = journal.latest_start().await?;
    Ok(latest.and_then(|change| match change {
        Change::Started { configuration, .. } => Some(configuration),
        _ => None,
    }))
}

/// The kernel's boot id, so that an auditor can tell one uptime from the next; empty where the kernel has none.
fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map(|text| text.trim().to_owned())
        .unwrap_or_default()
}
