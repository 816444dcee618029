//! A bundle that counts.

use super::body::{BundleBody, ProductBundle, StationEnrolment};
use super::lifetime::check_not_expired;
use super::{AuthorityError, Bundle, Roster};

/// The version of a subject's bundle that was accepted last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownVersion {
    /// The version.
    pub version: u64,
    /// The digest of the bundle's text.
    pub digest: [u8; 32],
}

/// A bundle that enough of the root's keys signed, that was in force when it was looked at, and that was no step back. There is no other
/// way to one than [`Bundle::verify`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcceptedBundle {
    bundle: Bundle,
    note: String,
    signed_by: Vec<String>,
    already: bool,
}

impl AcceptedBundle {
    pub(super) const fn new(
        bundle: Bundle,
        note: String,
        signed_by: Vec<String>,
        already: bool,
    ) -> Self {
        Self {
            bundle,
            note,
            signed_by,
            already,
        }
    }

    /// The bundle.
    #[must_use]
    pub const fn bundle(&self) -> &Bundle {
        &self.bundle
    }

    /// The signed note, as it came.
    #[must_use]
    pub fn note(&self) -> &str {
        &self.note
    }

    /// The names of the root's keys that signed.
    #[must_use]
    pub fn signed_by(&self) -> &[String] {
        &self.signed_by
    }

    /// Whether this very version was accepted before.
    #[must_use]
    pub const fn already(&self) -> bool {
        self.already
    }

    /// For the next one of its subject.
    #[must_use]
    pub fn known_version(&self) -> KnownVersion {
        KnownVersion {
            version: self.bundle.terms().version,
            digest: self.bundle.digest(),
        }
    }

    /// That it is still in force.
    ///
    /// # Errors
    /// [`AuthorityError::Expired`].
    pub fn check_in_force(&self, now_ms: u64) -> Result<(), AuthorityError> {
        let expires_ms = self.bundle.terms().expires_ms;
        check_not_expired(|| self.bundle.words(), expires_ms, now_ms)
    }

    /// The roster.
    ///
    /// # Errors
    /// [`AuthorityError::OtherKind`].
    pub const fn roster(&self) -> Result<&Roster, AuthorityError> {
        match self.bundle.body() {
            BundleBody::Roster(roster) => Ok(roster),
            _ => Err(self.is_no("roster")),
        }
    }

    /// The product.
    ///
    /// # Errors
    /// [`AuthorityError::OtherKind`].
    pub const fn product(&self) -> Result<&ProductBundle, AuthorityError> {
        match self.bundle.body() {
            BundleBody::Product(product) => Ok(product),
            _ => Err(self.is_no("product")),
        }
    }

    /// The station.
    ///
    /// # Errors
    /// [`AuthorityError::OtherKind`].
    pub const fn station(&self) -> Result<&StationEnrolment, AuthorityError> {
        match self.bundle.body() {
            BundleBody::Station(station) => Ok(station),
            _ => Err(self.is_no("station")),
        }
    }

    const fn is_no(&self, expected: &'static str) -> AuthorityError {
        AuthorityError::OtherKind {
            expected,
            got: self.bundle.kind().name(),
        }
    }
}
