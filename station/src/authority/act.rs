//! An act that two people must want: what is to be done to which unit's key, and why.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::AuthorityError;
use super::lifetime::{check_begun, check_not_expired};
use super::lines::{Lines, hash};
use crate::clock;
use crate::operator::Permission;
use crate::record::DeviceIdText;

/// The first line.
pub(super) const FIRST_LINE: &str = "keyline act v1";

/// How long an act may be carried out after it was asked for, where nothing else is said: a day, in milliseconds.
pub const ACT_LIFETIME_DEFAULT_MS: u64 = 24 * 60 * 60 * 1_000;

/// The longest that it may: a week, in milliseconds.
pub const ACT_LIFETIME_MAX_MS: u64 = 7 * ACT_LIFETIME_DEFAULT_MS;

/// How long a reason may be, in characters.
const REASON_LENGTH: std::ops::RangeInclusive<usize> = 3..=200;

/// Kinds of acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ActKind {
    /// The cloud trusts a key no more.
    PinRevoke,
    /// The cloud trusts a new key of a unit in the place of its old one.
    PinRotate,
    /// A unit came back from a customer.
    UnitReturn,
}

impl ActKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::PinRevoke, Self::PinRotate, Self::UnitReturn];

    /// The name in the text.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::PinRevoke => "pin-revoke",
            Self::PinRotate => "pin-rotate",
            Self::UnitReturn => "unit-return",
        }
    }

    /// The kind of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// What each of the two must be allowed to do.
    #[must_use]
    pub const fn permission(self) -> Permission {
        match self {
            Self::PinRevoke | Self::PinRotate | Self::UnitReturn => Permission::ManagePins,
        }
    }

    /// Whether it gives the unit another key.
    #[must_use]
    pub const fn gives_key(self) -> bool {
        matches!(self, Self::PinRotate)
    }
}

/// What an act is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActTerms {
    /// What is to be done.
    pub kind: ActKind,
    /// The unit.
    pub device_id: DeviceIdText,
    /// SHA-256 of the SPKI DER of the key that the unit has.
    pub old_fingerprint: [u8; 32],
    /// SHA-256 of the SPKI DER of the key that it gets, with [`ActKind::PinRotate`] only.
    pub new_fingerprint: Option<[u8; 32]>,
    /// The digest of the root under which the roster stands: an act counts under no other.
    pub root: [u8; 32],
    /// Why: one line of 3 to 200 characters, without names of people.
    pub reason: String,
    /// When it was asked for, in milliseconds since 1970; the text has seconds.
    pub issued_ms: u64,
    /// Until when it may be carried out, at most a week later.
    pub expires_ms: u64,
}

/// An act. Holding one proves that it can be; whether anybody wants it is [`super::ApprovedAct`]'s to say.
///
/// ```text
/// keyline act v1
/// act pin-rotate
/// device 24 hexadecimal digits
/// old 64 hexadecimal digits
/// new 64 hexadecimal digits           or none
/// root 64 hexadecimal digits
/// reason board replaced at the customer's
/// nonce 64 hexadecimal digits
/// issued 2026-01-01T00:00:00Z
/// expires 2026-01-02T00:00:00Z
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Act {
    terms: ActTerms,
    nonce: [u8; 32],
}

impl Act {
    /// A new act, with a nonce of its own: it can be carried out once.
    ///
    /// # Errors
    /// [`AuthorityError::Value`] where the terms can't be.
    pub fn new(terms: ActTerms) -> Result<Self, AuthorityError> {
        let terms = ActTerms {
            issued_ms: terms.issued_ms / 1_000 * 1_000,
            expires_ms: terms.expires_ms / 1_000 * 1_000,
            ..terms
        };
        Self {
            terms,
            nonce: rand::random(),
        }
        .checked()
    }

