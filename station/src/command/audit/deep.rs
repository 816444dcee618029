//! `keyline audit verify --deep`: the whole station, held against itself, the registry and the witnesses.

use std::path::PathBuf;

use super::super::CommandError;
use super::open::OpenLog;
use super::outside;
use crate::app::{AppError, REGISTRY_MISSING_NEXT};
use crate::audit::{TrustPolicy, VerifierKey};
use crate::error_text::{chain, counted};
use crate::event::{CheckResult, CheckState, Event, EventSink, VerdictView};
use crate::exit::ExitCode;
use crate::reconcile::{self, Finding, Inputs, KnownCheckpoint, Report, Scope, Severity};
use crate::witness::WitnessClient;

/// Verifies everything and tells each finding as it is found.
pub(super) async fn run(
    log: &OpenLog,
    policy: Option<&TrustPolicy>,
    offline: bool,
    sink: &dyn EventSink,
) -> Result<ExitCode, CommandError> {
    let origin = &log.config.station.name;
    let keys = trusted(log, policy, origin, sink).await?;
    let mut known = Outside::default();
    let registry = if offline {
        known.left_out("the registry and the witnesses were left out, as was asked for");
        None
    } else {
        known.ask_witnesses(log, origin).await;
        if let Some((path, pinned)) = outside::missing_registry(log).await? {
            known.registry_missing(path, pinned);
        }
        match log.registry().await {
            Ok(registry) => Some(registry),
            Err(words) => {
                known.left_out(&format!("the registry was not asked: {words}"));
                None
            }
        }
    };
    let registry_missing = known.registry_missing;
    for check in known.checks {
        sink.emit(Event::Check(check));
    }
    let inputs = Inputs {
        journal: &log.journal,
        keys: &keys,
        origin,
        station: log.config.station.id,
        registry: registry.as_ref(),
        known: &known.known,
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
    let holds = report.holds() && !registry_missing;
    if holds {
        for check in parts(&report, known.known.len() as u64) {
            sink.emit(Event::Check(check));
        }
    }
    sink.emit(Event::Verdict(Box::new(VerdictView {
        path: log.home.clone(),
        what: "station".to_owned(),
        subject: origin.clone(),
        result: report.words(),
        holds,
        checks: Vec::new(),
    })));
    Ok(if holds {
        ExitCode::Success
    } else {
        ExitCode::AuditRefused
    })
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

/// What is known of the log outside of the home.
#[derive(Default)]
struct Outside {
    known: Vec<KnownCheckpoint>,
    checks: Vec<CheckResult>,
    registry_missing: bool,
}

impl Outside {
    /// The registry's file is gone, and with it the pins of which the log speaks.
    fn registry_missing(&mut self, path: PathBuf, pinned: u64) {
        self.registry_missing = true;
        self.checks.push(CheckResult {
            check: "registry-missing".to_owned(),
            state: CheckState::Fail,
            found: AppError::RegistryMissing { path, pinned }.to_string(),
            next: REGISTRY_MISSING_NEXT.to_owned(),
        });
    }

    fn left_out(&mut self, words: &str) {
        self.checks.push(CheckResult {
            check: "outside".to_owned(),
            state: CheckState::Warn,
            found: words.to_owned(),
            next: "What nobody outside has seen, nobody outside can vouch for.".to_owned(),
        });
    }

    /// The latest checkpoint that each witness has cosigned.
    async fn ask_witnesses(&mut self, log: &OpenLog, origin: &str) {
        for config in &log.config.audit.witnesses {
            let client = match WitnessClient::new(config) {
                Ok(client) => client,
                Err(error) => {
                    self.left_out(&chain(&error));
                    continue;
                }
            };
            match client.latest_checkpoint(origin).await {
                Ok(Some(note)) => self.known.push(KnownCheckpoint {
                    source: format!("witness {}", client.key().name()),
                    note,
                }),
                Ok(None) => self.left_out(&format!(
                    "witness {} has never cosigned this log",
                    client.key().name()
                )),
                Err(error) => self.left_out(&chain(&error)),
            }
        }
    }
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
