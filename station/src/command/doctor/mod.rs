//! `keyline doctor`: looks at everything that a line needs, changes nothing, and says what to do.
//!
//! Each check is a function that gives one [`CheckResult`]. A check that another one makes pointless is left out.

mod authority;
mod home;
mod log_keys;
mod outside;
mod tiles;
mod witnesses;

use std::path::Path;
use std::time::Instant;

use super::CommandError;
use super::execute::elapsed_ms;
use crate::error_text::counted;
use crate::event::{CheckResult, CheckState, Event, EventSink, Summary};
use crate::exit::ExitCode;
use crate::home::read_config;

/// Makes every check and gives exit code 3 where one failed.
pub(super) async fn run(home: &Path, sink: &dyn EventSink) -> Result<Summary, CommandError> {
    let begun = Instant::now();
    let mut results = Vec::new();
    let mut without_witness = None;
    let mut tell = |result: CheckResult| {
        sink.emit(Event::Check(result.clone()));
        results.push(result);
    };
    tell(home::directory(home));
    let config = read_config(home);
    tell(home::config(&config));
    if let Ok(config) = &config {
        tell(home::owner(home).await);
        tell(home::space(home, config));
        tell(home::operator(home, config));
        tell(authority::root(home, config));
        authority::bundles(home, config)
            .await
            .into_iter()
            .for_each(&mut tell);
        let (checks, keys) = log_keys::check(home, config).await;
        checks.into_iter().for_each(&mut tell);
        tell(home::journal(home, config, &keys).await);
        if let Some(check) = home::outbox(home, config).await {
            tell(check);
        }
        tell(tiles::published(home, config).await);
        let found = witnesses::check(home, config, &keys).await;
        found.checks.into_iter().for_each(&mut tell);
        without_witness = found.without;
        tell(outside::registry(home, config).await);
        for slot in &config.slots {
            tell(outside::slot(slot).await);
        }
        if config.slots.is_empty() {
            tell(fail(
                "slots",
                "expected at least one slot in the configuration, found none".to_owned(),
                "Add a [[slot]] with its number and link before provisioning.",
            ));
        }
    }
    tell(outside::clock());
    tell(outside::secrets());
    tell(outside::probes().await);
    tell(outside::serial_ports());
    tell(outside::emulator());
    let failed = results
        .iter()
        .filter(|result| result.state == CheckState::Fail)
        .count();
    let exit_code = if failed == 0 {
        ExitCode::Success
    } else {
        ExitCode::NotReady
    };
    sink.emit(Event::Notice {
        message: match (failed, without_witness) {
            (0, None) => "The station is ready.".to_owned(),
            (0, Some(without)) => format!(
                "The station is ready; {} may still be written until the line stops, because a witness that it needs is out of reach.",
                counted(without.leaves, "leaf", "leaves")
            ),
            _ => format!(
                "The station is not ready: {}.",
                counted(failed as u64, "check failed", "checks failed")
            ),
        },
    });
    let mut summary = Summary::without_units(exit_code, elapsed_ms(begun));
    summary.home = Some(home.to_owned());
    Ok(summary)
}

fn ok(check: &str, found: String) -> CheckResult {
    CheckResult {
        check: check.to_owned(),
        state: CheckState::Ok,
        found,
        next: String::new(),
    }
}

fn warn(check: &str, found: String, next: &str) -> CheckResult {
    CheckResult {
        check: check.to_owned(),
        state: CheckState::Warn,
        found,
        next: next.to_owned(),
    }
}

fn fail(check: &str, found: String, next: &str) -> CheckResult {
    CheckResult {
        check: check.to_owned(),
        state: CheckState::Fail,
        found,
        next: next.to_owned(),
    }
}
