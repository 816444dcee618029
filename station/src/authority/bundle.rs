//! A bundle: something that the root's keys say, with a version and an expiry.

use sha2::{Digest as _, Sha256};

use super::body::{BundleBody, BundleKind};
use super::error::shown;
use super::lifetime::{check_begun, check_not_expired};
use super::lines::{Lines, hash, number};
use super::{AcceptedBundle, AuthorityError, KnownVersion, RootPolicy};
use crate::audit::SignedNote;
use crate::clock;
use crate::record::Name;

/// The first line.
pub(super) const FIRST_LINE: &str = "keyline authority bundle v1";

/// When, for how long and under which root a bundle is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BundleTerms {
    /// Counts the bundles of one subject, from 1.
    pub version: u64,
    /// The root policy's digest.
    pub root: [u8; 32],
    /// When it was made, in milliseconds since 1970; the text has seconds.
    pub issued_ms: u64,
    /// Until when it counts, in milliseconds since 1970.
    pub expires_ms: u64,
}

/// A bundle. Holding one proves that its body can be; whether anybody signed it is [`verify`](Self::verify)'s to say.
///
/// ```text
/// keyline authority bundle v1
/// kind product                        roster, product or station
/// subject thermostat                  the product's name, the station's id, or the roster's customer or site
/// version 3
/// root 64 hexadecimal digits
/// issued 2026-01-01T00:00:00Z
/// expires 2027-01-01T00:00:00Z
/// body {"name":"thermostat",…}        one line of JSON
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bundle {
    subject: Name,
    terms: BundleTerms,
    body: BundleBody,
    json: String,
}

impl Bundle {
    /// A bundle of this body. `subject` is the name of a roster's customer or site; other bodies say themselves what they are about.
    ///
    /// # Errors
    /// [`AuthorityError::Value`] where the body, the subject or the terms can't be.
    pub fn new(
        subject: Name,
        terms: BundleTerms,
        body: BundleBody,
    ) -> Result<Self, AuthorityError> {
        let json = body.to_json().map_err(|error| AuthorityError::Value {
            expected: "a body that can be written",
            got: error.to_string(),
        })?;
        // The text has seconds; what is held is what is written.
        let terms = BundleTerms {
            issued_ms: terms.issued_ms / 1_000 * 1_000,
            expires_ms: terms.expires_ms / 1_000 * 1_000,
            ..terms
        };
        Self {
            subject,
            terms,
            body,
            json,
        }
        .checked()
    }

    fn checked(self) -> Result<Self, AuthorityError> {
        let terms = &self.terms;
        if terms.version == 0 {
            return Err(AuthorityError::value("a version from 1 on", "0"));
        }
        if terms.expires_ms <= terms.issued_ms {
            return Err(AuthorityError::Value {
                expected: "an expiry after the time of issue",
                got: clock::text(terms.expires_ms),
            });
        }
        let about = self.body.subject();
        if about.is_some_and(|about| about != self.subject.as_str()) {
            return Err(AuthorityError::value(
                "the subject that the body is about",
                self.subject.as_str(),
            ));
        }
        self.body.check()?;
        if self.json.contains(|c: char| c.is_control()) {
            return Err(AuthorityError::value(
                "a body without control characters",
                &self.json,
            ));
        }
        Ok(self)
    }

    /// Reads a bundle: exactly the text that [`to_text`](Self::to_text) writes.
    ///
    /// # Errors
    /// [`AuthorityError`] with the line that is wrong.
    pub fn parse(text: &str) -> Result<Self, AuthorityError> {
        const BODY_LINE: usize = 8;
        let mut lines = Lines::begin("bundle", FIRST_LINE, text)?;
        let kind = lines.read("kind", "roster, product or station", BundleKind::from_name)?;
        let subject = lines.read("subject", "1 to 64 of A-Z a-z 0-9 . _ -", |text| {
            text.parse().ok()
        })?;
        let time = "a time as 2026-01-01T00:00:00Z";
        let terms = BundleTerms {
            version: lines.read("version", "a number", number)?,
            root: lines.read("root", "64 hexadecimal digits", hash)?,
            issued_ms: lines.read("issued", time, clock::parse)?,
            expires_ms: lines.read("expires", time, clock::parse)?,
        };
        let json = lines.field("body")?.to_owned();
        lines.end()?;
        let refuse = |expected: String| AuthorityError::Line {
            what: "bundle",
            line: BODY_LINE,
            expected,
            got: shown(&json),
        };
        let body = BundleBody::parse(kind, &json)
            .map_err(|error| refuse(format!("the body of a {} bundle ({error})", kind.name())))?;
        if body.to_json().ok().as_ref() != Some(&json) {
            return Err(refuse(
                "the body's JSON without white space, its fields in their order".to_owned(),
            ));
        }
        let bundle = Self {
            subject,
            terms,
            body,
            json,
        };
        bundle.checked()
    }

