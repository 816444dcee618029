//! Which keys sign the log, and when. A reader begins with the keys that he was given; a further key joins by a leaf and is trusted from
//! the checkpoint that covers it on, if a key that was trusted before has signed that one too. A retired key signs that far and no
//! further.

use std::sync::Arc;

use super::{Code, Finding};
use crate::audit::{AuditError, SignedNote, VerifierKey};

/// Where a key is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    /// Given by the reader, and not seen under a checkpoint yet.
    Given,
    /// Named by a leaf whose checkpoint has not come yet.
    Joining,
    /// It must sign.
    InForce,
    /// It signs the next checkpoint for the last time.
    Leaving,
    /// It signs nothing any more.
    Retired,
}

#[derive(Debug)]
struct Member {
    key: VerifierKey,
    life: Life,
    /// Its absence was told, and it has not signed since.
    missed: bool,
}

/// What a key has to do with a note.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line {
    Signed,
    Wrong,
    Absent,
}

/// The lines of a note by each of `keys`, in their order.
pub(super) fn lines(note: &SignedNote, keys: &[VerifierKey]) -> Vec<Line> {
    let line = |key| match note.verify(key) {
        Ok(()) => Line::Signed,
        Err(AuditError::NotSigned { .. }) => Line::Absent,
        Err(_) => Line::Wrong,
    };
    keys.iter().map(line).collect()
}

/// The keys of a log.
#[derive(Debug)]
pub(super) struct Ring {
    origin: String,
    members: Vec<Member>,
    /// The members' keys, for those who verify notes ahead.
    keys: Arc<[VerifierKey]>,
    /// How many of the first members the reader gave himself.
    given: usize,
    /// The log's first key, which the reader did not give and the log itself says was retired.
    inherited: Option<VerifierKey>,
    /// A key that the reader gave has signed the last checkpoint.
    given_signed_last: bool,
}

/// The most keys that a log may have had: one a day for ten years.
const KEYS_MAX: usize = 4_096;

fn name(key: &VerifierKey) -> String {
    format!("{}+{:08x}", key.name(), key.key_id())
}

impl Ring {
    /// The ring of a reader who trusts `given`. `first_retired` is the key that the log says it began with, where its leaves retire it:
    /// who trusts a later key trusts the whole log under it, that leaf among it.
    pub(super) fn new(
        origin: &str,
        given: &[VerifierKey],
        first_retired: Option<VerifierKey>,
    ) -> Self {
        let member = |key: &VerifierKey| Member {
            key: key.clone(),
            life: Life::Given,
            missed: false,
        };
        let inherited = first_retired.filter(|first| !given.contains(first));
        let keys: Vec<_> = given.iter().chain(&inherited).cloned().collect();
        Self {
            origin: origin.to_owned(),
            members: keys.iter().map(member).collect(),
            keys: keys.into(),
            given: given.len(),
            inherited,
            given_signed_last: false,
        }
    }

    /// At the end of the log: whether a key that the reader gave vouches for the first one, which he did not give.
    pub(super) fn vouched(&self) -> Option<Finding> {
        let first = self.inherited.as_ref()?;
        let place = format!("the log's first key {}", name(first));
        Some(if self.given_signed_last {
            let message =
                "a leaf retires it, under checkpoints that a key which you trust has signed";
            Code::KeyInherited.at(place, message)
        } else {
            let message = "expected the last checkpoint to be signed by a key that you trust, it is not: whose log this is only the log says";
            Code::CheckpointNotSigned.at(place, message)
        })
    }

    /// The log's name.
    pub(super) fn origin(&self) -> &str {
        &self.origin
    }

    /// Every key that was ever given or named, in a fixed order; later ones come behind.
    pub(super) fn keys(&self) -> Arc<[VerifierKey]> {
        Arc::clone(&self.keys)
    }

    /// Whether a note was signed by any key of this log, at any time.
    pub(super) fn has_signed(&self, note: &SignedNote) -> bool {
        let trusted = self.members.iter().filter(|m| m.life != Life::Joining);
        trusted.into_iter().any(|m| note.verify(&m.key).is_ok())
    }

