//! Why a step failed, and the unit that comes back with it.

use std::error::Error;
use std::fmt;
use std::io;

use keyline_protocol::identity::{Algorithm, DeviceId, Digest, KeyPolicy, Platform};
use keyline_protocol::record::CREDENTIALS_LENGTH_MAX;

use crate::link::{LinkError, Target};
use crate::record::{AgentDigestSource, Failure};
use crate::session::SessionError;
use crate::signature::SignatureError;

/// Why a step failed.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// The link gave out.
    #[error("the unit can't be reached")]
    Link(#[from] LinkError),
    /// A call failed.
    #[error("the unit did not do what it was asked")]
    Session(#[from] SessionError),
    /// Another chip than the product's.
    #[error("expected a {expected}, found {got}", expected = .expected.name())]
    WrongChip {
        /// The product's.
        expected: Platform,
        /// What was found.
        got: String,
    },
    /// The order's agent image is for another chip.
    #[error("expected an agent image for {expected}, the order has one for {got}", expected = .expected.name(), got = .got.name())]
    WrongImage {
        /// The product's chip.
        expected: Platform,
        /// The image's.
        got: Platform,
    },
    /// Between the proof and the seal somebody wrote, or the seal did not take.
    #[error("expected the unit to be sealed with the record {expected} that it has proven, it {state} the record {got}", expected = hex::encode(.expected), state = if *.sealed { "is sealed with" } else { "is not sealed and has" }, got = hex::encode(.got))]
    SealedAnother {
        /// The proven record's digest.
        expected: Digest,
        /// The digest of what is there; zeros for nothing.
        got: Digest,
        /// Whether it is sealed.
        sealed: bool,
    },
    /// Read-back protection keeps the agent from being started over this link.
    #[error("the unit is locked: its read-back protection keeps the probe out")]
    LockedOut,
    /// Somebody else's code lies where the agent or its areas go.
    #[error(
        "the agent needs {areas_begin:#x} to {areas_end:#x}, but a {occupant} reaches into it: its boundary is {boundary:#x}"
    )]
    LayoutConflict {
        /// Whose code.
        occupant: &'static str,
        /// Where a bootloader begins, or a `SoftDevice` ends.
        boundary: u32,
        /// The first byte that is needed.
        areas_begin: u32,
        /// The first byte behind what is needed.
        areas_end: u32,
    },
    /// The agent on the unit is not the order's.
    #[error("expected the agent {expected}, {verb} {got}", expected = hex::encode(.expected), verb = verb(*.source_of_digest), got = hex::encode(.got))]
    AgentDigest {
        /// How it was learnt.
        source_of_digest: AgentDigestSource,
        /// SHA-256 of the order's image.
        expected: Digest,
        /// SHA-256 of what is on the unit.
        got: Digest,
    },
    /// Two readings of the device id differ.
    #[error("expected the unit {expected}, found {got}")]
    DeviceIdMismatch {
        /// What was read first.
        expected: DeviceId,
        /// What was read later.
        got: DeviceId,
    },
    /// The unit is sealed: it can be recognised, and nothing else.
    #[error("the unit is already sealed")]
    AlreadySealed,
    /// The unit is sealed with another record than the order's: what it was built as, or an earlier cloud key.
    #[error("expected a unit that is sealed with the identity record {expected} of this order, it is sealed with {got}, and keeps that", expected = hex::encode(.expected), got = hex::encode(.got))]
    SealedAsAnother {
        /// The digest of the order's record.
        expected: Digest,
        /// The digest that the unit says.
        got: Digest,
    },
    /// The agent can't hold such a key on this chip.
    #[error("expected an agent that holds {} keys on this chip, this one doesn't", .algorithm.name())]
    AlgorithmUnsupported {
        /// The product's.
        algorithm: Algorithm,
    },
    /// The unit has no key where there must be one.
    #[error("expected a unit that already has a key, found none")]
    KeyMissing,
    /// The unit's key is of another kind.
    #[error(
        "expected a {} key made {}, found a {} key made {}",
        .expected_algorithm.name(), .expected_policy.name(), .got_algorithm.name(), .got_policy.name()
    )]
    KeyUnsuitable {
        /// The product's algorithm.
        expected_algorithm: Algorithm,
        /// The product's policy.
        expected_policy: KeyPolicy,
        /// The key's algorithm.
        got_algorithm: Algorithm,
        /// How it was made.
        got_policy: KeyPolicy,
    },
    /// The unit shows another key than it announced, received, or is known by.
    #[error("expected the key {expected}, found {got}", expected = hex::encode(.expected), got = hex::encode(.got))]
    KeyChanged {
        /// SHA-256 of the expected key's SPKI DER.
        expected: Digest,
        /// SHA-256 of the shown key's.
        got: Digest,
    },
    /// A key made by the station travels over a probe only.
    #[error("expected a probe: a key that the station makes does not travel over a serial line")]
    StationKeyOverSerial,
    /// The station has no key to send.
    #[error("the station could not make a key for the unit")]
    StationKey {
        /// Why.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// The unit could not sign the challenge.
    #[error("expected a signature by the key that the unit shows")]
    PossessionFailed {
        /// What is wrong with it.
        #[source]
        source: SignatureError,
    },
    /// The chip can't sign with its key, and nobody has kept the signature made when it got it.
    #[error("the chip can't sign with its {} key, and the signature made when it got it was lost", .algorithm.name())]
    PossessionUnprovable {
        /// The key's algorithm.
        algorithm: Algorithm,
    },
    /// The product has credentials, and the chip can't vouch for the session they would travel in.
    #[error("credentials need a session that the unit signs, and this chip can't sign with a {} key", .algorithm.name())]
    SessionUnsignable {
        /// The key's algorithm.
        algorithm: Algorithm,
    },
    /// The credentials can't be read.
    #[error("the product's network credentials can't be read")]
    CredentialsUnreadable {
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The credentials don't fit the record.
    #[error(
        "expected network credentials of 1 to {CREDENTIALS_LENGTH_MAX} bytes, got {got} or more"
    )]
    CredentialsLength {
        /// How many were read.
        got: usize,
    },
    /// The record in flash is not the product's.
    #[error("expected the identity record {expected}, the unit has {got}", expected = hex::encode(.expected), got = hex::encode(.got))]
    RecordMismatch {
        /// The digest that the station computed.
        expected: Digest,
        /// The digest that the unit says.
        got: Digest,
    },
    /// The proof did not verify.
    #[error("expected a proof by the unit's key over its record and this challenge")]
    ProofInvalid {
        /// What is wrong with it.
        #[source]
        source: SignatureError,
    },
    /// Read-back protection was set, and a probe still gets in.
    #[error("expected the unit's read-back protection to keep the probe out, it doesn't")]
    ProtectionNotHeld,
}

fn verb(source: AgentDigestSource) -> &'static str {
    match source {
        AgentDigestSource::Measured => "read back",
        AgentDigestSource::Claimed => "the unit says",
    }
}

impl StepError {
    /// The failure, for the journal and for people: code, message with its causes, what to do next.
    #[must_use]
    pub fn failure(&self) -> Failure {
        let mut message = self.to_string();
        let mut cause = self.source();
        while let Some(error) = cause {
            message.push_str(": ");
            message.push_str(&error.to_string());
            cause = error.source();
        }
        Failure::new(self.code(), message)
    }
}

/// A step that failed. The unit comes back, so that the line can let it go or attach it again.
pub struct Failed {
    /// The unit.
    pub target: Box<dyn Target>,
    /// Who it is, as far as was known.
    pub device_id: Option<DeviceId>,
    /// Why.
    pub error: Box<StepError>,
}

impl fmt::Debug for Failed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Failed")
            .field("target", &self.target.describe())
            .field("device_id", &self.device_id)
            .field("error", &self.error)
            .finish()
    }
}
