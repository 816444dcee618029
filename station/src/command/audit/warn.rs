//! What to warn of before a file is made of a home's log: that somebody has seen more of it, or that its registry is gone.

use std::path::PathBuf;

use super::super::CommandError;
use super::open::OpenLog;
use crate::audit::{Checkpoint, SignedNote};
use crate::dossier::make::size_of;
use crate::event::{Event, EventSink};
use crate::registry::Registry;
use crate::witness::WitnessClient;

/// Warns where a witness or the registry has seen more of the log than the home has: it is an old copy. Who does not answer is left out.
pub(super) async fn warn_of_more(
    log: &OpenLog,
    registry: Option<&Registry>,
    sink: &dyn EventSink,
) -> Result<(), CommandError> {
    let origin = &log.config.station.name;
    let keys = log.every_key().await?;
    let here = size_of(&log.journal.latest_checkpoint().await?);
    let here = here.map_err(super::open::log_refused)?;
    let mut seen: Vec<(String, u64)> = Vec::new();
    for config in &log.config.audit.witnesses {
        let Ok(client) = WitnessClient::new(config) else {
            continue;
        };
        if let Ok(Some(note)) = client.latest_checkpoint(origin).await
            && let Ok(checkpoint) = Checkpoint::verify_any(&note, &keys)
        {
            let name = format!("the witness {}", client.key().name());
            seen.push((name, checkpoint.size));
        }
    }
    if let Some(registry) = registry
        && let Ok(Some(entered)) = registry.latest_checkpoint(origin).await
        && SignedNote::parse(&entered.note).is_ok()
    {
        seen.push(("the registry".to_owned(), entered.size));
    }
    for (who, size) in seen.into_iter().filter(|(_, size)| *size > here) {
        sink.emit(Event::Warning {
            message: format!(
                "{who} has seen {size} leaves of this log, the home has {here}: it is an old copy, and what happened since is not in the file"
            ),
            next: "Keep the home as it is, make the file at the station itself, and see `keyline station replace`.".to_owned(),
        });
    }
    Ok(())
}

/// Warns where the checkpoint that a file is under has not the cosignatures that the configuration asks for.
pub(super) async fn warn_of_quorum(
    log: &OpenLog,
    note: &str,
    sink: &dyn EventSink,
) -> Result<(), CommandError> {
    let policy = log.policy_with_every_key().await?;
    if let Err(error) = policy.check(note) {
        sink.emit(Event::Warning {
            message: format!(
                "the file is under a checkpoint that the station's own policy does not accept: {}",
                super::super::chain(&error)
            ),
            next: "Bring the witnesses in reach (`keyline doctor` names those that do not cosign), then make the file again.".to_owned(),
        });
    }
    Ok(())
}

/// The registry's file, where it is missing and the log says that keys were pinned in it: how many.
pub(super) async fn missing_registry(
    log: &OpenLog,
) -> Result<Option<(PathBuf, u64)>, CommandError> {
    match crate::home::missing_registry_file(&log.home, &log.config.registry.url) {
        Some(path) => {
            let pinned = log.journal.pinned_count().await?;
            Ok((pinned > 0).then_some((path, pinned)))
        }
        None => Ok(None),
    }
}