    /// A leaf says that a key signs from here on.
    pub(super) fn join(&mut self, index: u64, text: &str) -> Option<Finding> {
        let refuse =
            |message: String| Some(Code::KeyNotInForce.at(format!("leaf {index}"), message));
        let key = match VerifierKey::parse(text) {
            Ok(key) if key.name() == self.origin => key,
            Ok(key) => {
                return refuse(format!(
                    "expected a key under the log's name {}, found one under {}",
                    self.origin,
                    key.name()
                ));
            }
            Err(error) => return refuse(error.to_string()),
        };
        if let Some(member) = self.members.iter_mut().find(|member| member.key == key) {
            return match member.life {
                Life::Given => {
                    member.life = Life::Joining;
                    None
                }
                Life::Retired => refuse(format!("the key {} was retired and returns", name(&key))),
                _ => refuse(format!(
                    "the key {} signs from this leaf on, but has signed before",
                    name(&key)
                )),
            };
        }
        if self.members.len() >= KEYS_MAX {
            return refuse(format!(
                "expected at most {KEYS_MAX} keys in a log, found more"
            ));
        }
        self.members.push(Member {
            key,
            life: Life::Joining,
            missed: false,
        });
        self.keys = self
            .members
            .iter()
            .map(|member| member.key.clone())
            .collect();
        None
    }

    /// A leaf says that a key signs for the last time.
    pub(super) fn leave(&mut self, index: u64, text: &str) -> Option<Finding> {
        let found = self
            .members
            .iter_mut()
            .find(|member| member.key.to_string() == text);
        match found {
            Some(member) if member.life != Life::Retired => {
                member.life = Life::Leaving;
                None
            }
            _ => Some(Code::KeyNotInForce.at(
                format!("leaf {index}"),
                format!("expected a key in force that is retired, found {text}"),
            )),
        }
    }

    /// Holds the lines of the checkpoint of `size` leaves against the keys, and lets them come and go with it.
    pub(super) fn judge(&mut self, size: u64, lines: &[Line]) -> Vec<Finding> {
        let place = format!("checkpoint of {size} leaves");
        let mut findings = Vec::new();
        let line = |n: usize| lines.get(n).copied().unwrap_or(Line::Absent);
        let numbered = || self.members.iter().enumerate();
        for (_, member) in numbered().filter(|(n, _)| line(*n) == Line::Wrong) {
            let message = format!("the signature by {} does not verify", name(&member.key));
            findings.push(Code::CheckpointNotSigned.at(&place, message));
        }
        self.given_signed_last = numbered()
            .take(self.given)
            .any(|(n, member)| line(n) == Line::Signed && member.life != Life::Retired);
        let vouches = |life| matches!(life, Life::Given | Life::InForce | Life::Leaving);
        let vouched = numbered().any(|(n, m)| vouches(m.life) && line(n) == Line::Signed);
        if !vouched {
            let by_retired =
                numbered().find(|(n, m)| m.life == Life::Retired && line(*n) == Line::Signed);
            findings.push(match by_retired {
                Some((_, member)) => Code::KeyNotInForce.at(
                    place,
                    format!(
                        "signed only by {}, which was retired before",
                        name(&member.key)
                    ),
                ),
                None => Code::CheckpointNotSigned.at(
                    place,
                    format!("expected a signature by {}, found none", self.in_force()),
                ),
            });
            return findings;
        }
        for (n, member) in self.members.iter_mut().enumerate() {
            let signed = line(n) == Line::Signed;
            let must = !matches!(member.life, Life::Given | Life::Retired);
            if must && line(n) == Line::Absent && !member.missed {
                let message = format!("expected a signature by {}, found none", name(&member.key));
                findings.push(Code::CheckpointSignatureMissing.at(&place, message));
            }
            member.missed = must && !signed;
            member.life = match member.life {
                Life::Given if signed => Life::InForce,
                Life::Joining => Life::InForce,
                Life::Leaving => Life::Retired,
                life => life,
            };
        }
        findings
    }

