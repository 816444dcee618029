//! What lies in the home.

use std::path::Path;

use super::super::{Request, chain};
use super::{fail, ok, warn};
use crate::app::open_signer;
use crate::audit::CheckpointSigner;
use crate::event::{CheckResult, Event, EventSink};
use crate::home::{Config, HomeError, HomeLock, check_private_directory, free_space};
use crate::journal::JournalReader;
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
                "station {} with {} slots",
                config.station.name,
                config.slots.len()
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

pub(super) fn audit_key(home: &Path, config: &Config) -> CheckResult {
    match open_signer(home, &config.audit) {
        Ok(CheckpointSigner::File(_)) => warn(
            "audit-key",
            "the key is a file: whoever reads it can sign in this station's name".to_owned(),
            "Fine to try things out; for a factory keep the key in a PKCS #11 token.",
        ),
        Err(error) => fail(
            "audit-key",
            chain(&error),
            "Restore the key and its permissions (0600); a new key can't continue this log.",
        ),
    }
}

/// Opens the journal beside its owner and recomputes its whole log.
pub(super) async fn journal(home: &Path, config: &Config) -> CheckResult {
    let next = "Keep the file as it is and call the maintainers: the audit log does not verify.";
    let path = home.join(&config.journal.path);
    let reader = match JournalReader::open(&path).await {
        Ok(reader) => reader,
        Err(error) => return fail("journal", chain(&error), next),
    };
    let key = open_signer(home, &config.audit)
        .and_then(|signer| signer.verifier_key(&config.station.name));
    let key = match key {
        Ok(key) => key,
        Err(error) => return fail("journal", chain(&error), next),
    };
    match reader.verify_log(&key).await {
        Ok(leaves) => ok(
            "journal",
            format!("{leaves} leaves verified under the signed checkpoint"),
        ),
        Err(error) => fail("journal", chain(&error), next),
    }
}
