//! `keyline audit verify` of files: what each is, is seen from its content.

use std::io::Read as _;
use std::path::Path;

use super::super::{CommandError, chain};
use crate::audit::{AuditError, TlogProof, TrustPolicy};
use crate::dossier::{self, Dossier, Finding, Outcome};
use crate::event::{CheckResult, CheckState, Event, EventSink, VerdictView};
use crate::exit::ExitCode;
use crate::export;
use crate::regular_file;
use crate::report;

/// The longest leaf that is read, in bytes: C2SP entries have at most so many.
const LEAF_LENGTH_MAX: u64 = 65_536;

/// How a C2SP proof file begins.
const TLOG_PROOF: &str = "c2sp.org/tlog-proof@";

/// Checks every path, and tells of each.
pub(super) fn run(
    paths: &[std::path::PathBuf],
    policy: &TrustPolicy,
    sink: &dyn EventSink,
) -> Result<ExitCode, CommandError> {
    let mut all_hold = true;
    for path in paths {
        let verdict = verify(path, policy)?;
        all_hold &= verdict.holds;
        sink.emit(Event::Verdict(Box::new(verdict)));
    }
    Ok(if all_hold {
        ExitCode::Success
    } else {
        ExitCode::AuditRefused
    })
}

fn verify(path: &Path, policy: &TrustPolicy) -> Result<VerdictView, CommandError> {
    if path.is_dir() {
        return Ok(export_directory(path, policy));
    }
    let text = read(path)?;
    let verdict = if text.starts_with(TLOG_PROOF) {
        proof_file(path, &text, policy)?
    } else if text.trim_start().starts_with('{') {
        dossier_file(path, &text, policy)
    } else if report::is_page(&text) {
        report_file(path, &text, policy)
    } else {
        return Err(CommandError::Usage {
            message: format!(
                "expected a dossier, a lot report, a C2SP proof file or an export's directory at {}, got something else",
                path.display()
            ),
        });
    };
    Ok(verdict)
}

fn read(path: &Path) -> Result<String, CommandError> {
    let unreadable = |source| CommandError::Input {
        path: path.to_owned(),
        source,
    };
    let mut text = String::new();
    regular_file::open(path)
        .and_then(|file| file.take(dossier::LENGTH_MAX + 1).read_to_string(&mut text))
        .map_err(unreadable)?;
    if text.len() as u64 > dossier::LENGTH_MAX {
        return Err(CommandError::Usage {
            message: format!(
                "expected a file of at most {} MiB at {}, got a longer one",
                dossier::LENGTH_MAX / (1024 * 1024),
                path.display()
            ),
        });
    }
    Ok(text)
}

fn dossier_file(path: &Path, text: &str, policy: &TrustPolicy) -> VerdictView {
    let mut view = VerdictView {
        path: path.to_owned(),
        what: "dossier".to_owned(),
        subject: String::new(),
        result: "unreadable".to_owned(),
        holds: false,
        checks: Vec::new(),
    };
    match Dossier::parse(text) {
        Ok(dossier) => {
            let verdict = dossier::verify(&dossier, policy);
            view.subject = verdict.device_id.0.to_string();
            view.holds = verdict.holds();
            view.result = verdict.result;
            view.checks = verdict.findings.into_iter().map(check).collect();
        }
        Err(words) => view.checks.push(check(Finding {
            check: "format",
            outcome: Outcome::Broken,
            words,
        })),
    }
    view
}

fn report_file(path: &Path, text: &str, policy: &TrustPolicy) -> VerdictView {
    let verdict = report::verify(text, policy);
    VerdictView {
        path: path.to_owned(),
        what: "report".to_owned(),
        holds: verdict.holds(),
        subject: verdict.order,
        result: verdict.result,
        checks: verdict.findings.into_iter().map(check).collect(),
    }
}

/// A finding as the outside sees it.
pub(super) fn check(finding: Finding) -> CheckResult {
    let (state, next) = match finding.outcome {
        Outcome::Holds => (CheckState::Ok, ""),
        Outcome::Note => (CheckState::Warn, ""),
        Outcome::Broken => (
            CheckState::Fail,
            "Ask the station for a new file; if it is broken again, keep both and have the whole log verified.",
        ),
    };
    CheckResult {
        check: finding.check.to_owned(),
        state,
        found: finding.words,
        next: next.to_owned(),
    }
}

/// An export: its manifest and files, and the checkpoint that it was taken under.
fn export_directory(path: &Path, policy: &TrustPolicy) -> VerdictView {
    let mut view = VerdictView {
        path: path.to_owned(),
        what: "export".to_owned(),
        subject: String::new(),
        result: "unreadable".to_owned(),
        holds: false,
        checks: Vec::new(),
    };
    let mut tell = |name, outcome, words| {
        view.checks.push(check(Finding {
            check: name,
            outcome,
            words,
        }));
    };
    match export::verify(path, &policy.log_keys()) {
        Ok(verified) => {
            let manifest = &verified.manifest;
            for file in &manifest.files {
                let words = format!(
                    "{}: {} rows, {} bytes, as the manifest says",
                    file.name, file.rows, file.bytes
                );
                tell("file", Outcome::Holds, words);
            }
            let trusted = policy.check(&verified.checkpoint_note);
            view.holds = trusted.is_ok();
            match trusted {
                Ok(trusted) => tell("checkpoint", Outcome::Holds, dossier::words_of(&trusted)),
                Err(error) => tell("checkpoint", Outcome::Broken, chain(&error)),
            }
            view.subject.clone_from(&manifest.origin);
            view.result = format!("{} files, {}", manifest.files.len(), manifest.filter);
        }
        Err(error) => tell("manifest", Outcome::Broken, chain(&error)),
    }
    view
}

/// A C2SP proof file; its leaf lies beside it.
fn proof_file(path: &Path, text: &str, policy: &TrustPolicy) -> Result<VerdictView, CommandError> {
    let leaf_path = path.with_extension("leaf");
    let mut leaf = Vec::new();
    let read = regular_file::open(&leaf_path)
        .and_then(|file| file.take(LEAF_LENGTH_MAX + 1).read_to_end(&mut leaf));
    if let Err(source) = read {
        return Err(CommandError::Input {
            path: leaf_path,
            source,
        });
    }
    if leaf.len() as u64 > LEAF_LENGTH_MAX {
        return Err(CommandError::Usage {
            message: format!(
                "expected a leaf of at most {} KiB at {}, got a longer one",
                LEAF_LENGTH_MAX / 1024,
                leaf_path.display()
            ),
        });
    }
    let proof: Result<TlogProof, AuditError> = text.parse();
    let checked = proof.and_then(|proof| {
        let checkpoint = proof.verify(&leaf, |note| {
            policy.check(note).map(|trusted| trusted.checkpoint)
        })?;
        Ok((proof.index, checkpoint))
    });
    let (subject, holds, words) = match checked {
        Ok((index, checkpoint)) => (
            format!("leaf {index}"),
            true,
            format!(
                "leaf {index} stands in log {} of {} leaves",
                checkpoint.origin, checkpoint.size
            ),
        ),
        Err(error) => (String::new(), false, chain(&error)),
    };
    Ok(VerdictView {
        path: path.to_owned(),
        what: "proof".to_owned(),
        subject,
        result: if holds { "included" } else { "not shown" }.to_owned(),
        holds,
        checks: vec![check(Finding {
            check: "inclusion",
            outcome: if holds {
                Outcome::Holds
            } else {
                Outcome::Broken
            },
            words,
        })],
    })
}
