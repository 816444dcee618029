//! Why something signed is no authority.

use super::act::ActKind;
use crate::audit::AuditError;
use crate::clock::text as time;
use crate::operator::Role;
use crate::signature::SignatureError;

/// Why something signed is no authority.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// A line of a text is wrong.
    #[error("expected {expected} in line {line} of the {what}, got {got}")]
    Line {
        /// `root policy`, `bundle` or `act`.
        what: &'static str,
        /// The line, counted from 1.
        line: usize,
        /// What should stand there.
        expected: String,
        /// What stands there.
        got: String,
    },
    /// The text is none of those that are signed here.
    #[error("expected a root policy, a bundle or an act, got a text that begins {got}")]
    OtherText {
        /// Its beginning.
        got: String,
    },
    /// A value that can't be.
    #[error("expected {expected}, got {got}")]
    Value {
        /// What was expected.
        expected: &'static str,
        /// What came.
        got: String,
    },
    /// The text carries no signatures, or they are not in their format.
    #[error("expected a signed text")]
    Note(#[source] AuditError),
    /// It could not be signed.
    #[error("the text could not be signed")]
    Signing(#[source] AuditError),
    /// A signature by a known key is wrong: somebody changed the text, or the signature.
    #[error("a signature is wrong")]
    BadSignature(#[source] AuditError),
    /// Two files are not about the same text.
    #[error("expected signatures of one text, got texts with the digests {first} and {second}")]
    TwoTexts {
        /// SHA-256 of the one.
        first: String,
        /// SHA-256 of the other.
        second: String,
    },
    /// It belongs to another root.
    #[error("expected the root policy {expected}, the {what} names {got}")]
    OtherRoot {
        /// `bundle`, `act` or `root policy`.
        what: &'static str,
        /// The digest of the root that counts.
        expected: String,
        /// The digest that it names.
        got: String,
    },
    /// Too few of the keys signed.
    #[error("expected the signatures of {expected} of the keys of {of}, got {got}{}", named(.signed))]
    TooFewSignatures {
        /// How many must sign.
        expected: usize,
        /// Whose keys.
        of: String,
        /// How many did.
        got: usize,
        /// Who did.
        signed: Vec<String>,
    },
    /// It is too old.
    #[error("the {what} expired at {}, it is {}", time(*.expires_ms), time(*.now_ms))]
    Expired {
        /// What.
        what: String,
        /// When, in milliseconds since 1970.
        expires_ms: u64,
        /// Now.
        now_ms: u64,
    },
    /// It is from the future.
    #[error("the {what} was issued at {}, it is {}", time(*.issued_ms), time(*.now_ms))]
    FromTheFuture {
        /// What.
        what: String,
        /// When, in milliseconds since 1970.
        issued_ms: u64,
        /// Now.
        now_ms: u64,
    },
    /// A later version is known.
    #[error(
        "expected a version of {subject} later than {known}, got {got}: an old bundle does not come back"
    )]
    Rollback {
        /// Whose bundle.
        subject: String,
        /// The version that is known.
        known: u64,
        /// The version that came.
        got: u64,
    },
    /// The root's keys signed two texts under one number.
    #[error(
        "two bundles of one version: version {version} of {subject} is known with the digest {known}, got one with {got}"
    )]
    TwoOfOneVersion {
        /// Whose bundle.
        subject: String,
        /// The version.
        version: u64,
        /// The digest that is known.
        known: String,
        /// The digest that came.
        got: String,
    },
    /// A bundle's number for its cloud key is that of another key.
    #[error(
        "expected a later version for another cloud key of {product}: version {version} is the key {known}, got {got}"
    )]
    CloudKeyNumberTaken {
        /// The product's name.
        product: String,
        /// The number.
        version: u32,
        /// The fingerprint of the key that has it.
        known: String,
        /// The fingerprint that came.
        got: String,
    },
    /// A cloud key that is known came under another number.
    #[error(
        "the cloud key {fingerprint} of {product} is its version {known} for ever, got it as version {got}"
    )]
    CloudKeyReturns {
        /// The product's name.
        product: String,
        /// The key's fingerprint.
        fingerprint: String,
        /// Its number.
        known: u32,
        /// The number that came.
        got: u32,
    },
    /// The product has a later cloud key.
    #[error(
        "expected version {known} of the cloud key of {product} or a later one, got {got}: an old cloud key does not come back"
    )]
    CloudKeyRolledBack {
        /// The product's name.
        product: String,
        /// The latest number.
        known: u32,
        /// The number that came.
        got: u32,
    },
    /// Another kind of bundle.
    #[error("expected a bundle of kind {expected}, got one of kind {got}")]
    OtherKind {
        /// What was expected.
        expected: &'static str,
        /// What came.
        got: &'static str,
    },
    /// A demonstration's root is none for a factory, nor the other way round.
    #[error(
        "expected a root policy with demo {expected}, as the one before it, got one with demo {got}"
    )]
    DemoChanged {
        /// As it is.
        expected: bool,
        /// As it would be.
        got: bool,
    },
    /// Somebody signed who may not.
    #[error("expected two members of the roster who may do {}, operator {operator} has the role {}", .act.name(), .role.name())]
    MayNot {
        /// The act.
        act: ActKind,
        /// Who.
        operator: String,
        /// His role.
        role: Role,
    },
    /// One person, or nobody.
    #[error("expected the signatures of two different members of the roster, got {got}{}", named(.signed))]
    NotTwo {
        /// How many signed.
        got: usize,
        /// Who did, by operator id.
        signed: Vec<String>,
    },
    /// The new key has not signed.
    #[error("expected the new key's signature over the act, got none")]
    PossessionMissing,
    /// A signature for an act that gives no new key.
    #[error("expected no new key with {}, got one", .act.name())]
    PossessionUnwanted {
        /// The act.
        act: ActKind,
    },
    /// Another key signed than the act names.
    #[error("expected the signature of the new key {expected}, got one by {got}")]
    PossessionOfOther {
        /// The fingerprint in the act.
        expected: String,
        /// The fingerprint of the key that came.
        got: String,
    },
    /// The new key's signature is wrong.
    #[error("the new key did not sign this act")]
    PossessionInvalid(#[source] SignatureError),
}