    fn checked(self) -> Result<Self, AuthorityError> {
        let terms = &self.terms;
        let reason = &terms.reason;
        let good = REASON_LENGTH.contains(&reason.chars().count())
            && reason.trim() == reason
            && !reason.chars().any(char::is_control);
        if !good {
            return Err(AuthorityError::value(
                "a reason of 3 to 200 characters in one line",
                reason,
            ));
        }
        let lifetime = terms.expires_ms.checked_sub(terms.issued_ms);
        if !lifetime.is_some_and(|lifetime| (1..=ACT_LIFETIME_MAX_MS).contains(&lifetime)) {
            return Err(AuthorityError::Value {
                expected: "an act that expires within a week",
                got: format!(
                    "{} to {}",
                    clock::text(terms.issued_ms),
                    clock::text(terms.expires_ms)
                ),
            });
        }
        match (terms.kind.gives_key(), terms.new_fingerprint) {
            (true, None) => Err(AuthorityError::value("a new key with pin-rotate", "none")),
            (false, Some(new)) => Err(AuthorityError::value(
                "a new key with pin-rotate only",
                &hex::encode(new),
            )),
            (true, Some(new)) if new == terms.old_fingerprint => Err(AuthorityError::value(
                "a new key that is not the old one",
                &hex::encode(new),
            )),
            _ => Ok(self),
        }
    }

    /// Reads an act: exactly the text that [`to_text`](Self::to_text) writes.
    ///
    /// # Errors
    /// [`AuthorityError`] with the line that is wrong.
    pub fn parse(text: &str) -> Result<Self, AuthorityError> {
        let hexadecimal = "64 hexadecimal digits";
        let time = "a time as 2026-01-01T00:00:00Z";
        let mut lines = Lines::begin("act", FIRST_LINE, text)?;
        let kind = lines.read(
            "act",
            "pin-revoke, pin-rotate or unit-return",
            ActKind::from_name,
        )?;
        let device_id = lines.read("device", "24 lower-case hexadecimal digits", device)?;
        let old_fingerprint = lines.read("old", hexadecimal, hash)?;
        let new_fingerprint = lines.read("new", "64 hexadecimal digits or none", |text| {
            if text == "none" {
                Some(None)
            } else {
                hash(text).map(Some)
            }
        })?;
        let root = lines.read("root", hexadecimal, hash)?;
        let reason = lines.field("reason")?.to_owned();
        let nonce = lines.read("nonce", hexadecimal, hash)?;
        let terms = ActTerms {
            kind,
            device_id,
            old_fingerprint,
            new_fingerprint,
            root,
            reason,
            issued_ms: lines.read("issued", time, clock::parse)?,
            expires_ms: lines.read("expires", time, clock::parse)?,
        };
        lines.end()?;
        Self { terms, nonce }.checked()
    }

    /// The text that is signed.
    #[must_use]
    pub fn to_text(&self) -> String {
        let terms = &self.terms;
        format!(
            "{FIRST_LINE}\nact {}\ndevice {}\nold {}\nnew {}\nroot {}\nreason {}\nnonce {}\nissued {}\nexpires {}\n",
            terms.kind.name(),
            terms.device_id.0,
            hex::encode(terms.old_fingerprint),
            terms
                .new_fingerprint
                .map_or_else(|| "none".to_owned(), hex::encode),
            hex::encode(terms.root),
            terms.reason,
            hex::encode(self.nonce),
            clock::text(terms.issued_ms),
            clock::text(terms.expires_ms),
        )
    }

    /// SHA-256 of the text: also what a new key signs (see [`super::Possession`]).
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        Sha256::digest(self.to_text()).into()
    }

    /// What it is about.
    #[must_use]
    pub const fn terms(&self) -> &ActTerms {
        &self.terms
    }

    /// 32 random bytes: whoever carries acts out carries out one of each nonce.
    #[must_use]
    pub const fn nonce(&self) -> &[u8; 32] {
        &self.nonce
    }

    /// For messages.
    #[must_use]
    pub fn words(&self) -> String {
        format!(
            "act {} on unit {}",
            self.terms.kind.name(),
            self.terms.device_id.0
        )
    }

    /// That it is in force.
    pub(super) fn check_time(&self, now_ms: u64) -> Result<(), AuthorityError> {
        check_begun(|| self.words(), self.terms.issued_ms, now_ms)?;
        check_not_expired(|| self.words(), self.terms.expires_ms, now_ms)
    }
}

/// A device id in its one form.
fn device(text: &str) -> Option<DeviceIdText> {
    let device_id = DeviceIdText::try_from(text.to_owned()).ok()?;
    (device_id.0.to_string() == text).then_some(device_id)
}
