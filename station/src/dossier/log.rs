//! What a file shows of a log: its checkpoint, the opened leaves under it, the earlier checkpoints, and whose keys count.

use sha2::{Digest as _, Sha256};

use super::EarlierCheckpoint;
use super::finding::{Finding, Outcome, about, broken, found, holds};
use crate::audit::{
    Checkpoint, Hash, Leaf, SignedNote, TrustPolicy, Trusted, VerifierKey, commitment,
    verify_consistency,
};
use crate::error_text::chain;
use crate::record::Change;

/// The most keys that are followed from one to the next: a log changes its key once in years.
const HAND_OVERS_MAX: usize = 64;

/// An entry that stands in the log, opened.
pub(crate) struct Told<'d> {
    pub(crate) index: u64,
    pub(crate) leaf: Leaf<'d>,
    pub(crate) change: Change,
}

/// An earlier checkpoint that was shown to be continued by the file's.
pub(crate) struct Continued {
    /// The note's text and signatures.
    pub(crate) signed: SignedNote,
    /// SHA-256 of the whole note: what a nonce contains.
    pub(crate) digest: Hash,
    pub(crate) checkpoint: Checkpoint,
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

/// A checkpoint that no witness cosigned shows less than one may think.
#[must_use]
pub const fn outcome_of(trusted: &Trusted) -> Outcome {
    if trusted.cosigned.is_empty() {
        Outcome::Note
    } else {
        Outcome::Holds
    }
}

fn cosigners(cosigned: &[(String, u64)]) -> String {
    if cosigned.is_empty() {
        return "cosigned by nobody whom the policy names: that nobody was shown another log is not proven"
            .to_owned();
    }
    let each: Vec<_> = cosigned
        .iter()
        .map(|(name, time_s)| {
            format!(
                "{name} at {}",
                crate::clock::text(time_s.saturating_mul(1_000))
            )
        })
        .collect();
    format!("cosigned by {}", each.join(", "))
}

/// The text of a note, before anybody's signature was looked at.
pub(crate) fn read_head(note: &str) -> Result<Checkpoint, String> {
    let read = SignedNote::parse(note).and_then(|note| Checkpoint::parse(&note.text));
    read.map_err(|error| chain(&error))
}

/// Opens an entry's commitment and holds the envelope against the body.
pub(crate) fn open<'d>(
    index: u64,
    leaf: &'d [u8],
    salt: &[u8; 32],
    body: &str,
) -> Result<Told<'d>, String> {
    let leaf = Leaf::decode(leaf).map_err(|error| chain(&error))?;
    if commitment(salt, body.as_bytes()) != leaf.commitment {
        return Err("the body is not the one that was committed to".to_owned());
    }
    let change: Change = serde_json::from_str(body)
        .map_err(|error| format!("expected a change that this software knows, got {error}"))?;
    if leaf.kind != change.kind()
        || leaf.run != change.run()
        || leaf.device_id != change.device_id()
    {
        return Err("the envelope speaks of something else than the body".to_owned());
    }
    Ok(Told {
        index,
        leaf,
        change,
    })
}

/// A log as far as a file shows it.
pub(crate) struct Shown {
    /// The earlier checkpoints that the file's continues, sorted by their digests.
    pub(crate) continued: Vec<Continued>,
    /// The keys of the log that can be trusted.
    pub(crate) keys: Vec<VerifierKey>,
}

/// Checks the earlier checkpoints, which keys count, and with these the checkpoint `note` itself, whose text is `head`.
pub(crate) fn check(
    note: &str,
    head: &Checkpoint,
    checkpoints: &[EarlierCheckpoint],
    told: &[Told<'_>],
    policy: &TrustPolicy,
    findings: &mut Vec<Finding>,
) -> Shown {
    let mut continued = earlier(checkpoints, head, findings);
    let keys = trusted_keys(head, policy, told, &continued, findings);
    findings.push(match policy.trusting(&keys).check(note) {
        Ok(trusted) => found("checkpoint", outcome_of(&trusted), words_of(&trusted)),
        Err(error) => broken("checkpoint", chain(&error)),
    });
    continued.sort_by_key(|one| one.digest);
    Shown { continued, keys }
}

/// The earlier checkpoints that the head continues.
fn earlier(
    checkpoints: &[EarlierCheckpoint],
    head: &Checkpoint,
    findings: &mut Vec<Finding>,
) -> Vec<Continued> {
    let mut continued = Vec::with_capacity(checkpoints.len());
    for checkpoint in checkpoints {
        match continue_one(checkpoint, head) {
            Ok(one) => continued.push(one),
            Err(words) => findings.push(broken("earlier-checkpoints", words)),
        }
    }
    continued
}

fn continue_one(earlier: &EarlierCheckpoint, head: &Checkpoint) -> Result<Continued, String> {
    let signed = SignedNote::parse(&earlier.note).map_err(|error| chain(&error))?;
    let checkpoint = Checkpoint::parse(&signed.text).map_err(|error| chain(&error))?;
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
        signed,
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
    continued: &[Continued],
    findings: &mut Vec<Finding>,
) -> Vec<VerifierKey> {
    let mut keys = policy.log_keys();
    keys.retain(|key| key.name() == head.origin);
    let own = keys.len();
    let mut vouched = vouched_size(continued, &keys);
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
        if keys.len() - own == HAND_OVERS_MAX {
            let words = format!("expected at most {HAND_OVERS_MAX} hand-overs to another key");
            findings.push(broken("log-keys", about(one.index, &words)));
            break;
        }
        if vouched > one.index {
            let further = std::slice::from_ref(&added);
            vouched = vouched_size(continued, further).max(vouched);
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

/// How many leaves the largest of these checkpoints covers that one of the keys has signed; 0 for none. Each signature is checked once,
/// however many keys join: a file from a stranger must not take longer than it is long.
fn vouched_size(continued: &[Continued], keys: &[VerifierKey]) -> u64 {
    let signed = continued
        .iter()
        .filter(|earlier| Checkpoint::verified_by(&earlier.signed, keys).is_ok());
    signed
        .map(|earlier| earlier.checkpoint.size)
        .max()
        .unwrap_or(0)
}
