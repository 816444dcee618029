//! Checks a page offline: what is in it, and that it shows just that.

use std::collections::HashSet;

use super::contents::{self, Contents};
use super::tally::Tally;
use super::{Report, data, page};
use crate::audit::{Checkpoint, SignedNote, TrustPolicy, VerifierKey, leaf_hash, verify_shared};
use crate::dossier::evidence::{self, Context, Plan};
use crate::dossier::finding::{broken, holds, note};
use crate::dossier::log::{self, Continued, Told, read_head};
use crate::dossier::{Finding, Outcome};
use crate::error_text::chain;
use crate::record::{Change, Evidence, UnitState};

/// How much of a line that differs is shown, in characters.
const SHOWN_MAX: usize = 160;

/// All checks of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The order's name, or nothing where it can't be read.
    pub order: String,
    /// The counts, in words.
    pub result: String,
    /// The checks, in their order.
    pub findings: Vec<Finding>,
}

impl Verdict {
    fn unreadable(findings: Vec<Finding>) -> Self {
        Self {
            order: String::new(),
            result: "unreadable".to_owned(),
            findings,
        }
    }

    /// Whether nothing is broken.
    #[must_use]
    pub fn holds(&self) -> bool {
        let broken = |finding: &Finding| finding.outcome == Outcome::Broken;
        !self.findings.iter().any(broken)
    }
}

/// Checks a page against the keys and the quorum of `policy`. Needs nothing else: no network, no station, no registry.
#[must_use]
pub fn verify(text: &str, policy: &TrustPolicy) -> Verdict {
    let read = data::read(text).and_then(|report| {
        let head = read_head(&report.checkpoint)?;
        Ok((report, head))
    });
    let (report, head) = match read {
        Ok(read) => read,
        Err(words) => return Verdict::unreadable(vec![broken("format", words)]),
    };
    let mut findings = Vec::new();
    let (told, wrong) = contents::open(&report);
    findings.extend(wrong.into_iter().map(|words| broken("entries", words)));
    findings.push(under_head(&report, &head));
    let shown = log::check(
        &report.checkpoint,
        &head,
        &report.earlier,
        &told,
        policy,
        &mut findings,
    );
    strangers(&report.checkpoint, policy, &shown.keys, &mut findings);
    unneeded(&shown, &told, &mut findings);
    let contents = match Contents::new(&report, &told) {
        Ok(contents) => contents,
        Err(words) => {
            findings.push(broken("contents", words));
            return Verdict::unreadable(findings);
        }
    };
    units(&contents, &shown.continued, &mut findings);
    if report.window.is_open() {
        shipped(&contents, &mut findings);
    }
    findings.push(same_page(text, &report, &head, &contents));
    findings.push(note(
        "completeness",
        "what is listed is proven; that nothing was left out is not: count the units, or ask for `keyline audit verify --deep`",
    ));
    Verdict {
        order: contents.order.name.clone(),
        result: counts(&contents),
        findings,
    }
}

/// The signed note that a page says it is under, before anything was verified.
pub(crate) fn checkpoint_of(text: &str) -> Option<String> {
    data::read(text).ok().map(|report| report.checkpoint)
}

/// All leaves stand in the tree.
fn under_head(report: &Report, head: &Checkpoint) -> Finding {
    let entries = report.entries.iter();
    let leaves: Vec<_> = entries
        .map(|entry| (entry.index, leaf_hash(&entry.leaf)))
        .collect();
    match verify_shared(&leaves, head.size, &head.root, &report.proof.0) {
        Ok(()) => holds(
            "entries",
            format!("{} leaves stand in the log", leaves.len()),
        ),
        Err(error) => broken("entries", chain(&error)),
    }
}

/// The page names whoever signed the checkpoint. A name that the policy does not know proves nothing; where it knows witnesses it is
/// asked to know all that the page names.
fn strangers(text: &str, policy: &TrustPolicy, keys: &[VerifierKey], findings: &mut Vec<Finding>) {
    let Ok(signed) = SignedNote::parse(text) else {
        return;
    };
    let witnesses: Vec<_> = policy.witnesses().collect();
    for line in &signed.signatures {
        let by = |name: &str, key_id| line.name == name && line.key_id == key_id;
        let known = keys.iter().any(|key| by(key.name(), key.key_id()))
            || witnesses
                .iter()
                .any(|witness| by(witness.key.name(), witness.key.key_id()));
        if known {
            continue;
        }
        let words = format!(
            "the page names {}+{:08x} under the checkpoint, whom the policy does not know: nothing shows that he signed",
            line.name.escape_debug(),
            line.key_id
        );
        findings.push(if witnesses.is_empty() {
            note("signatures", words)
        } else {
            broken("signatures", words)
        });
    }
}

