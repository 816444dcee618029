//! The root: whose signatures count, and how many of them are enough.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

use super::AuthorityError;
use super::lines::{Lines, hash, number};
use crate::audit::{SignedNote, VerifierKey};
use crate::record::Name;

/// The most keys of a root.
pub const POLICY_KEYS_MAX: usize = 16;

/// The first line.
pub(super) const FIRST_LINE: &str = "keyline root policy v1";

/// m of n keys. Holding one proves that the keys and their names are distinct and 1 ≤ m ≤ n ≤ 16.
///
/// ```text
/// keyline root policy v1
/// name acme
/// demo false
/// previous 64 hexadecimal digits      only where it replaces another one
/// threshold 2
/// key NAME+KEYID+BASE64               n lines
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RootPolicy {
    name: Name,
    demo: bool,
    previous: Option<[u8; 32]>,
    threshold: usize,
    keys: Vec<VerifierKey>,
}

impl RootPolicy {
    /// A root of these keys, of which `threshold` must sign. `demo` marks one whose keys nobody guards.
    ///
    /// # Errors
    /// [`AuthorityError::Value`] where two keys or their names are the same, or the numbers can't be.
    pub fn new(
        name: Name,
        demo: bool,
        threshold: usize,
        keys: Vec<VerifierKey>,
    ) -> Result<Self, AuthorityError> {
        Self {
            name,
            demo,
            previous: None,
            threshold,
            keys,
        }
        .checked()
    }

    /// As [`new`](Self::new), in the place of `previous`: what the holders of the old keys sign.
    ///
    /// # Errors
    /// As [`new`](Self::new); [`AuthorityError::DemoChanged`] where one is a demonstration's and the other is not.
    pub fn replacing(
        previous: &Self,
        name: Name,
        demo: bool,
        threshold: usize,
        keys: Vec<VerifierKey>,
    ) -> Result<Self, AuthorityError> {
        let mut policy = Self::new(name, demo, threshold, keys)?;
        policy.previous = Some(previous.digest());
        previous.check_demo(&policy)?;
        Ok(policy)
    }

    fn checked(self) -> Result<Self, AuthorityError> {
        let keys = self.keys.len();
        if !(1..=POLICY_KEYS_MAX).contains(&keys) {
            return Err(AuthorityError::value("1 to 16 keys", &keys.to_string()));
        }
        if !(1..=keys).contains(&self.threshold) {
            return Err(AuthorityError::Value {
                expected: "a threshold of 1 to the number of keys",
                got: format!("{} of {keys}", self.threshold),
            });
        }
        for (index, key) in self.keys.iter().enumerate() {
            let before = &self.keys[..index];
            if before
                .iter()
                .any(|other| other.public_key() == key.public_key())
            {
                return Err(AuthorityError::value(
                    "distinct keys, because one person counts once",
                    &key.to_string(),
                ));
            }
            if before.iter().any(|other| other.name() == key.name()) {
                return Err(AuthorityError::value("distinct names of keys", key.name()));
            }
        }
        Ok(self)
    }

    /// Reads a policy: exactly the text that [`to_text`](Self::to_text) writes.
    ///
    /// # Errors
    /// [`AuthorityError`] with the line that is wrong.
    pub fn parse(text: &str) -> Result<Self, AuthorityError> {
        let mut lines = Lines::begin("root policy", FIRST_LINE, text)?;
        let name = lines.read("name", "1 to 64 of A-Z a-z 0-9 . _ -", |text| {
            text.parse().ok()
        })?;
        let demo = lines.read("demo", "true or false", |text| text.parse().ok())?;
        let previous = match lines.optional("previous") {
            Some(digest) => Some(hash(digest).ok_or_else(|| {
                AuthorityError::value("the previous root's digest, 64 hexadecimal digits", digest)
            })?),
            None => None,
        };
        let threshold = lines.read("threshold", "a number", number)?;
        let mut keys = vec![lines.read("key", "NAME+KEYID+KEY", verifier_key)?];
        while let Some(key) = lines.optional("key") {
            let key = verifier_key(key)
                .ok_or_else(|| AuthorityError::value("a verifier key NAME+KEYID+KEY", key))?;
            keys.push(key);
        }
        lines.end()?;
        let policy = Self {
            name,
            demo,
            previous,
            threshold,
            keys,
        };
        policy.checked()
    }

