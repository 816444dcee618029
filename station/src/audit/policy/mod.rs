//! Trust policies (C2SP `tlog-policy`): which logs are known, which witnesses, and how many of them have to cosign a checkpoint.
//!
//! ```text
//! log <vkey> [<url>]
//! witness <name> <vkey> [<url>]
//! group <name> all|any|<k> <name>…
//! quorum <name>|none
//! ```
//!
//! Names of witnesses and groups mean something in their policy only. They are octets, compared as such; where they are shown in words,
//! what is no UTF-8 is replaced.

mod build;
mod parse;
mod quorum;

use super::{AuditError, Checkpoint, SignedNote, VerifierKey, WitnessKey};

/// The longest policy that is read, in bytes.
const POLICY_LENGTH_MAX: usize = 131_072;

/// The most logs, witnesses and groups, of each: twice what every implementation should support.
const ENTRIES_MAX: usize = 64;

/// A trust policy. Holding one proves that its quorum can be decided: every name is defined before it is used, and used once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustPolicy {
    logs: Vec<PolicyLog>,
    /// Witnesses and groups in the order of their lines: a group refers to earlier ones only.
    signatories: Vec<Signatory>,
    quorum: Quorum,
}

/// Whose word a checkpoint needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Quorum {
    /// `quorum none`
    Nobody,
    /// That of the witness or group in this place of [`TrustPolicy::signatories`].
    Of(usize),
}

/// A `log` line.
#[derive(Clone, Debug, PartialEq, Eq)]
struct PolicyLog {
    key: VerifierKey,
    url: Option<Vec<u8>>,
}

/// What a quorum or a group can name.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Signatory {
    name: Vec<u8>,
    kind: SignatoryKind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum SignatoryKind {
    Witness {
        key: Box<WitnessKey>,
        url: Option<Vec<u8>>,
    },
    Group {
        /// How many of the members have to have witnessed: 1 to their number.
        threshold: usize,
        /// Places in [`TrustPolicy::signatories`], all smaller than the group's own.
        members: Vec<usize>,
    },
}

impl Signatory {
    fn witness(&self) -> Option<PolicyWitness<'_>> {
        match &self.kind {
            SignatoryKind::Witness { key, url } => Some(PolicyWitness {
                name: &self.name,
                key,
                url: url.as_deref(),
            }),
            SignatoryKind::Group { .. } => None,
        }
    }
}

/// A checkpoint that a policy says can be trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trusted {
    /// The checkpoint.
    pub checkpoint: Checkpoint,
    /// The log's key that signed it.
    pub log_key: VerifierKey,
    /// Every known witness that cosigned it: its name in the policy and when, in seconds since 1970 by the witness's clock.
    pub cosigned: Vec<(String, u64)>,
}

/// A witness of a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PolicyWitness<'p> {
    /// Its name in the policy.
    pub name: &'p [u8],
    /// Its key.
    pub key: &'p WitnessKey,
    /// Where it is asked (its submission prefix), if the policy says so.
    pub url: Option<&'p [u8]>,
}

impl TrustPolicy {
    /// Reads a policy.
    ///
    /// Stricter than the format where a mistake could weaken a policy: the last line has to end too (a cut file may name another quorum), and a
    /// threshold has no leading zeros.
    ///
    /// # Errors
    /// [`AuditError::Policy`] with the line, what was expected in it and what came.
    pub fn parse(text: impl AsRef<[u8]>) -> Result<Self, AuditError> {
        parse::parse(text.as_ref())
    }

    /// The policy that a station's configuration means: every required witness has cosigned, and at least `cosignatures_min` in all.
    ///
    /// A witness goes by its key's name; where two have the same, or it is one of the groups', by `NAME+KEYID`.
    ///
    /// # Errors
    /// [`AuditError::Policy`] where a key is there twice, or `cosignatures_min` is more than there are witnesses.
    pub fn of_station(
        log_keys: &[VerifierKey],
        witnesses: &[(WitnessKey, String, bool)],
        cosignatures_min: usize,
    ) -> Result<Self, AuditError> {
        build::of_station(log_keys, witnesses, cosignatures_min)
    }

    /// The keys of the logs, in the order of the lines.
    #[must_use]
    pub fn log_keys(&self) -> Vec<VerifierKey> {
        self.logs.iter().map(|log| log.key.clone()).collect()
    }

    /// The same policy, which trusts these logs' keys too.
    #[must_use]
    pub fn trusting(&self, keys: &[VerifierKey]) -> Self {
        let mut policy = self.clone();
        for key in keys {
            if !policy.logs.iter().any(|log| log.key == *key) {
                policy.logs.push(PolicyLog {
                    key: key.clone(),
                    url: None,
                });
            }
        }
        policy
    }

