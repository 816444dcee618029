//! Checks a dossier offline, and says in words what each part shows.

use super::Dossier;
use super::finding::{Finding, Outcome, about, broken, holds, note};
use super::log::{self, Continued, Told, read_head};
use super::{evidence, outcome};
use crate::audit::{Checkpoint, TrustPolicy, leaf_hash, verify_inclusion};
use crate::error_text::chain;
use crate::record::DeviceIdText;

/// All checks of a dossier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The unit.
    pub device_id: DeviceIdText,
    /// What the log says became of it: `passed`, `weak`, `held` or `failed` by its last run, or that this has not ended; `quarantined`,
    /// `released`, `scrapped` or `revoked` by what was decided later.
    pub result: String,
    /// The checks, in their order.
    pub findings: Vec<Finding>,
}

impl Verdict {
    /// Whether nothing is broken.
    #[must_use]
    pub fn holds(&self) -> bool {
        let broken = |finding: &Finding| finding.outcome == Outcome::Broken;
        !self.findings.iter().any(broken)
    }
}

/// Checks a dossier against the keys and the quorum of `policy`. Needs nothing else: no network, no station, no registry.
#[must_use]
pub fn verify(dossier: &Dossier, policy: &TrustPolicy) -> Verdict {
    let mut findings = Vec::new();
    let told = under_checkpoint(dossier, policy, &mut findings);
    let (told, continued) = told.unwrap_or_default();
    evidence::check(dossier, &told, &continued, &mut findings);
    findings.push(note(
        "completeness",
        "what is told here is proven; that nothing was left out of the file is not: a later scrapping or quarantine could be. `keyline audit verify --deep` at the station shows all",
    ));
    Verdict {
        device_id: dossier.device_id,
        result: outcome::result(dossier.device_id, &told),
        findings,
    }
}

/// Checks the checkpoint, that every entry is under it, and the earlier checkpoints. `None` where the checkpoint itself can't be read.
fn under_checkpoint<'d>(
    dossier: &'d Dossier,
    policy: &TrustPolicy,
    findings: &mut Vec<Finding>,
) -> Option<(Vec<Told<'d>>, Vec<Continued>)> {
    let head = match read_head(&dossier.checkpoint) {
        Ok(head) => head,
        Err(words) => {
            findings.push(broken("checkpoint", words));
            return None;
        }
    };
    let told = entries(dossier, &head, findings);
    let shown = log::check(
        &dossier.checkpoint,
        &head,
        &dossier.earlier,
        &told,
        policy,
        findings,
    );
    Some((told, shown.continued))
}

/// The entries that stand in the tree and whose bodies are what was committed to.
fn entries<'d>(
    dossier: &'d Dossier,
    head: &Checkpoint,
    findings: &mut Vec<Finding>,
) -> Vec<Told<'d>> {
    let mut told: Vec<Told<'d>> = Vec::with_capacity(dossier.entries.len());
    let before = findings.len();
    for entry in &dossier.entries {
        let path = &entry.path.0;
        let leaf = leaf_hash(&entry.leaf);
        if let Err(error) = verify_inclusion(&leaf, entry.index, head.size, &head.root, path) {
            findings.push(broken("entries", about(entry.index, &chain(&error))));
            continue;
        }
        if told.last().is_some_and(|last| last.index >= entry.index) {
            let words = "expected each leaf once, in the order of the log";
            findings.push(broken("entries", about(entry.index, words)));
        }
        match log::open(entry.index, &entry.leaf, &entry.salt, &entry.body) {
            Ok(one) => told.push(one),
            Err(words) => findings.push(broken("entries", about(entry.index, &words))),
        }
    }
    if findings.len() == before {
        findings.push(holds(
            "entries",
            format!(
                "{} leaves stand in the log, and their bodies are those that were committed to",
                told.len()
            ),
        ));
    }
    told
}
