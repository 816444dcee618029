//! Checks a dossier offline, and says in words what each part shows.

use sha2::{Digest as _, Sha256};

use super::evidence::{self, Told};
use super::{Dossier, EarlierCheckpoint};
use crate::audit::{
    Checkpoint, Hash, Leaf, TrustPolicy, Trusted, VerifierKey, commitment, leaf_hash,
    verify_consistency, verify_inclusion,
};
use crate::error_text::chain;
use crate::record::{Change, DeviceIdText};

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It holds.
    Holds,
    /// Nothing is wrong, but it shows less than one may think.
    Note,
    /// It does not hold: the file, or the log, is not what it says.
    Broken,
}

/// One check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What was checked: a stable name.
    pub check: &'static str,
    /// How it came out.
    pub outcome: Outcome,
    /// What was found, and what was expected where it is broken.
    pub words: String,
}

/// All checks of a dossier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The unit.
    pub device_id: DeviceIdText,
    /// What the log says became of its last run: `passed`, `weak`, `held`, `failed`, or that it has not ended.
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

pub(super) fn holds(check: &'static str, words: impl Into<String>) -> Finding {
    found(check, Outcome::Holds, words)
}

pub(super) fn note(check: &'static str, words: impl Into<String>) -> Finding {
    found(check, Outcome::Note, words)
}

pub(super) fn broken(check: &'static str, words: impl Into<String>) -> Finding {
    found(check, Outcome::Broken, words)
}

fn found(check: &'static str, outcome: Outcome, words: impl Into<String>) -> Finding {
    Finding {
        check,
        outcome,
        words: words.into(),
    }
}

/// An earlier checkpoint that was shown to be continued by the dossier's.
pub(super) struct Continued<'d> {
    /// The note's text and signatures.
    pub(super) note: &'d str,
    /// SHA-256 of the whole note: what a nonce contains.
    pub(super) digest: Hash,
    pub(super) checkpoint: Checkpoint,
}

/// Checks a dossier against the keys and the quorum of `policy`. Needs nothing else: no network, no station, no registry.
#[must_use]
pub fn verify(dossier: &Dossier, policy: &TrustPolicy) -> Verdict {
    let mut findings = Vec::new();
    let told = under_checkpoint(dossier, policy, &mut findings);
    let (told, continued) = told.unwrap_or_default();
    evidence::check(dossier, &told, &continued, &mut findings);
    Verdict {
        device_id: dossier.device_id,
        result: evidence::result(&told),
        findings,
    }
}

/// Checks the checkpoint, that every entry is under it, and the earlier checkpoints. `None` where the checkpoint itself can't be read.
fn under_checkpoint<'d>(
    dossier: &'d Dossier,
    policy: &TrustPolicy,
    findings: &mut Vec<Finding>,
) -> Option<(Vec<Told<'d>>, Vec<Continued<'d>>)> {
    let head = match read_head(&dossier.checkpoint) {
        Ok(head) => head,
        Err(words) => {
            findings.push(broken("checkpoint", words));
            return None;
        }
    };
    let told = entries(dossier, &head, findings);
    let continued = earlier(&dossier.earlier, &head, findings);
    let keys = trusted_keys(&head, policy, &told, &continued, findings);
    match policy.trusting(&keys).check(&dossier.checkpoint) {
        Ok(trusted) => findings.push(holds("checkpoint", words_of(&trusted))),
        Err(error) => findings.push(broken("checkpoint", chain(&error))),
    }
    Some((told, continued))
}

/// What a trusted checkpoint is, in words.
#[must_use]
pub fn words_of(trusted: &Trusted) -> String {
    format!(
        "log {} with {} leaves, signed by {:08x}, {}",
        trusted.checkpoint.origin,
        trusted.checkpoint.size,
        trusted.log_key.key_id(),
        cosigners(&trusted.cosigned)
    )
}

fn cosigners(cosigned: &[(String, u64)]) -> String {
    if cosigned.is_empty() {
        return "cosigned by nobody whom the policy names".to_owned();
    }
    let each: Vec<_> = cosigned
        .iter()
        .map(|(name, time_s)| format!("{name} at {}", crate::clock::text(time_s * 1_000)))
        .collect();
    format!("cosigned by {}", each.join(", "))
}

