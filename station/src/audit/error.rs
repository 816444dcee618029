//! Why the audit log refuses.

use std::path::PathBuf;

use super::TokenError;

/// Why the audit log refuses.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The signing key's file could not be read or made.
    #[error("the signing key's file {path} can't be {doing}")]
    KeyFile {
        /// The file.
        path: PathBuf,
        /// `read` or `made`.
        doing: &'static str,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// Others than its owner can reach the key file.
    #[error(
        "expected permissions 0600 or stricter on the signing key's file {path}, got {mode:04o}"
    )]
    KeyFileOpenToOthers {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// The file holds no such key.
    #[error("expected an Ed25519 private key as PKCS#8 PEM in {path}, got something else")]
    KeyFormat {
        /// The file.
        path: PathBuf,
    },
    /// The key in a token can't be used, at least at this moment.
    #[error("the key \"{label}\" in the token \"{token}\" can't be used")]
    Token {
        /// The token's label.
        token: String,
        /// The key's label.
        label: String,
        /// Why.
        #[source]
        source: Box<TokenError>,
    },
    /// A key that must sign is none of those that the configuration names.
    #[error(
        "expected the key {key} in the configuration, because the log says that it signs; it is not there"
    )]
    KeyNotAtHand {
        /// The verifier key.
        key: String,
    },
    /// The system has no random numbers.
    #[error("the system's random generator failed while {doing}")]
    Randomness {
        /// What was being done.
        doing: &'static str,
    },
    /// The text is not in its format.
    #[error("expected {expected}, got {got}")]
    Format {
        /// What was expected.
        expected: &'static str,
        /// What came.
        got: String,
    },
    /// The id in a verifier key is not that of its key.
    #[error(
        "the key id {got:?} is not that of the name and key beside it, which is {expected}: mistyped or cut"
    )]
    KeyId {
        /// The key's id.
        expected: String,
        /// The id that came.
        got: String,
    },
    /// The note has no signature by the key.
    #[error("expected a signature by {name}+{key_id:08x}, the note has none")]
    NotSigned {
        /// The key's name.
        name: String,
        /// The key's id.
        key_id: u32,
    },
    /// The note has no signature by any of the keys.
    #[error("expected a signature by {}, the note has none", any_of(.keys))]
    NotSignedByAny {
        /// The keys, each `NAME+KEYID`.
        keys: Vec<String>,
    },
    /// A checkpoint of another log.
    #[error("expected a checkpoint of {expected:?}, got one of {got:?}")]
    OtherLog {
        /// The name of the key that signed.
        expected: String,
        /// The checkpoint's origin.
        got: String,
    },
    /// A signature is wrong.
    #[error("the signature by {name}+{key_id:08x} does not verify")]
    BadSignature {
        /// The key's name.
        name: String,
        /// The key's id.
        key_id: u32,
    },
    /// A line of a policy is wrong, or a policy made of a configuration can't work.
    #[error("expected {expected}{}, got {got}", in_line(*.line))]
    Policy {
        /// The line, counted from 1; `None` where the policy is not a text.
        line: Option<usize>,
        /// What was expected.
        expected: &'static str,
        /// What came.
        got: String,
    },
    /// Too few witnesses cosigned.
    #[error("expected the cosignatures of quorum {quorum:?}, missing: {missing}")]
    QuorumMissed {
        /// The quorum's name in the policy.
        quorum: String,
        /// The witnesses that could still make it whole, in words.
        missing: String,
    },
    /// A proof was asked for something outside of the tree.
    #[error("expected {what} of at most {limit}, got {got}")]
    OutOfTree {
        /// `an index` or `a size`.
        what: &'static str,
        /// The most.
        limit: u64,
        /// What came.
        got: u64,
    },
    /// A proof does not lead to the root.
    #[error("the {what} proof does not lead to the root")]
    ProofMismatch {
        /// `inclusion` or `consistency`.
        what: &'static str,
    },
}

impl AuditError {
    /// What to do.
    #[must_use]
    pub fn next(&self) -> &'static str {
        match self {
            Self::Token { source, .. } => source.next(),
            Self::KeyNotAtHand { .. } => {
                "Put that key back into the configuration ([[audit.key]]); a key leaves the log with `keyline audit key retire` only."
            }
            _ => {
                "Restore the audit log's key and its permissions (0600); a new key can't continue this log."
            }
        }
    }

    /// A format error that shows at most 64 characters of what came.
    pub(crate) fn format(expected: &'static str, got: &str) -> Self {
        let mut shown: String = got.chars().take(64).collect();
        if shown.len() < got.len() {
            shown.push('…');
        }
        Self::Format {
            expected,
            got: format!("{shown:?}"),
        }
    }
}

fn any_of(keys: &[String]) -> String {
    match keys {
        [] => "a known key (the policy names none)".to_owned(),
        [key] => key.clone(),
        keys => format!("one of {}", keys.join(", ")),
    }
}

fn in_line(line: Option<usize>) -> String {
    line.map_or_else(String::new, |line| format!(" in line {line}"))
}