fn named(signed: &[String]) -> String {
    if signed.is_empty() {
        String::new()
    } else {
        format!(": {}", signed.join(", "))
    }
}

impl AuthorityError {
    /// A value that can't be, with at most 80 characters of what came.
    pub(super) fn value(expected: &'static str, got: &str) -> Self {
        Self::Value {
            expected,
            got: shown(got),
        }
    }

    /// What to do.
    #[must_use]
    pub const fn next(&self) -> &'static str {
        match self {
            Self::Line { .. } | Self::OtherText { .. } | Self::Value { .. } => {
                "Make the file with `keyline authority`; it must not be edited by hand."
            }
            Self::Note(_) | Self::TooFewSignatures { .. } => {
                "Have enough people sign it (`keyline authority sign FILE --key KEYFILE`), then try again."
            }
            Self::Signing(_) => "Check the key's file and its permissions (0600).",
            Self::BadSignature(_) | Self::TwoTexts { .. } => {
                "Fetch the file again from where it was signed: it was changed since, or mixed with another one."
            }
            Self::OtherRoot { .. } | Self::DemoChanged { .. } => {
                "Take a file that was made for this root: `keyline authority show FILE` names the root of a file."
            }
            Self::Expired { .. } => "Have a new version signed, with a later expiry.",
            Self::FromTheFuture { .. } => {
                "Set this machine's clock, or the one that made the file."
            }
            Self::Rollback { .. } => {
                "Take the latest version. To go back, have the old content signed under a new version."
            }
            Self::TwoOfOneVersion { .. } => {
                "Keep both files and ask the holders of the root's keys: one version was signed twice."
            }
            Self::CloudKeyNumberTaken { .. } => {
                "Have the bundle signed anew with the next number for its key: --cloud-key-version."
            }
            Self::CloudKeyReturns { .. } | Self::CloudKeyRolledBack { .. } => {
                "Have the bundle signed anew: with the number that its key has, where that is the latest one; else with a new cloud key."
            }
            Self::OtherKind { .. } => {
                "Give the right file: `keyline authority show FILE` says what it is."
            }
            Self::MayNot { .. } | Self::NotTwo { .. } => {
                "Have a second person of the roster sign whose role allows it: key-administrator or administrator."
            }
            Self::PossessionMissing
            | Self::PossessionUnwanted { .. }
            | Self::PossessionOfOther { .. }
            | Self::PossessionInvalid(_) => "Have the unit sign this very act with its new key.",
        }
    }
}

/// At most 80 characters of a text, quoted.
pub(super) fn shown(text: &str) -> String {
    let cut: String = text.chars().take(80).collect();
    if cut.len() < text.len() {
        format!("{:?}", cut + "…")
    } else {
        format!("{cut:?}")
    }
}