/// The text of a note, before anybody's signature was looked at.
fn read_head(note: &str) -> Result<Checkpoint, String> {
    let read = crate::audit::SignedNote::parse(note).and_then(|note| Checkpoint::parse(&note.text));
    read.map_err(|error| chain(&error))
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
        match open(entry) {
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

fn about(index: u64, words: &str) -> String {
    format!("leaf {index}: {words}")
}

/// Opens an entry's commitment and holds the envelope against the body.
fn open(entry: &super::ProvenEntry) -> Result<Told<'_>, String> {
    let leaf = Leaf::decode(&entry.leaf).map_err(|error| chain(&error))?;
    if commitment(&entry.salt, entry.body.as_bytes()) != leaf.commitment {
        return Err("the body is not the one that was committed to".to_owned());
    }
    let change: Change = serde_json::from_str(&entry.body)
        .map_err(|error| format!("expected a change that this software knows, got {error}"))?;
    if leaf.kind != change.kind()
        || leaf.run != change.run()
        || leaf.device_id != change.device_id()
    {
        return Err("the envelope speaks of something else than the body".to_owned());
    }
    Ok(Told {
        index: entry.index,
        leaf,
        change,
    })
}

/// The earlier checkpoints that the head continues.
fn earlier<'d>(
    checkpoints: &'d [EarlierCheckpoint],
    head: &Checkpoint,
    findings: &mut Vec<Finding>,
) -> Vec<Continued<'d>> {
    let mut continued = Vec::with_capacity(checkpoints.len());
    for checkpoint in checkpoints {
        match continue_one(checkpoint, head) {
            Ok(one) => continued.push(one),
            Err(words) => findings.push(broken("earlier-checkpoints", words)),
        }
    }
    continued
}

fn continue_one<'d>(
    earlier: &'d EarlierCheckpoint,
    head: &Checkpoint,
) -> Result<Continued<'d>, String> {
    let checkpoint = read_head(&earlier.note)?;
    if checkpoint.origin != head.origin {
        return Err(format!(
            "expected a checkpoint of {}, got one of {}",
            head.origin, checkpoint.origin
        ));
    }
    let (old, path) = (checkpoint.size, &earlier.consistency.0);
    verify_consistency(old, &checkpoint.root, head.size, &head.root, path)
        .map_err(|error| format!("from {old} to {} leaves: {}", head.size, chain(&error)))?;
    Ok(Continued {
        note: &earlier.note,
        digest: Sha256::digest(&earlier.note).into(),
        checkpoint,
    })
}

/// The keys of the log: those of the policy, and those that a trusted key handed over to. A hand-over is a leaf that names the new key,
/// under a checkpoint that a key which was trusted before has signed.
fn trusted_keys(
    head: &Checkpoint,
    policy: &TrustPolicy,
    told: &[Told<'_>],
    continued: &[Continued<'_>],
    findings: &mut Vec<Finding>,
) -> Vec<VerifierKey> {
    let mut keys = policy.log_keys();
    keys.retain(|key| key.name() == head.origin);
    for one in told {
        let Change::LogKeyAdded { key, .. } = &one.change else {
            continue;
        };
        let Ok(added) = VerifierKey::parse(key) else {
            findings.push(broken(
                "log-keys",
                about(one.index, "expected a verifier key"),
            ));
            continue;
        };
        if added.name() != head.origin || keys.contains(&added) {
            continue;
        }
        let vouches = |earlier: &&Continued<'_>| {
            earlier.checkpoint.size > one.index
                && Checkpoint::verify_any(earlier.note, &keys).is_ok()
        };
        if continued.iter().any(|earlier| vouches(&earlier)) {
            findings.push(holds(
                "log-keys",
                format!(
                    "leaf {} hands over to key {:08x}, under a checkpoint that a trusted key signed",
                    one.index,
                    added.key_id()
                ),
            ));
            keys.push(added);
        }
    }
    keys
}