    fn in_force(&self) -> String {
        let may = |m: &&Member| !matches!(m.life, Life::Retired | Life::Joining);
        let names: Vec<_> = self
            .members
            .iter()
            .filter(may)
            .map(|member| name(&member.key))
            .collect();
        if names.is_empty() {
            "a key in force".to_owned()
        } else {
            names.join(" or ")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(seed: u8) -> VerifierKey {
        let key = ed25519_dalek::SigningKey::from_bytes(&[seed; 32]);
        VerifierKey::new("log.example", key.verifying_key().as_bytes()).unwrap()
    }

    fn ring(given: &[u8]) -> Ring {
        let given: Vec<_> = given.iter().map(|seed| key(*seed)).collect();
        Ring::new("log.example", &given, None)
    }

    fn codes(findings: &[Finding]) -> Vec<&'static str> {
        findings.iter().map(|finding| finding.code).collect()
    }

    use Line::{Absent, Signed, Wrong};

    #[test]
    fn a_key_joins_with_both_signatures_and_the_old_one_leaves() {
        let mut ring = ring(&[1]);
        assert!(ring.judge(0, &[Signed]).is_empty());
        assert_eq!(ring.join(5, &key(2).to_string()), None);
        assert_eq!(ring.keys().len(), 2);
        assert!(ring.judge(6, &[Signed, Signed]).is_empty());
        assert_eq!(ring.leave(8, &key(1).to_string()), None);
        assert!(ring.judge(9, &[Signed, Signed]).is_empty());
        assert!(ring.judge(10, &[Absent, Signed]).is_empty());
        let by_retired = ring.judge(11, &[Signed, Absent]);
        assert_eq!(codes(&by_retired), ["key-not-in-force"]);
        let returns = ring.join(12, &key(1).to_string()).unwrap();
        assert!(returns.message.contains("returns"), "{returns:?}");
    }

    #[test]
    fn who_trusts_the_last_key_trusts_the_first_one_that_its_log_retires() {
        let ring = |given| Ring::new("log.example", &[key(given)], Some(key(1)));
        let walk = |mut ring: Ring, signed: Line| {
            assert!(ring.judge(0, &[Absent, Signed]).is_empty());
            ring.join(5, &key(2).to_string());
            ring.leave(6, &key(1).to_string());
            ring.judge(7, &[signed, Signed, signed]);
            ring.judge(8, &[signed, Absent, signed]);
            ring.vouched().unwrap()
        };
        assert_eq!(walk(ring(2), Signed).code, "key-inherited");
        // Another log under this name, which a key that nobody gave hands on to itself.
        let found = walk(ring(3), Absent);
        assert_eq!(found.code, "checkpoint-not-signed");
        assert!(found.message.contains("only the log says"), "{found:?}");
        assert_eq!(
            Ring::new("log.example", &[key(1)], Some(key(1))).vouched(),
            None
        );
    }

    #[test]
    fn a_key_that_nobody_vouched_for_is_not_trusted() {
        let mut ring = ring(&[1]);
        ring.judge(0, &[Signed]);
        ring.join(5, &key(2).to_string());
        // The thief's leaf says that his key joins, and only his key signs it.
        for size in [6, 7] {
            let found = ring.judge(size, &[Absent, Signed]);
            assert_eq!(codes(&found), ["checkpoint-not-signed"], "{size}");
            assert!(found[0].message.contains("log.example+"), "{found:?}");
        }
    }

    #[test]
    fn a_signature_that_is_missing_is_told_once_and_a_wrong_one_always() {
        let mut ring = ring(&[1, 2]);
        assert!(
            ring.judge(0, &[Signed, Absent]).is_empty(),
            "2 was never seen"
        );
        assert!(ring.judge(1, &[Signed, Signed]).is_empty());
        let missing = ring.judge(2, &[Signed, Absent]);
        assert_eq!(codes(&missing), ["checkpoint-signature-missing"]);
        assert!(ring.judge(3, &[Signed, Absent]).is_empty(), "told once");
        assert!(ring.judge(4, &[Signed, Signed]).is_empty());
        let again = ring.judge(5, &[Absent, Signed]);
        assert_eq!(codes(&again), ["checkpoint-signature-missing"]);
        for size in [6, 7] {
            let wrong = ring.judge(size, &[Wrong, Signed]);
            assert_eq!(codes(&wrong), ["checkpoint-not-signed"]);
        }
    }

    #[test]
    fn what_a_leaf_can_t_do_with_keys_is_told() {
        let mut ring = ring(&[1, 2]);
        ring.judge(0, &[Signed, Signed]);
        for text in [
            "nothing".to_owned(),
            key(2).to_string(),
            key(3).to_string().replace("log.example", "other.example"),
            VerifierKey::new("other.example", &[0; 32])
                .map_or_else(|_| "zeros".to_owned(), |key| key.to_string()),
        ] {
            assert!(ring.join(1, &text).is_some(), "{text}");
        }
        assert!(ring.leave(1, &key(3).to_string()).is_some());
        assert_eq!(ring.keys().len(), 2);
    }
}
