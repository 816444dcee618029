//! What lies in the home.

use std::path::Path;

use super::super::{Request, chain};
use super::{fail, ok, warn};
use crate::audit::{AuditError, VerifierKey};
use crate::error_text::counted;
use crate::event::{CheckResult, Event, EventSink};
use crate::home::{Config, Home, HomeError, HomeLock, check_private_directory, free_space};
use crate::journal::{JournalReader, LogKey};
use crate::operator::Token;
use crate::socket::{self, Answer};
use crate::stop::Stop;

/// Drops what the owner tells beside its summary.
struct Silent;

impl EventSink for Silent {
    fn emit(&self, _: Event) {}
}

pub(super) fn directory(home: &Path) -> CheckResult {
    if !home.exists() {
        let missing = HomeError::Missing {
            path: home.to_owned(),
        };
        return fail("home", missing.to_string(), missing.next());
    }
    if let Err(error) = Home::check_not_replaced(home) {
        return fail("home", chain(&error), error.next());
    }
    match check_private_directory(home) {
        Ok(()) => ok("home", format!("{} is this user's alone", home.display())),
        Err(error) => fail("home", chain(&error), error.next()),
    }
}

pub(super) fn config(config: &Result<Config, HomeError>) -> CheckResult {
    match config {
        Ok(config) => ok(
            "config",
            format!(
                "station {} with {}",
                config.station.name,
                counted(config.slots.len() as u64, "slot", "slots")
            ),
        ),
        Err(error) => fail("config", chain(error), error.next()),
    }
}

/// Whether somebody owns the home, and whether he answers.
pub(super) async fn owner(home: &Path) -> CheckResult {
    let error = match HomeLock::take(home) {
        Ok(_) => {
            return ok(
                "owner",
                "no process owns the home, it can be opened".to_owned(),
            );
        }
        Err(error @ HomeError::Owned { .. }) => error,
        Err(error) => return fail("owner", chain(&error), error.next()),
    };
    match socket::call(home, None, Request::Ping, &Silent, &Stop::new()).await {
        Ok(Answer::Done(_)) => ok("owner", format!("{error}, which answers")),
        Ok(Answer::NotBegun) => ok("owner", format!("{error}, which is just ending")),
        Err(refused) => warn(
            "owner",
            format!("{error}: {}", chain(&refused)),
            refused.next(),
        ),
    }
}

pub(super) fn space(home: &Path, config: &Config) -> CheckResult {
    let expected_mib = config.line.free_space_min_mib;
    match free_space(home) {
        Ok(bytes) => {
            let found_mib = bytes / (1024 * 1024);
            let found = format!("{found_mib} MiB free");
            let next = "Make room on the home's disk.";
            if found_mib < expected_mib {
                fail(
                    "disk",
                    format!("{found}, expected {expected_mib} MiB"),
                    next,
                )
            } else if found_mib < expected_mib.saturating_mul(4) {
                warn("disk", found, next)
            } else {
                ok("disk", found)
            }
        }
        Err(error) => fail("disk", chain(&error), error.next()),
    }
}

pub(super) fn operator(home: &Path, config: &Config) -> CheckResult {
    let path = home.join(&config.operator.token_file);
    let next = "Each command then needs --operator-token FILE.";
    if !path.exists() {
        return warn("operator", format!("no token at {}", path.display()), next);
    }
    match Token::read(&path) {
        Ok(_) => ok(
            "operator",
            format!(
                "whoever reaches {} acts in its operator's name",
                path.display()
            ),
        ),
        Err(error) => fail(
            "operator",
            chain(&error),
            "Restore the token's file with mode 0600.",
        ),
    }
}

/// Opens the journal beside its owner and recomputes its whole log. `keys` are those that the configuration names and that could be
/// opened: the log must be signed by them, and those in force must be among them.
pub(super) async fn journal(home: &Path, config: &Config, keys: &[VerifierKey]) -> CheckResult {
    let next = "Keep the file as it is and call the maintainers: the audit log does not verify.";
    let path = home.join(&config.journal.path);
    let reader = match JournalReader::open(&path).await {
        Ok(reader) => reader,
        Err(error) => return fail("journal", chain(&error), next),
    };
    let log_keys = match reader.log_keys().await {
        Ok(log_keys) => log_keys.into_iter().filter(LogKey::in_force),
        Err(error) => return fail("journal", chain(&error), next),
    };
    let in_force: Vec<_> = log_keys.map(|key| key.key).collect();
    let missing = in_force.iter().find(|key| !keys.contains(key));
    // Without the configured keys all that can be said is that the journal is consistent with the keys that it names itself.
    let trusted = if keys.is_empty() { &in_force } else { keys };
    let leaves = match reader.verify_log(trusted).await {
        Ok(leaves) => leaves,
        Err(error) => return fail("journal", chain(&error), next),
    };
    let found = format!("{leaves} leaves verified under the signed checkpoint");
    match missing {
        None => ok("journal", found),
        Some(_) if keys.len() < config.audit.keys.len() => warn(
            "journal",
            format!("{found}, but not against every key in force: one could not be opened"),
            "Do first what the check of the key says, then look again.",
        ),
        Some(missing) => {
            let error = AuditError::KeyNotAtHand {
                key: missing.to_string(),
            };
            fail("journal", chain(&error), error.next())
        }
    }
}

/// How much is held, and since when; `None` where the journal can't be read, which its own check says.
pub(super) async fn outbox(home: &Path, config: &Config) -> Option<CheckResult> {
    let path = home.join(&config.journal.path);
    let reader = JournalReader::open(&path).await.ok()?;
    let waiting = reader.outbox().await.ok()?;
    Some(match waiting.since_ms {
        None => ok("outbox", "no unit is held".to_owned()),
        Some(since_ms) => warn(
            "outbox",
            format!(
                "{} units are held, the oldest since {}",
                waiting.units,
                crate::clock::text(since_ms)
            ),
            "Bring the registry in reach, then run `keyline sync`.",
        ),
    })
}