    /// The text.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = format!("{FIRST_LINE}\nname {}\ndemo {}\n", self.name, self.demo);
        // Writing to a string does not fail.
        if let Some(previous) = self.previous {
            let _ = writeln!(text, "previous {}", hex::encode(previous));
        }
        let _ = writeln!(text, "threshold {}", self.threshold);
        for key in &self.keys {
            let _ = writeln!(text, "key {key}");
        }
        text
    }

    /// SHA-256 of the text: what stations and registries pin.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        Sha256::digest(self.to_text()).into()
    }

    /// What people call it.
    #[must_use]
    pub const fn name(&self) -> &Name {
        &self.name
    }

    /// Whether it is a demonstration's: its key lies in a station's home, where anybody may take it.
    #[must_use]
    pub const fn is_demo(&self) -> bool {
        self.demo
    }

    /// The digest of the policy that it replaces.
    #[must_use]
    pub const fn previous(&self) -> Option<[u8; 32]> {
        self.previous
    }

    /// How many of the keys must sign.
    #[must_use]
    pub const fn threshold(&self) -> usize {
        self.threshold
    }

    /// The keys.
    #[must_use]
    pub fn keys(&self) -> &[VerifierKey] {
        &self.keys
    }

    /// The names of the keys that signed, where they are enough. Lines by other keys are ignored; a key that signed twice counts once.
    ///
    /// # Errors
    /// [`AuthorityError::BadSignature`] where a line by one of the keys does not verify, [`AuthorityError::TooFewSignatures`].
    pub fn verify(&self, note: &SignedNote) -> Result<Vec<String>, AuthorityError> {
        let mut signed = Vec::new();
        for key in &self.keys {
            let lines = key
                .verified_lines(note)
                .map_err(AuthorityError::BadSignature)?;
            if !lines.is_empty() {
                signed.push(key.name().to_owned());
            }
        }
        if signed.len() < self.threshold {
            return Err(AuthorityError::TooFewSignatures {
                expected: self.threshold,
                of: self.name.to_string(),
                got: signed.len(),
                signed,
            });
        }
        Ok(signed)
    }

    /// Reads a policy that takes the place of this one: it names this one, and enough keys of both signed it. That the new keys sign too
    /// shows that somebody has them.
    ///
    /// # Errors
    /// [`AuthorityError`] where it is none, names another one, or too few keys of the old or the new one signed.
    pub fn verify_successor(&self, note: &str) -> Result<Self, AuthorityError> {
        let note = SignedNote::parse(note).map_err(AuthorityError::Note)?;
        let policy = Self::parse(&note.text)?;
        if policy.previous != Some(self.digest()) {
            return Err(AuthorityError::OtherRoot {
                what: "root policy",
                expected: hex::encode(self.digest()),
                got: policy
                    .previous
                    .map_or_else(|| "none".to_owned(), hex::encode),
            });
        }
        self.check_demo(&policy)?;
        self.verify(&note)?;
        policy.verify(&note)?;
        Ok(policy)
    }

    const fn check_demo(&self, successor: &Self) -> Result<(), AuthorityError> {
        if self.demo == successor.demo {
            Ok(())
        } else {
            Err(AuthorityError::DemoChanged {
                expected: self.demo,
                got: successor.demo,
            })
        }
    }
}

/// A key, written as it writes itself.
fn verifier_key(text: &str) -> Option<VerifierKey> {
    let key = VerifierKey::parse(text).ok()?;
    (key.to_string() == text).then_some(key)
}