/// An earlier checkpoint is there because a proof contains it, or because it hands over to a key. Of any other nobody would see that
/// its signature was changed.
fn unneeded(shown: &log::Shown, told: &[Told<'_>], findings: &mut Vec<Finding>) {
    let digests: HashSet<_> = told.iter().filter_map(nonce_digest).collect();
    let needed = |earlier: &&Continued| {
        digests.contains(&earlier.digest)
            || Checkpoint::verified_by(&earlier.signed, &shown.keys).is_ok()
    };
    let other = shown.continued.iter().filter(|earlier| !needed(earlier));
    findings.extend(other.map(|earlier| {
        broken(
            "earlier-checkpoints",
            format!(
                "expected a checkpoint that a proof contains or that the log's key signed, got another one of {} leaves",
                earlier.checkpoint.size
            ),
        )
    }));
}

fn nonce_digest(one: &Told<'_>) -> Option<[u8; 32]> {
    match &one.change {
        Change::StepDone { evidence, .. } => match **evidence {
            Evidence::Proven {
                nonce_checkpoint_digest,
                ..
            } => Some(nonce_checkpoint_digest),
            _ => None,
        },
        _ => None,
    }
}

/// The evidence of every unit.
fn units(contents: &Contents<'_, '_>, continued: &[Continued], findings: &mut Vec<Finding>) {
    let mut tally = Tally::default();
    let plan = Plan::of(contents.plan.iter().copied());
    for unit in &contents.units {
        let mut found = Vec::new();
        let context = Context {
            device_id: unit.device_id,
            unit: &unit.told,
            plan: &plan,
            continued,
        };
        evidence::check_runs(context, &mut found);
        tally.add(unit.device_id, found);
    }
    findings.extend(tally.told());
}

/// What the log says was shipped is listed.
fn shipped(contents: &Contents<'_, '_>, findings: &mut Vec<Finding>) {
    if contents.shipped.is_empty() {
        return;
    }
    let listed: HashSet<_> = contents.units.iter().map(|unit| unit.device_id).collect();
    let mut missing = contents.shipped.iter().filter(|id| !listed.contains(id));
    findings.push(match missing.next() {
        None => holds(
            "shipped",
            format!(
                "{} units were shipped, all of them are listed",
                contents.shipped.len()
            ),
        ),
        Some(first) => broken(
            "shipped",
            format!(
                "unit {} and {} more were shipped for this order and are not listed",
                first.0,
                missing.count()
            ),
        ),
    });
}

/// What a person reads is what the data says, byte for byte.
fn same_page(
    text: &str,
    report: &Report,
    head: &Checkpoint,
    contents: &Contents<'_, '_>,
) -> Finding {
    let made = match page::write(report, head, contents) {
        Ok(made) => made,
        Err(error) => return broken("page", chain(&error)),
    };
    if made == text {
        return holds("page", "it shows what its data says, byte for byte");
    }
    let mut lines = made.split('\n').zip(text.split('\n')).zip(1..);
    let words = match lines.find(|((expected, got), _)| expected != got) {
        Some(((expected, got), line)) => {
            let (expected, got) = around(expected, got);
            format!("line {line} is not what the data says: expected {expected:?}, got {got:?}")
        }
        None => format!(
            "expected a page of {} bytes, got one of {}",
            made.len(),
            text.len()
        ),
    };
    broken("page", words)
}

/// Two lines from a little before their first difference on.
fn around(expected: &str, got: &str) -> (String, String) {
    const BEFORE: usize = 20;
    let same = expected
        .chars()
        .zip(got.chars())
        .take_while(|(a, b)| a == b);
    let skipped = same.count().saturating_sub(BEFORE);
    let cut = |line: &str| line.chars().skip(skipped).take(SHOWN_MAX).collect();
    (cut(expected), cut(got))
}

fn counts(contents: &Contents<'_, '_>) -> String {
    let count = |state| {
        contents
            .units
            .iter()
            .filter(|unit| unit.state == state)
            .count()
    };
    format!(
        "{} units: {} passed, {} weak, {} held, {} failed, {} quarantined, {} scrapped, {} not ended",
        contents.units.len(),
        count(UnitState::Passed),
        count(UnitState::Weak),
        count(UnitState::Held),
        count(UnitState::Failed),
        count(UnitState::Quarantined),
        count(UnitState::Scrapped),
        count(UnitState::InProgress),
    )
}
