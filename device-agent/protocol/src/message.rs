//! The messages: one enum a direction.
//!
//! Each request is answered by exactly one response; the variant that answers it stands in the request's comment, and any request may
//! be answered by [`Response::Refused`]. Messages are encoded with postcard; see [`crate::version`] for the rule by which they change.

use serde::{Deserialize, Serialize};

use crate::identity::{Algorithm, DeviceId, Digest, Id, KeyPolicy, Platform};
use crate::record::RecordContent;

/// The longest chunk of a private key that one [`Request::ImportKey`] carries, in bytes.
pub const KEY_CHUNK_LENGTH_MAX: usize = 768;

/// A point on P-256 as its two affine coordinates, big-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Point {
    /// The x coordinate.
    pub x: [u8; 32],
    /// The y coordinate.
    pub y: [u8; 32],
}

impl Point {
    /// The point in SEC 1's uncompressed form, 65 bytes that begin with 4.
    #[must_use]
    pub fn to_sec1(&self) -> [u8; 65] {
        let mut bytes = [4; 65];
        bytes[1..33].copy_from_slice(&self.x);
        bytes[33..].copy_from_slice(&self.y);
        bytes
    }

    /// Reads SEC 1's uncompressed form. Whether the point is on the curve is not checked.
    #[must_use]
    pub fn from_sec1(bytes: &[u8]) -> Option<Self> {
        let (&4, coordinates) = bytes.split_first()? else {
            return None;
        };
        let (x, y) = coordinates.split_first_chunk::<32>()?;
        Some(Self {
            x: *x,
            y: y.try_into().ok()?,
        })
    }
}

/// What the station asks of a unit. Variants are appended, never moved: their order is on the wire.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(Debug))]
pub enum Request<'a> {
    /// Which versions the station speaks. Frozen for ever. → [`Response::Hello`]
    Hello {
        /// The lowest version the station speaks.
        minimum: u16,
        /// The highest version the station speaks.
        maximum: u16,
    },
    /// Who are you, and in what state? → [`Response::Identity`]
    Identify,
    /// Your public key, as SPKI DER. → [`Response::PublicKey`]
    PublicKey,
    /// Open an encrypted session with this ephemeral key of the station. → [`Response::SessionOpened`]
    OpenSession {
        /// The station's ephemeral public key.
        station: Point,
    },
    /// Sign the session hash with the device key, inside the session. → [`Response::Signature`]
    AuthenticateSession,
    /// Draw a key pair on the unit, unless it has one made this way; asking again gives the same key. → [`Response::PublicKey`]
    GenerateKey {
        /// The algorithm of the key; a unit makes only P-256 by itself.
        algorithm: Algorithm,
        /// 32 bytes of the station's generator, mixed with the unit's own.
        station_entropy: [u8; 32],
    },
    /// One chunk of a private key, in order, inside a session. → [`Response::Done`]
    ///
    /// P-256: the 32-byte scalar. RSA: `RSAPrivateKey` DER (RFC 8017, A.1.2).
    ImportKey {
        /// The algorithm of the key.
        algorithm: Algorithm,
        /// The length of the whole key in bytes.
        length: u16,
        /// Where this chunk begins; 0 begins anew.
        offset: u16,
        /// At most [`KEY_CHUNK_LENGTH_MAX`] bytes.
        bytes: &'a [u8],
    },
    /// The imported key is whole: check it and commit it, inside the session. → [`Response::PublicKey`]
    CommitKey {
        /// SHA-256 of the public key's SPKI DER, as the station computed it: the unit must find the same.
        fingerprint: Digest,
    },
    /// Sign [`ClaimTranscript`](crate::transcript::ClaimTranscript) over this challenge. → [`Response::Signature`]
    ProvePossession {
        /// 32 fresh bytes of the station.
        challenge: [u8; 32],
    },
    /// Write the identity record; inside an authenticated session where it carries network credentials. → [`Response::Injected`]
    Inject {
        /// What the record holds.
        #[serde(borrow)]
        content: RecordContent<'a>,
    },
    /// Read the record cold from flash and sign (or MAC) [`ProofTranscript`](crate::transcript::ProofTranscript). → [`Response::Proof`]
    Prove {
        /// Fresh bytes, drawn after the reset.
        nonce: [u8; 32],
        /// The station that asks.
        station: Id,
        /// The work order of the run.
        order: Id,
        /// The run.
        run: Id,
    },
    /// From now on answer only what a sealed unit answers. → [`Response::Done`]
    Seal,
    /// Set the chip's read-back protection; it holds from the next reset. → [`Response::Done`]
    Lock,
    /// A fresh nonce for an [`Request::Authorise`]. → [`Response::AuthorityNonce`]
    AuthorityNonce,
    /// The product authority permits one command on this sealed unit, once, until the next reset. → [`Response::Done`]
    Authorise {
        /// What is permitted.
        command: AuthorisedCommand,
        /// ECDSA P-256 with SHA-256 over [`AuthorityTranscript`](crate::transcript::AuthorityTranscript), `r ‖ s`, 64 bytes.
        signature: &'a [u8],
    },
    /// Erase the device key, the record and the seal; a sealed unit needs a permit. → [`Response::Done`]
    EraseIdentity,
    /// Reset the chip. The answer is sent first. → [`Response::Done`]
    Reset,
}

