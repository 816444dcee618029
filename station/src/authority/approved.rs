//! Acts that people of a roster signed: asked for by one, approved by another.

use serde::{Deserialize, Serialize};

use super::act::Act;
use super::{AcceptedBundle, AuthorityError, Member, Roster};
use crate::audit::{AuditError, NoteSignature, SignedNote};
use crate::record::AlgorithmName;
use crate::signature;

/// An act that a member of the roster who may do it asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActRequest {
    act: Act,
    requester: String,
    approver: Option<String>,
}

impl ActRequest {
    /// Reads an act and who asked for it: the first line by a member of the roster whose role allows the act. Whether the new key of a
    /// rotation agrees is for [`ApprovedAct::verify`].
    ///
    /// # Errors
    /// [`AuthorityError`] where it is none, not in force, of another root, or nobody who may has signed it.
    pub fn verify(
        note: &str,
        roster: &AcceptedBundle,
        now_ms: u64,
    ) -> Result<Self, AuthorityError> {
        let (act, _, signers) = signed(note, roster, now_ms)?;
        match signers.first() {
            Some(requester) => Ok(Self {
                requester: requester.operator.clone(),
                approver: two(&signers).ok().map(|(_, other)| other.operator.clone()),
                act,
            }),
            None => Err(AuthorityError::NotTwo {
                got: 0,
                signed: Vec::new(),
            }),
        }
    }

    /// What is asked for.
    #[must_use]
    pub const fn act(&self) -> &Act {
        &self.act
    }

    /// Who asks: an operator's id.
    #[must_use]
    pub fn requester(&self) -> &str {
        &self.requester
    }

    /// Who approved it since, another operator's id.
    #[must_use]
    pub fn approver(&self) -> Option<&str> {
        self.approver.as_deref()
    }
}

/// The new key's signature over the SHA-256 of an act's text: whoever holds the private key wants this act.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Possession {
    /// The key's algorithm.
    pub algorithm: AlgorithmName,
    /// SPKI DER.
    #[serde(with = "hex::serde")]
    pub public_key: Vec<u8>,
    /// P-256 as `r ‖ s`, RSA by PKCS #1 v1.5.
    #[serde(with = "hex::serde")]
    pub signature: Vec<u8>,
}

impl Possession {
    fn check(&self, act: &Act, expected: &[u8; 32]) -> Result<(), AuthorityError> {
        let got = keyline_protocol::identity::fingerprint(&self.public_key);
        if got != *expected {
            return Err(AuthorityError::PossessionOfOther {
                expected: hex::encode(expected),
                got: hex::encode(got),
            });
        }
        signature::verify(
            self.algorithm.0,
            &self.public_key,
            &act.digest(),
            &self.signature,
        )
        .map_err(AuthorityError::PossessionInvalid)
    }
}

/// An act that two different people want who may want it: two operators with two keys, both in a roster that is in force, and where the
/// unit gets a new key, that key's holder as well. There is no other way to one than [`verify`](Self::verify).
///
/// That it is carried out once is for whoever does it: by its nonce.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApprovedAct {
    act: Act,
    requester: String,
    approver: String,
    note: String,
}

impl ApprovedAct {
    /// Reads a signed act. Lines by others than members of the roster are ignored, as are those by members whose role does not allow the
    /// act; a line by a member that does not verify refuses all.
    ///
    /// # Errors
    /// [`AuthorityError`], a variant for each way to be none.
    pub fn verify(
        note: &str,
        roster: &AcceptedBundle,
        possession: Option<&Possession>,
        now_ms: u64,
    ) -> Result<Self, AuthorityError> {
        let (act, note, signers) = signed(note, roster, now_ms)?;
        let (requester, approver) = two(&signers)?;
        let (requester, approver) = (requester.operator.clone(), approver.operator.clone());
        match (act.terms().new_fingerprint, possession) {
            (Some(new), Some(possession)) => possession.check(&act, &new)?,
            (Some(_), None) => return Err(AuthorityError::PossessionMissing),
            (None, Some(_)) => {
                return Err(AuthorityError::PossessionUnwanted {
                    act: act.terms().kind,
                });
            }
            (None, None) => {}
        }
        Ok(Self {
            act,
            requester,
            approver,
            note: note.to_string(),
        })
    }

    /// What is to be done.
    #[must_use]
    pub const fn act(&self) -> &Act {
        &self.act
    }

    /// Who asked for it: an operator's id.
    #[must_use]
    pub fn requester(&self) -> &str {
        &self.requester
    }

    /// Who approved it: another operator's id.
    #[must_use]
    pub fn approver(&self) -> &str {
        &self.approver
    }

    /// The signed note, to be kept as evidence.
    #[must_use]
    pub fn note(&self) -> &str {
        &self.note
    }
}

/// An act that is in force under the roster's root, and the members who signed it and may, in the order of their lines.
fn signed<'r>(
    note: &str,
    roster: &'r AcceptedBundle,
    now_ms: u64,
) -> Result<(Act, SignedNote, Vec<&'r Member>), AuthorityError> {
    let note = SignedNote::parse(note).map_err(AuthorityError::Note)?;
    let act = Act::parse(&note.text)?;
    roster.check_in_force(now_ms)?;
    let root = roster.bundle().terms().root;
    if act.terms().root != root {
        return Err(AuthorityError::OtherRoot {
            what: "act",
            expected: hex::encode(root),
            got: hex::encode(act.terms().root),
        });
    }
    act.check_time(now_ms)?;
    let members = signers(&note, roster.roster()?).map_err(AuthorityError::BadSignature)?;
    let kind = act.terms().kind;
    let (able, unable): (Vec<_>, Vec<_>) = members
        .into_iter()
        .partition(|member| member.role.may(kind.permission()));
    match unable.first() {
        Some(member) if able.len() < 2 => Err(AuthorityError::MayNot {
            act: kind,
            operator: member.operator.clone(),
            role: member.role,
        }),
        _ => Ok((act, note, able)),
    }
}

/// The members who signed, each once, in the order of their lines.
fn signers<'r>(note: &SignedNote, roster: &'r Roster) -> Result<Vec<&'r Member>, AuditError> {
    let mut signers = Vec::new();
    for member in &roster.members {
        let lines = member.key.verified_lines(note)?;
        let is_of = |line: &NoteSignature| lines.iter().any(|mine| std::ptr::eq(*mine, line));
        if let Some(place) = note.signatures.iter().position(is_of) {
            signers.push((place, member));
        }
    }
    signers.sort_by_key(|(place, _)| *place);
    Ok(signers.into_iter().map(|(_, member)| member).collect())
}

/// The first two who differ in person and in key. A roster has neither twice; this does not rely on it.
fn two<'r>(signers: &[&'r Member]) -> Result<(&'r Member, &'r Member), AuthorityError> {
    let other = |first: &Member| {
        signers.iter().copied().find(|member| {
            member.operator != first.operator && member.key.public_key() != first.key.public_key()
        })
    };
    signers
        .first()
        .copied()
        .and_then(|first| Some((first, other(first)?)))
        .ok_or_else(|| AuthorityError::NotTwo {
            got: signers.len(),
            signed: signers
                .iter()
                .map(|member| member.operator.clone())
                .collect(),
        })
}
