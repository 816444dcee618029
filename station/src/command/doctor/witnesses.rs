//! The witnesses: whether each answers, and how much of the log it has seen.

use std::path::Path;

use super::super::chain;
use super::{fail, ok, warn};
use crate::audit::{Checkpoint, SignedNote, VerifierKey};
use crate::event::CheckResult;
use crate::home::{Config, WitnessConfig};
use crate::journal::JournalReader;
use crate::witness::{WitnessClient, WitnessError};

/// Asks every witness for the latest checkpoint of this log that it has cosigned. Nothing is shown to it.
pub(super) async fn check(home: &Path, config: &Config, keys: &[VerifierKey]) -> Vec<CheckResult> {
    let witnesses = &config.audit.witnesses;
    if witnesses.is_empty() {
        return vec![warn(
            "witnesses",
            "nobody outside of the home vouches for its log: an old copy put back is not noticed, and nothing can be shipped".to_owned(),
            "Fine to try things out; for a factory name witnesses in the configuration ([[audit.witness]]), one of them outside.",
        )];
    }
    let size = match size_of(home, config).await {
        Ok(size) => size,
        Err(words) => {
            return vec![fail(
                "witnesses",
                words,
                "Run `keyline audit verify --deep`.",
            )];
        }
    };
    let mut results = Vec::with_capacity(witnesses.len());
    for (index, witness) in witnesses.iter().enumerate() {
        let check = format!("witness-{}", index + 1);
        let needed = witness.required || config.audit.cosignatures_min > 0;
        let asked = ask(witness, &config.station.name).await;
        results.push(match asked {
            Ok((client, note)) => {
                let name = client.key().name();
                let weighed = weigh(&check, name, note.as_deref(), keys, size);
                match asked_again(home, config, &client, note.as_deref(), size).await {
                    Some(error) if needed => fail(&check, chain(&error), error.next()),
                    Some(error) => warn(&check, chain(&error), error.next()),
                    None => weighed,
                }
            }
            Err(error) if needed => fail(&check, chain(&error), error.next()),
            Err(error) => warn(&check, chain(&error), error.next()),
        });
    }
    results
}

/// How many leaves the log has here.
async fn size_of(home: &Path, config: &Config) -> Result<u64, String> {
    let read = async {
        let journal = JournalReader::open(&home.join(&config.journal.path)).await?;
        Ok::<_, crate::journal::JournalError>(leaves_under(&journal.latest_checkpoint().await?)?)
    };
    read.await.map_err(|error| chain(&error))
}

fn leaves_under(note: &str) -> Result<u64, crate::audit::AuditError> {
    Ok(Checkpoint::parse(&SignedNote::parse(note)?.text)?.size)
}

/// Has a witness that is behind cosign again what it has cosigned, under the keys that are in force now: it learns nothing, and says
/// whether it still trusts this log. Gives its refusal.
async fn asked_again(
    home: &Path,
    config: &Config,
    client: &WitnessClient,
    note: Option<&str>,
    size: u64,
) -> Option<WitnessError> {
    let seen = leaves_under(note?).ok().filter(|seen| *seen < size)?;
    let journal = JournalReader::open(&home.join(&config.journal.path)).await;
    let journal = journal.ok()?;
    let mut own = SignedNote::parse(&journal.checkpoint_of(seen).await.ok()??).ok()?;
    let keys = journal.log_keys().await.ok()?;
    own.signatures.retain(|line| {
        keys.iter()
            .filter(|key| key.in_force())
            .any(|known| known.key.name() == line.name && known.key.key_id() == line.key_id)
    });
    if own.signatures.is_empty() {
        return None;
    }
    match client.add_checkpoint(seen, &[], &own.to_string()).await {
        Err(error @ (WitnessError::LogKeyRefused { .. } | WitnessError::UnknownLog { .. })) => {
            Some(error)
        }
        _ => None,
    }
}

/// The witness and the latest checkpoint of this log that it has cosigned.
async fn ask(
    witness: &WitnessConfig,
    origin: &str,
) -> Result<(WitnessClient, Option<String>), WitnessError> {
    let client = WitnessClient::new(witness)?;
    let note = client.latest_checkpoint(origin).await?;
    Ok((client, note))
}

/// What a witness has seen, beside what the journal has.
fn weigh(
    check: &str,
    name: &str,
    note: Option<&str>,
    keys: &[VerifierKey],
    size: u64,
) -> CheckResult {
    let Some(note) = note else {
        return warn(
            check,
            format!("{name} answers, and has never cosigned this log"),
            "Have it trust the log's key (`keyline witness trust`); it is shown the log when the station next runs.",
        );
    };
    match Checkpoint::verify_any(note, keys) {
        Err(error) => fail(
            check,
            format!(
                "{name} has cosigned a log of this name that is not this one: {}",
                chain(&error)
            ),
            "Find the other station of this name: each needs a name of its own.",
        ),
        Ok(seen) if seen.size > size => fail(
            check,
            format!(
                "{name} has cosigned {} leaves of this log, the journal has {size}",
                seen.size
            ),
            "The home was put back from an old copy: keep it as it is, and see `keyline station replace`.",
        ),
        Ok(seen) => ok(
            check,
            format!("{name} has cosigned {} of {size} leaves", seen.size),
        ),
    }
}