/// What a product authority can permit on a sealed unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AuthorisedCommand {
    /// One [`Request::Inject`].
    Inject,
    /// One [`Request::EraseIdentity`].
    EraseIdentity,
    /// One [`Request::Lock`].
    Lock,
}

impl AuthorisedCommand {
    /// The number that stands for the command in the transcript. Frozen.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Inject => 1,
            Self::EraseIdentity => 2,
            Self::Lock => 3,
        }
    }
}

/// What a unit answers. Variants are appended, never moved: their order is on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Response<'a> {
    /// The version that both speak, the highest there is. Frozen for ever.
    Hello {
        /// The chosen version.
        version: u16,
    },
    /// Not done, and nothing was changed unless the refusal says so. Frozen for ever in its first field.
    Refused(Refusal),
    /// Who the unit is.
    Identity(Identity),
    /// The committed device key.
    PublicKey {
        /// Its algorithm.
        algorithm: Algorithm,
        /// How it was made: on-device or station.
        made: KeyPolicy,
        /// SPKI DER.
        spki: &'a [u8],
    },
    /// The unit's ephemeral public key: from here on both sides can seal.
    SessionOpened {
        /// The unit's ephemeral public key.
        unit: Point,
    },
    /// A signature by the device key; its length is the algorithm's.
    Signature {
        /// P-256: `r ‖ s`; RSA: PKCS #1 v1.5.
        signature: &'a [u8],
    },
    /// The record is committed.
    Injected(RecordSummary),
    /// The proof, made from what flash holds.
    Proof {
        /// The record that was read.
        record: RecordSummary,
        /// SHA-256 of the agent's own image, computed by the agent.
        agent_digest: Digest,
        /// The proof itself.
        authenticator: Authenticator<'a>,
    },
    /// The nonce that an authority's signature must name; used once, gone with a reset.
    AuthorityNonce {
        /// 32 bytes of the unit's generator.
        nonce: [u8; 32],
    },
    /// Done, and nothing to tell.
    Done,
}

/// How a proof is authenticated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Authenticator<'a> {
    /// Signed with the device key.
    Signature(&'a [u8]),
    /// HMAC-SHA-256 under the open session: a chip that can't sign with its key. Counts as `weak`.
    Mac([u8; 32]),
}

/// What a unit says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Family prefix and chip id.
    pub device_id: DeviceId,
    /// The chip.
    pub platform: Platform,
    /// Grows with each release of the agent; an older agent refuses flash that a newer one wrote.
    pub agent_version: u32,
    /// SHA-256 of the agent's image, computed by the agent.
    pub agent_digest: Digest,
    /// Algorithms that this agent can sign with on this chip, as a set of bits `1 << code`.
    pub signs: u8,
    /// Algorithms whose key this agent can hold on this chip, as a set of bits `1 << code`.
    pub holds: u8,
    /// The committed device key, if there is one.
    pub key: Option<KeySummary>,
    /// The record that is valid now, if there is one.
    pub record: Option<RecordSummary>,
    /// Whether the unit is sealed.
    pub sealed: bool,
    /// Whether read-back protection is set, as the chip's own configuration says.
    pub protected: bool,
}

/// A committed device key, in short.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeySummary {
    /// Its algorithm.
    pub algorithm: Algorithm,
    /// How it was made: on-device or station.
    pub made: KeyPolicy,
    /// SHA-256 of its SPKI DER.
    pub fingerprint: Digest,
}

/// A valid identity record, in short.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordSummary {
    /// Grows by one with each record that is written.
    pub sequence: u32,
    /// [`record::digest`](crate::record::digest) of what flash holds.
    pub digest: Digest,
    /// SHA-256(salt ‖ credentials); zeros where the record has no credentials.
    pub credentials_commitment: Digest,
}

