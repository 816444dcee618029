//! The witnesses: whether each answers, and how much of the log it has seen.

use std::path::Path;

use super::super::chain;
use super::{fail, ok, warn};
use crate::audit::{Checkpoint, Leaf, SignedNote, VerifierKey};
use crate::clock::{text, wall_ms};
use crate::cosign::policy_of;
use crate::error_text::counted;
use crate::event::CheckResult;
use crate::home::{Config, WitnessConfig};
use crate::journal::JournalReader;
use crate::witness::{WitnessClient, WitnessError};

const HOUR_MS: u64 = 3_600_000;

/// What was found of the witnesses.
#[derive(Default)]
pub(super) struct Found {
    pub(super) checks: Vec<CheckResult>,
    /// One that the line needs is out of reach: how far it may go without.
    pub(super) without: Option<Allowance>,
}

impl From<CheckResult> for Found {
    fn from(check: CheckResult) -> Self {
        Self {
            checks: vec![check],
            without: None,
        }
    }
}

/// How far the log may still run ahead of its witnesses.
#[derive(Clone, Copy)]
pub(super) struct Allowance {
    pub(super) leaves: u64,
    /// Until when, in milliseconds since 1970, as long as nobody sets the clock; `None` where nothing is unwitnessed yet.
    until_ms: Option<u64>,
}

impl Allowance {
    /// `None` where no run may begin any more, as far as the journal says.
    async fn of(home: &Path, config: &Config, keys: &[VerifierKey]) -> Option<Self> {
        let journal = JournalReader::open(&home.join(&config.journal.path)).await;
        let journal = journal.ok()?;
        let policy = policy_of(&config.audit, keys).ok()?;
        let witnessed = journal.witnessed_checkpoint(|note| policy.check(note).is_ok());
        // What no witness has seen at all must not grow.
        let witnessed = leaves_under(&witnessed.await.ok()??)
            .ok()
            .filter(|size| *size > 0)?;
        let size = leaves_under(&journal.latest_checkpoint().await.ok()?).ok()?;
        let ahead = size.saturating_sub(witnessed);
        let leaves = config.audit.ahead_leaves_max.checked_sub(ahead)?;
        let until_ms = if ahead == 0 {
            None
        } else {
            let first = journal.leaves(witnessed, 1).await.ok()?;
            let made_ms = Leaf::decode(first.first()?).ok()?.wall_ms;
            let until_ms = made_ms.saturating_add(config.audit.ahead_hours_max * HOUR_MS);
            Some(Some(until_ms).filter(|until_ms| *until_ms > wall_ms())?)
        };
        Some(Self { leaves, until_ms })
    }

    /// In words, after what is wrong.
    fn words(self) -> String {
        let until = self
            .until_ms
            .map_or_else(String::new, |ms| format!(", and until {}", text(ms)));
        format!(
            "the line may go on without: {} may still be written until it stops{until}",
            counted(self.leaves, "leaf", "leaves")
        )
    }
}

/// Asks every witness for the latest checkpoint of this log that it has cosigned. Nothing is shown to it.
pub(super) async fn check(home: &Path, config: &Config, keys: &[VerifierKey]) -> Found {
    let witnesses = &config.audit.witnesses;
    if witnesses.is_empty() {
        return warn(
            "witnesses",
            "nobody outside of the home vouches for its log: an old copy put back is not noticed, and nothing can be shipped".to_owned(),
            "Fine to try things out; for a factory name witnesses in the configuration ([[audit.witness]]), one of them outside.",
        )
        .into();
    }
    let size = match size_of(home, config).await {
        Ok(size) => size,
        Err(words) => {
            return fail("witnesses", words, "Run `keyline audit verify --deep`.").into();
        }
    };
    let mut found = Found::default();
    for (index, witness) in witnesses.iter().enumerate() {
        let check = format!("witness-{}", index + 1);
        let needed = witness.required || config.audit.cosignatures_min > 0;
        let asked = ask(witness, &config.station.name).await;
        let away = matches!(asked, Err(WitnessError::Unreachable { .. })) && needed;
        let without = if away {
            Allowance::of(home, config, keys).await
        } else {
            None
        };
        found.without = found.without.or(without);
        found.checks.push(match asked {
            Ok((client, note)) => {
                let name = client.key().name();
                let weighed = weigh(&check, name, note.as_deref(), keys, size);
                match asked_again(home, config, &client, note.as_deref(), size).await {
                    Some(error) if needed => fail(&check, chain(&error), error.next()),
                    Some(error) => warn(&check, chain(&error), error.next()),
                    None => weighed,
                }
            }
            Err(error) => match without {
                Some(without) => {
                    let words = format!("{}; {}", chain(&error), without.words());
                    warn(&check, words, error.next())
                }
                None if needed => fail(&check, chain(&error), error.next()),
                None => warn(&check, chain(&error), error.next()),
            },
        });
    }
    found
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
