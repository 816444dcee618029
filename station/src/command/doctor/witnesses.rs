//! The witnesses: whether each answers, and how much of the log it has seen.

use std::path::Path;

use super::super::chain;
use super::{fail, ok, warn};
use crate::audit::{Checkpoint, SignedNote};
use crate::event::CheckResult;
use crate::home::{Config, WitnessConfig};
use crate::journal::JournalReader;
use crate::witness::WitnessClient;

/// Asks every witness for the latest checkpoint of this log that it has cosigned. Nothing is shown to it.
pub(super) async fn check(home: &Path, config: &Config) -> Vec<CheckResult> {
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
        results.push(one(&check, witness, &config.station.name, size).await);
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

async fn one(check: &str, witness: &WitnessConfig, origin: &str, size: u64) -> CheckResult {
    let answer = match WitnessClient::new(witness) {
        Ok(client) => (client.latest_checkpoint(origin).await)
            .map(|note| (client.key().name().to_owned(), note)),
        Err(error) => Err(error),
    };
    let (name, note) = match answer {
        Ok(answer) => answer,
        Err(error) if witness.required => return fail(check, chain(&error), error.next()),
        Err(error) => return warn(check, chain(&error), error.next()),
    };
    let seen = match note.as_deref().map(leaves_under).transpose() {
        Ok(seen) => seen,
        Err(error) => {
            let words = format!("{name}: {}", chain(&error));
            return fail(check, words, "Ask whoever runs the witness.");
        }
    };
    match seen {
        None => warn(
            check,
            format!("{name} answers, and has never cosigned this log"),
            "Have it trust the log's key (`keyline witness trust`); it is shown the log when the station next runs.",
        ),
        Some(seen) if seen > size => fail(
            check,
            format!("{name} has cosigned {seen} leaves of this log, the journal has {size}"),
            "The home was put back from an old copy: keep it as it is, and see `keyline station replace`.",
        ),
        Some(seen) => ok(
            check,
            format!("{name} has cosigned {seen} of {size} leaves"),
        ),
    }
}