/// Why a unit did not do what it was asked. Variants are appended, never moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Refusal {
    /// No common version.
    #[error("the unit speaks protocol versions {minimum} to {maximum}")]
    UnsupportedVersion {
        /// The lowest version the unit speaks.
        minimum: u16,
        /// The highest version the unit speaks.
        maximum: u16,
    },
    /// The payload is not a request.
    #[error("the unit could not read the request")]
    Malformed,
    /// A request before `Hello`.
    #[error("the unit was asked before versions were agreed")]
    NoHello,
    /// The request must travel in a session, and there is none.
    #[error("the request needs an encrypted session, and none is open")]
    SessionRequired,
    /// The request must travel in a session that the device key has signed.
    #[error("the request needs a session signed by the device key")]
    AuthenticationRequired,
    /// The sealed frame did not open.
    #[error("the sealed message was not authentic")]
    NotAuthentic,
    /// The station's ephemeral key is no point of P-256.
    #[error("the session key sent is no point on P-256")]
    InvalidPoint,
    /// The unit has no committed device key.
    #[error("the unit has no device key")]
    NoKey,
    /// The unit already has a device key, and it is not what was asked for.
    #[error("the unit already has another device key")]
    KeyExists,
    /// This agent can't do that with this algorithm on this chip.
    #[error("the unit can't do that with this algorithm")]
    UnsupportedAlgorithm,
    /// Chunks out of order, too long, or missing at the commit.
    #[error(
        "the key arrived incomplete or out of order: the unit expected offset {expected}, got {got}"
    )]
    KeyTransfer {
        /// The offset that would have continued the key.
        expected: u16,
        /// The offset that came.
        got: u16,
    },
    /// The imported key is no key of its algorithm, or not the one announced.
    #[error("the imported private key is not the one announced")]
    InvalidKey,
    /// The hardware generator failed a health test; no key was made.
    #[error("the unit's random generator failed its {0:?} test")]
    GeneratorUnhealthy(HealthTest),
    /// Flash did not take what was written, or refused to.
    #[error("flash {0:?} failed at address {1:#010x}")]
    Flash(FlashFault, u32),
    /// The record's content is out of its limits or contradicts the key.
    #[error("the record was refused: {0:?}")]
    InvalidRecord(RecordFault),
    /// The unit has no valid record.
    #[error("the unit has no identity record")]
    NoRecord,
    /// The unit is sealed.
    #[error("the unit is sealed")]
    Sealed,
    /// The authority's signature did not verify, or no authority is on record.
    #[error("the product authority's signature was not valid for this unit and command")]
    NotAuthorised,
    /// Flash was written by a newer agent.
    #[error("flash was written by agent version {written}, this agent is version {running}")]
    OlderAgent {
        /// The version that wrote flash.
        written: u32,
        /// The version that runs.
        running: u32,
    },
    /// The chip has no such protection, or it did not take.
    #[error("read-back protection could not be set")]
    ProtectionFailed,
    /// The sequence number is older than the last one answered.
    #[error("replayed: the unit expected a sequence number after {last}, got {got}")]
    Replayed {
        /// The last sequence number that was answered.
        last: u16,
        /// The one that came.
        got: u16,
    },
}

/// A health test of SP 800-90B, section 4.4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum HealthTest {
    /// 4.4.1.
    RepetitionCount,
    /// 4.4.2.
    AdaptiveProportion,
    /// The generator gave no sample in time.
    Stalled,
}

/// What flash failed to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FlashFault {
    /// A page was not erased.
    Erase,
    /// A word did not take its value.
    Write,
    /// What was read back differs.
    Verify,
}

/// What is wrong with a record's content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RecordFault {
    /// The cloud key is empty or too long.
    CloudKey,
    /// The cloud address is empty or too long.
    CloudAddress,
    /// The network credentials are empty or too long.
    Credentials,
    /// The product's key policy does not accept the key that the unit has.
    KeyPolicy,
    /// The authority's key is no point on P-256.
    Authority,
}

impl Request<'_> {
    /// How long the station waits for the answer's first sign of life (an answer or a busy frame), in milliseconds.
    ///
    /// A unit announces slow work in a busy frame that says how long it will take, so this covers only what is quick: flash erases
    /// of 22 ms a page (nRF51822 Product Specification v3.4, table 43) and frames on a slow serial line.
    #[must_use]
    pub const fn deadline_ms(&self) -> u32 {
        match self {
            Self::Hello { .. } => 300,
            Self::Inject { .. } | Self::EraseIdentity | Self::CommitKey { .. } => 2_000,
            _ => 1_000,
        }
    }
}
