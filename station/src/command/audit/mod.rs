//! The auditor's commands. They read a home beside its owner, or nothing but the files that they are given, and change nothing.

mod deep;
mod open;
mod other;
mod outside;
mod prove;
mod report;
mod verify;
mod warn;

pub(super) use prove::write_new;

use std::path::{Path, PathBuf};
use std::time::Instant;

use super::audit_arguments::Verify;
use super::execute::elapsed_ms;
use super::{CommandError, chain};
use crate::audit::{AuditError, TrustPolicy, VerifierKey};
use crate::event::{Event, EventSink, Summary};
use crate::exit::ExitCode;
use crate::report::Window;
use open::OpenLog;

/// What an auditor asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum AuditAction {
    /// `audit checkpoint`
    Checkpoint {
        /// One with the cosignatures that the configuration asks for.
        witnessed: bool,
    },
    /// `audit policy`
    Policy,
    /// `audit prove`
    Prove {
        /// Device id or serial.
        unit: String,
        /// The file to write.
        out: PathBuf,
        /// The directory for C2SP proof files.
        tlog_proofs: Option<PathBuf>,
    },
    /// `audit report`
    Report {
        /// The order's name or id.
        order: String,
        /// Which of its units.
        window: Window,
        /// The file to write.
        out: PathBuf,
    },
    /// `audit verify` of files.
    Verify {
        /// The files.
        paths: Vec<PathBuf>,
        /// Whom to trust.
        policy: Box<TrustPolicy>,
    },
    /// `audit verify --deep`
    VerifyDeep {
        /// Whom to trust; `None` for what the home itself says.
        policy: Option<Box<TrustPolicy>>,
        /// Without the registry and the witnesses.
        offline: bool,
    },
}

/// Where a policy comes from.
const POLICY_NEXT: &str = "Get one at the station (`keyline audit policy > line.policy`; the key is in its line `log`), or correct what the message names.";

/// Reads the policy or the keys that were named.
pub(super) fn lower_verify(typed: Verify) -> Result<AuditAction, CommandError> {
    let policy = match &typed.policy {
        Some(path) => Some(read_policy(path)?),
        None if typed.log_key.is_empty() => None,
        None => Some(keys_only(&typed.log_key)?),
    };
    if typed.deep {
        return Ok(AuditAction::VerifyDeep {
            policy: policy.map(Box::new),
            offline: typed.offline,
        });
    }
    let policy = policy.ok_or_else(|| CommandError::Advice {
        next: POLICY_NEXT.to_owned(),
        message: "expected --policy FILE or --log-key KEY: what is checked can't say itself whom to trust"
            .to_owned(),
    })?;
    Ok(AuditAction::Verify {
        paths: typed.paths,
        policy: Box::new(policy),
    })
}

fn read_policy(path: &Path) -> Result<TrustPolicy, CommandError> {
    let refuse = |error: &dyn std::error::Error| CommandError::Advice {
        next: POLICY_NEXT.to_owned(),
        message: format!(
            "expected a C2SP trust policy in {}: {}",
            path.display(),
            chain(error)
        ),
    };
    let text = std::fs::read(path).map_err(|error| refuse(&error))?;
    TrustPolicy::parse(text).map_err(|error| refuse(&error))
}

fn keys_only(keys: &[String]) -> Result<TrustPolicy, CommandError> {
    let parsed = keys
        .iter()
        .map(|key| VerifierKey::parse(key))
        .collect::<Result<Vec<_>, AuditError>>();
    parsed
        .and_then(|keys| TrustPolicy::of_station(&keys, &[], 0))
        .map_err(|error| CommandError::Advice {
            next: POLICY_NEXT.to_owned(),
            message: format!("--log-key: {}", chain(&error)),
        })
}

/// Carries out an auditor's command.
pub(super) async fn run(
    action: AuditAction,
    home: &Path,
    sink: &dyn EventSink,
) -> Result<Summary, CommandError> {
    let begun = Instant::now();
    let mut exit_code = ExitCode::Success;
    let mut checkpoint = None;
    match action {
        AuditAction::Checkpoint { witnessed } => {
            let note = OpenLog::open(home).await?.checkpoint(witnessed).await?;
            sink.emit(Event::Document { text: note.clone() });
            checkpoint = Some(note);
        }
        AuditAction::Policy => {
            let text = OpenLog::open(home).await?.policy_text().await?;
            sink.emit(Event::Document { text });
        }
        AuditAction::Prove {
            unit,
            out,
            tlog_proofs,
        } => {
            let log = OpenLog::open(home).await?;
            prove::run(&log, &unit, &out, tlog_proofs.as_deref(), sink).await?;
        }
        AuditAction::Report { order, window, out } => {
            let log = OpenLog::open(home).await?;
            report::run(&log, &order, window, &out, sink).await?;
        }
        AuditAction::Verify { paths, policy } => {
            exit_code = verify::run(&paths, &policy, sink)?;
        }
        AuditAction::VerifyDeep { policy, offline } => {
            let log = OpenLog::open(home).await?;
            exit_code = deep::run(&log, policy.as_deref(), offline, sink).await?;
        }
    }
    let mut summary = Summary::without_units(exit_code, elapsed_ms(begun));
    summary.checkpoint = checkpoint;
    Ok(summary)
}
