//! `keyline audit verify` of files: what each is, is seen from its content.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read as _;
use std::path::Path;

use super::super::{CommandError, chain};
use super::other;
use crate::audit::{AuditError, TlogProof, TrustPolicy, VerifierKey};
use crate::dossier::log::read_head;
use crate::dossier::{self, Dossier, Finding, Outcome};
use crate::error_text::counted;
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
        other::refuse_directory(path)?;
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
        return Err(other::other_text(path, &text));
    };
    Ok(verdict)
}

fn read(path: &Path) -> Result<String, CommandError> {
    let unreadable = |source| CommandError::Input {
        path: path.to_owned(),
        source,
    };
    let mut bytes = Vec::new();
    regular_file::open(path)
        .and_then(|file| file.take(dossier::LENGTH_MAX + 1).read_to_end(&mut bytes))
        .map_err(unreadable)?;
    if bytes.len() as u64 > dossier::LENGTH_MAX {
        return Err(CommandError::Usage {
            message: format!(
                "expected a file of at most {} MiB at {}, got a longer one",
                dossier::LENGTH_MAX / (1024 * 1024),
                path.display()
            ),
        });
    }
    if other::is_archive(&bytes) {
        return Err(other::not_text(path, &bytes));
    }
    String::from_utf8(bytes).map_err(|error| other::not_text(path, error.as_bytes()))
}

/// Where the file is under a checkpoint that the policy can't accept for what it is, says so before everything else.
fn explain(view: &mut VerdictView, note: &str, policy: &TrustPolicy) {
    let Ok(head) = read_head(note) else { return };
    let keys = policy.log_keys();
    let names: BTreeSet<&str> = keys.iter().map(VerifierKey::name).collect();
    if !names.contains(head.origin.as_str()) {
        view.checks.insert(
            0,
            CheckResult {
                check: "policy".to_owned(),
                state: CheckState::Fail,
                found: format!(
                    "this is signed for the log {}, the policy trusts {}: probably the wrong policy",
                    head.origin,
                    names.into_iter().collect::<Vec<_>>().join(", ")
                ),
                next: format!("Give the policy of the log {}.", head.origin),
            },
        );
        return;
    }
    let next = match policy.check(note) {
        Err(AuditError::QuorumMissed { .. }) => {
            "It was made before the witnesses cosigned, or it needs another policy: ask for a new file, or give the policy of its time."
        }
        Err(AuditError::NotSignedByAny { .. }) => {
            "The policy has none of its keys: for a file from before a roll-over of the key give the policy of that time too."
        }
        _ => return,
    };
    let failed =
        |check: &&mut CheckResult| check.check == "checkpoint" && check.state == CheckState::Fail;
    if let Some(check) = view.checks.iter_mut().find(failed) {
        next.clone_into(&mut check.next);
    }
    // What everything else depends on comes first.
    view.checks
        .sort_by_key(|check| !(check.check == "checkpoint" && check.state == CheckState::Fail));
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
            if !view.holds {
                explain(&mut view, &dossier.checkpoint, policy);
            }
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
    let mut view = VerdictView {
        path: path.to_owned(),
        what: "report".to_owned(),
        holds: verdict.holds(),
        subject: verdict.order,
        result: verdict.result,
        checks: verdict.findings.into_iter().map(check).collect(),
    };
    if let Some(note) = report::checkpoint_of(text).filter(|_| !view.holds) {
        explain(&mut view, &note, policy);
    }
    view
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
    let given = policy.log_keys();
    match export::verify(path, &given) {
        Ok(verified) => {
            let manifest = &verified.manifest;
            for file in &manifest.files {
                let words = format!(
                    "{}: {} rows, {} bytes, as the manifest says",
                    file.name, file.rows, file.bytes
                );
                tell("file", Outcome::Holds, words);
            }
            for key in verified.keys.iter().filter(|key| !given.contains(key)) {
                let words = format!("a key of the policy handed over to {:08x}", key.key_id());
                tell("log-keys", Outcome::Holds, words);
            }
            let trusted = policy.trusting(&verified.keys);
            let trusted = trusted.check(&verified.checkpoint_note);
            view.holds = trusted.is_ok();
            match trusted {
                Ok(trusted) => tell(
                    "checkpoint",
                    dossier::outcome_of(&trusted),
                    dossier::words_of(&trusted),
                ),
                Err(error) => tell("checkpoint", Outcome::Broken, chain(&error)),
            }
            view.subject.clone_from(&manifest.origin);
            let count = manifest.files.len() as u64;
            let filter = &manifest.filter;
            view.result = format!("{}, {filter}", counted(count, "file", "files"));
        }
        Err(error) => {
            tell("manifest", Outcome::Broken, chain(&error));
            "can't be read as one".clone_into(&mut view.result);
        }
    }
    if !view.holds
        && let Ok(note) = fs::read_to_string(path.join(export::CHECKPOINT_FILE))
    {
        explain(&mut view, &note, policy);
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