    /// The text that is signed.
    #[must_use]
    pub fn to_text(&self) -> String {
        let terms = &self.terms;
        format!(
            "{FIRST_LINE}\nkind {}\nsubject {}\nversion {}\nroot {}\nissued {}\nexpires {}\nbody {}\n",
            self.kind().name(),
            self.subject,
            terms.version,
            hex::encode(terms.root),
            clock::text(terms.issued_ms),
            clock::text(terms.expires_ms),
            self.json,
        )
    }

    /// SHA-256 of the text, without signatures: a signature more does not make another bundle.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        Sha256::digest(self.to_text()).into()
    }

    /// The kind.
    #[must_use]
    pub const fn kind(&self) -> BundleKind {
        self.body.kind()
    }

    /// What it is about.
    #[must_use]
    pub const fn subject(&self) -> &Name {
        &self.subject
    }

    /// Version, root and times.
    #[must_use]
    pub const fn terms(&self) -> &BundleTerms {
        &self.terms
    }

    /// What it says.
    #[must_use]
    pub const fn body(&self) -> &BundleBody {
        &self.body
    }

    /// For messages: kind, subject and version.
    #[must_use]
    pub fn words(&self) -> String {
        format!(
            "{} bundle of {}, version {}",
            self.kind().name(),
            self.subject,
            self.terms.version
        )
    }

    /// Reads a signed bundle and checks that it counts: it is of this root, enough of the root's keys signed it, it is in force at `now_ms`
    /// (milliseconds since 1970), and it is no step back behind `known`, the version of its kind and subject that was accepted last.
    ///
    /// # Errors
    /// [`AuthorityError`], a variant for each of these.
    pub fn verify(
        note: &str,
        policy: &RootPolicy,
        now_ms: u64,
        known: Option<&KnownVersion>,
    ) -> Result<AcceptedBundle, AuthorityError> {
        let note = SignedNote::parse(note).map_err(AuthorityError::Note)?;
        let bundle = Self::parse(&note.text)?;
        let root = policy.digest();
        if bundle.terms.root != root {
            return Err(AuthorityError::OtherRoot {
                what: "bundle",
                expected: hex::encode(root),
                got: hex::encode(bundle.terms.root),
            });
        }
        let signed_by = policy.verify(&note)?;
        bundle.check_time(now_ms)?;
        bundle.check_version(known)?;
        Ok(AcceptedBundle::new(
            bundle,
            note.to_string(),
            signed_by,
            known.is_some_and(|known| known.digest == note_digest(&note)),
        ))
    }

    fn check_time(&self, now_ms: u64) -> Result<(), AuthorityError> {
        check_begun(|| self.words(), self.terms.issued_ms, now_ms)?;
        check_not_expired(|| self.words(), self.terms.expires_ms, now_ms)
    }

    fn check_version(&self, known: Option<&KnownVersion>) -> Result<(), AuthorityError> {
        let Some(known) = known else {
            return Ok(());
        };
        let version = self.terms.version;
        let subject = || format!("the {} {}", self.kind().name(), self.subject);
        match version.cmp(&known.version) {
            std::cmp::Ordering::Greater => Ok(()),
            std::cmp::Ordering::Less => Err(AuthorityError::Rollback {
                subject: subject(),
                known: known.version,
                got: version,
            }),
            std::cmp::Ordering::Equal if known.digest == self.digest() => Ok(()),
            std::cmp::Ordering::Equal => Err(AuthorityError::TwoOfOneVersion {
                subject: subject(),
                version,
                known: hex::encode(known.digest),
                got: hex::encode(self.digest()),
            }),
        }
    }
}

fn note_digest(note: &SignedNote) -> [u8; 32] {
    Sha256::digest(&note.text).into()
}
