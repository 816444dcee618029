//! `keyline audit verify --deep`: the whole station, held against itself, the registry and the witnesses.

use super::super::{CommandError, chain};
use super::open::OpenLog;
use super::outside::Outside;
use super::warn;
use crate::audit::{TrustPolicy, VerifierKey};
use crate::error_text::counted;
use crate::event::{CheckResult, CheckState, Event, EventSink, VerdictView};
use crate::exit::ExitCode;
use crate::reconcile::{self, Finding, Inputs, Report, Scope, Severity};
use crate::tiles::{Standing, TILE_DIRECTORY, TileDirectory, TilesError, standing};

/// Verifies everything and tells each finding as it is found.
pub(super) async fn run(
    log: &OpenLog,
    policy: Option<&TrustPolicy>,
    offline: bool,
    sink: &dyn EventSink,
) -> Result<ExitCode, CommandError> {
    let origin = &log.config.station.name;
    let keys = trusted(log, policy, origin, sink).await?;
    let mut outside = Outside::default();
    let registry = if offline {
        outside.left_out("the registry and the witnesses were left out, as was asked for");
        None
    } else {
        outside.ask_witnesses(log, policy, origin).await;
        if let Some((path, pinned)) = warn::missing_registry(log).await? {
            outside.registry_missing(path, pinned);
        }
        match log.registry().await {
            Ok(registry) => Some(registry),
            Err(words) => {
                outside.left_out(&format!("the registry was not asked: {words}"));
                None
            }
        }
    };
    if let Some(policy) = policy {
        outside.find_witnessed(log, policy).await?;
    }
    let failures = outside.failures();
    for check in outside.checks {
        sink.emit(Event::Check(check));
    }
    let inputs = Inputs {
        journal: &log.journal,
        keys: &keys,
        origin,
        station: log.config.station.id,
        registry: registry.as_ref(),
        known: &outside.known,
        scope: Scope::Everything,
        scratch: None,
    };
    let report = reconcile::deep(inputs, &mut |finding| {
        sink.emit(Event::Check(check(finding)));
    })
    .await;
    if let Some(registry) = registry {
        registry.close().await;
    }
    let report = report?;
    let tiles = published(log, sink).await;
    let holds = report.holds() && failures == 0 && tiles;
    if holds {
        for check in parts(&report, outside.known.len() as u64) {
            sink.emit(Event::Check(check));
        }
    }
    let mut result = report.words();
    if failures > 0 {
        result = format!("{result}; {failures} checks of what is outside failed");
    }
    if !tiles {
        result = format!("{result}; the published log is damaged");
    }
    sink.emit(Event::Verdict(Box::new(VerdictView {
        path: log.home.clone(),
        what: "station".to_owned(),
        subject: origin.clone(),
        result,
        holds,
        checks: Vec::new(),
    })));
    Ok(if holds {
        ExitCode::Success
    } else {
        ExitCode::AuditRefused
    })
}

/// Reads everything that is published again and tells what is missing, damaged or contradicts the journal; whether nothing is.
async fn published(log: &OpenLog, sink: &dyn EventSink) -> bool {
    let directory = TileDirectory::new(log.home.join(TILE_DIRECTORY));
    let tell = |code: &str, state, found: String, next: &str| {
        sink.emit(Event::Check(CheckResult {
            check: code.to_owned(),
            state,
            found,
            next: next.to_owned(),
        }));
    };
    match standing(&directory, &log.journal).await {
        Ok(Standing { faults: 0, .. }) => true,
        Ok(Standing { faults, first, .. }) => {
            let found = format!(
                "{}: {} of the published log missing or damaged, the first is {}",
                log.home.join(TILE_DIRECTORY).display(),
                counted(faults, "file is", "files are"),
                first.unwrap_or_default()
            );
            let next = "They are made anew from the journal while the station runs, and nothing is lost; find out who or what damaged them.";
            tell("tiles-damaged", CheckState::Fail, found, next);
            false
        }
        Err(error @ TilesError::Contradiction { .. }) => {
            tell(
                "tiles-differ",
                CheckState::Fail,
                chain(&error),
                error.next(),
            );
            false
        }
        // What is wrong with the journal is told by the verification itself.
        Err(error) => {
            tell(
                "tiles-not-read",
                CheckState::Warn,
                chain(&error),
                error.next(),
            );
            true
        }
    }
}

/// The keys to begin with: those of the policy, or, with a warning, the one that the home says the log began with.
async fn trusted(
    log: &OpenLog,
    policy: Option<&TrustPolicy>,
    origin: &str,
    sink: &dyn EventSink,
) -> Result<Vec<VerifierKey>, CommandError> {
    if let Some(policy) = policy {
        let mut keys = policy.log_keys();
        let names: Vec<_> = keys.iter().map(|key| key.name().to_owned()).collect();
        keys.retain(|key| key.name() == origin);
        if keys.is_empty() {
            return Err(CommandError::Advice {
                message: format!(
                    "expected a policy of the log {origin}, got one of {}",
                    names.join(", ")
                ),
                next: format!("Give the policy of the log {origin}."),
            });
        }
        return Ok(keys);
    }
    sink.emit(Event::Warning {
        message: "whom to trust was taken from the home itself: whoever wrote the home may have chosen the key too".to_owned(),
        next: "Give the policy that you were handed by another way: --policy FILE.".to_owned(),
    });
    let keys = log.journal.log_keys().await?.into_iter();
    let first = keys.filter(|key| key.added_at.is_none());
    Ok(first.map(|key| key.key).collect())
}

/// What was looked at and holds, one line a part.
fn parts(report: &Report, witnesses: u64) -> Vec<CheckResult> {
    let ok = |check: &str, found: String| CheckResult {
        check: check.to_owned(),
        state: CheckState::Ok,
        found,
        next: String::new(),
    };
    let mut parts = vec![
        ok(
            "tree",
            format!(
                "{} hashed again, {} verified against the root and the keys of their time",
                counted(report.leaves, "leaf", "leaves"),
                counted(report.checkpoints, "checkpoint", "checkpoints")
            ),
        ),
        ok(
            "times",
            "clocks keep pace with each other, or a leaf says that they were set".to_owned(),
        ),
    ];
    if report.tables_compared {
        parts.push(ok(
            "tables",
            "the journal's tables are what the log amounts to".to_owned(),
        ));
        parts.push(ok(
            "evidence",
            format!(
                "the signatures and nonces of {} verify",
                counted(report.units, "unit", "units")
            ),
        ));
    }
    if report.registry_asked && report.tables_compared {
        parts.push(ok(
            "registry",
            format!(
                "{}, each as the log says",
                counted(report.claims, "key", "keys")
            ),
        ));
    }
    if witnesses > 0 {
        parts.push(ok(
            "outside",
            format!(
                "this log continues what {} cosigned",
                counted(witnesses, "witness has", "witnesses have")
            ),
        ));
    }
    parts
}

fn check(finding: Finding) -> CheckResult {
    CheckResult {
        check: finding.code.to_string(),
        state: match finding.severity {
            Severity::Violation => CheckState::Fail,
            Severity::Gap => CheckState::Warn,
            Severity::Explained => CheckState::Ok,
        },
        found: format!("{}: {}", finding.place, finding.message),
        next: finding.next,
    }
}