    /// The witnesses, in the order of the lines.
    pub fn witnesses(&self) -> impl Iterator<Item = PolicyWitness<'_>> {
        self.signatories.iter().filter_map(Signatory::witness)
    }

    /// Reads a note and says whether its checkpoint can be trusted: signed by one of the logs, cosigned as the quorum asks.
    ///
    /// # Errors
    /// [`AuditError::BadSignature`] where a line by any key of the policy doesn't verify: such a note is malformed, whoever else signed it.
    /// [`AuditError::NotSignedByAny`], [`AuditError::OtherLog`] or [`AuditError::Format`]; [`AuditError::QuorumMissed`] with the witnesses that
    /// are missing.
    pub fn check(&self, note: &str) -> Result<Trusted, AuditError> {
        let note = SignedNote::parse(note)?;
        let log_keys = self.log_keys();
        let (checkpoint, log_key) = Checkpoint::verified_by(&note, &log_keys)?;
        let mut cosigned = Vec::new();
        let mut witnessed = Vec::with_capacity(self.signatories.len());
        for signatory in &self.signatories {
            let has = match &signatory.kind {
                SignatoryKind::Witness { key, .. } => match key.verify(&note) {
                    Ok(cosignature) => {
                        cosigned.push((shown(&signatory.name), cosignature.time_s));
                        true
                    }
                    Err(AuditError::NotSigned { .. }) => false,
                    Err(malformed) => return Err(malformed),
                },
                SignatoryKind::Group { threshold, members } => {
                    count(members, &witnessed) >= *threshold
                }
            };
            witnessed.push(has);
        }
        if let Quorum::Of(quorum) = self.quorum
            && !witnessed[quorum]
        {
            return Err(AuditError::QuorumMissed {
                quorum: shown(&self.signatories[quorum].name),
                missing: self.missing(quorum, &witnessed),
            });
        }
        Ok(Trusted {
            checkpoint,
            log_key: log_key.clone(),
            cosigned,
        })
    }

    /// Who could still make a signatory's word good. A name is a member once at most, so this is as long as the policy at most.
    fn missing(&self, place: usize, witnessed: &[bool]) -> String {
        let signatory = &self.signatories[place];
        let SignatoryKind::Group { threshold, members } = &signatory.kind else {
            return shown(&signatory.name);
        };
        let more = threshold - count(members, witnessed).min(*threshold);
        let open: Vec<String> = members
            .iter()
            .filter(|member| !witnessed[**member])
            .map(|member| self.missing(*member, witnessed))
            .collect();
        if more == open.len() {
            open.join(" and ")
        } else {
            format!("{more} of ({})", open.join(", "))
        }
    }

    /// The policy in its format, octet for octet the same names and URLs.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut text = Vec::new();
        let mut line = |words: &[&[u8]]| {
            text.extend_from_slice(&words.join(&b' '));
            text.push(b'\n');
        };
        for log in &self.logs {
            let key = log.key.to_string();
            let url = log.url.as_deref();
            line(&with_url(&[b"log", key.as_bytes()], url));
        }
        for signatory in &self.signatories {
            let name = signatory.name.as_slice();
            match &signatory.kind {
                SignatoryKind::Witness { key, url } => {
                    let key = key.to_string();
                    line(&with_url(
                        &[b"witness", name, key.as_bytes()],
                        url.as_deref(),
                    ));
                }
                SignatoryKind::Group { threshold, members } => {
                    let threshold = match *threshold {
                        1 => "any".to_owned(),
                        all if all == members.len() => "all".to_owned(),
                        some => some.to_string(),
                    };
                    let members = members.iter().map(|m| self.signatories[*m].name.as_slice());
                    let mut words: Vec<&[u8]> = vec![b"group", name, threshold.as_bytes()];
                    words.extend(members);
                    line(&words);
                }
            }
        }
        let quorum = match self.quorum {
            Quorum::Nobody => build::NONE,
            Quorum::Of(place) => &self.signatories[place].name,
        };
        line(&[b"quorum", quorum]);
        text
    }
}

/// As [`TrustPolicy::to_bytes`]; what is no UTF-8 is replaced, so that such a policy is for reading only.
impl std::fmt::Display for TrustPolicy {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&shown(&self.to_bytes()))
    }
}

fn with_url<'w>(words: &[&'w [u8]], url: Option<&'w [u8]>) -> Vec<&'w [u8]> {
    words.iter().copied().chain(url).collect()
}

fn count(members: &[usize], witnessed: &[bool]) -> usize {
    members.iter().filter(|member| witnessed[**member]).count()
}

/// Octets for people.
fn shown(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets).into_owned()
}
