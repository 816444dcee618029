//! Why the registry refuses.

use std::path::PathBuf;

use crate::authority::AuthorityError;
use crate::record::{DeviceIdText, FailureCode, Label, StationId};

/// Why the registry refuses, or can't answer. A refusal leaves nothing behind but, where it may mean a clone, an alarm.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// The address of the registry is none.
    #[error(
        "expected a registry address sqlite:PATH or postgres://ROLE@HOST[:PORT][,HOST…]/DATABASE, got one of {scheme:?} with {problem}"
    )]
    BadAddress {
        /// What stands before the colon; never more, for there may be a password in it.
        scheme: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// There is a password in the address.
    #[error("expected a registry address without a password, got one with a password")]
    PasswordInAddress,
    /// The server is elsewhere, and nothing says how it is recognised.
    #[error(
        "expected the file of the authority that signed the certificate of {servers}, got none"
    )]
    TlsNeeded {
        /// The servers.
        servers: String,
    },
    /// A file that the address needs can't be read.
    #[error("{} can't be read", .path.display())]
    FileUnreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The database does not let this role do it.
    #[error("the registry does not allow this role to go on {doing}")]
    NotAllowed {
        /// What was being done.
        doing: &'static str,
        /// What the database said.
        #[source]
        source: sqlx::Error,
    },
    /// The database has no schema, or one that is too old.
    #[error("the registry needs schema {expected} or newer, this one has {found}")]
    NoSchema {
        /// The oldest schema that this software can use.
        expected: i64,
        /// What is there; 0 where there is none.
        found: i64,
    },
    /// The database can't be reached, or was lost.
    #[error("the registry can't be reached while {doing}")]
    Unreachable {
        /// What was being done.
        doing: &'static str,
        /// What the database said.
        #[source]
        source: sqlx::Error,
    },
    /// The database answered with an error of its own.
    #[error("the registry's database failed while {doing}")]
    Database {
        /// What was being done.
        doing: &'static str,
        /// What the database said.
        #[source]
        source: sqlx::Error,
    },
    /// The database is busy with others, again and again.
    #[error("the registry was busy with other stations in {attempts} attempts")]
    Busy {
        /// How often it was tried.
        attempts: u32,
    },
    /// The registry was closed, or its task has ended.
    #[error("the registry was closed")]
    Closed,
    /// The schema could not be brought up to date.
    #[error("the registry's schema could not be brought up to date")]
    Migration(#[source] sqlx::migrate::MigrateError),
    /// The registry says that this software is too old for it.
    #[error(
        "the registry needs a client of schema version {needed} or newer, this one knows {ours}"
    )]
    TooNew {
        /// The oldest version that may write.
        needed: i64,
        /// This software's.
        ours: i64,
    },
    /// What is stored contradicts itself.
    #[error("the registry is damaged: {what}: expected {expected}, found {found}")]
    Damaged {
        /// Where.
        what: &'static str,
        /// What should stand there.
        expected: &'static str,
        /// What stands there.
        found: String,
    },
    /// The public key is none of the algorithm that it is said to be.
    #[error("expected an SPKI DER public key of algorithm {algorithm}, {problem}")]
    BadPublicKey {
        /// The algorithm's name.
        algorithm: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The signature over the claim is not by the key that is claimed.
    #[error("the signature over the claim for unit {} is not by the claimed key {}", .device_id.0, hex::encode(.fingerprint))]
    PossessionNotShown {
        /// The unit.
        device_id: DeviceIdText,
        /// The claimed key.
        fingerprint: [u8; 32],
    },
    /// The proof's nonce is not made from a checkpoint and random bytes.
    #[error("expected a nonce that is SHA-256(checkpoint digest ‖ random), got {}", hex::encode(.nonce))]
    BadNonce {
        /// The nonce.
        nonce: [u8; 32],
    },
    /// The nonce has proven something else.
    #[error("the nonce {} has been used for another proof", hex::encode(.nonce))]
    NonceUsed {
        /// The nonce.
        nonce: [u8; 32],
    },
    /// The proof does not verify with the claimed key.
    #[error("the proof of unit {} does not verify with its claimed key {}", .device_id.0, hex::encode(.fingerprint))]
    ProofInvalid {
        /// The unit.
        device_id: DeviceIdText,
        /// The claimed key.
        fingerprint: [u8; 32],
    },
    /// The proof speaks of something else than the claim.
    #[error("the proof of unit {} and its claim differ in the {what}", .device_id.0)]
    ProofDiffersFromClaim {
        /// The unit.
        device_id: DeviceIdText,
        /// What differs.
        what: &'static str,
    },
    /// A MAC can stand for a proof only where the key is one that small chips can't sign with, and where no signature came before.
    #[error(
        "expected a signature by the {algorithm} key, got a MAC: this key can sign, or has signed before"
    )]
    WeakNotAllowed {
        /// The algorithm's name.
        algorithm: &'static str,
    },
    /// Nobody has claimed this key.
    #[error("expected a claim for key {}, there is none", hex::encode(.fingerprint))]
    NotClaimed {
        /// The key.
        fingerprint: [u8; 32],
    },
    /// The device has no active pin.
    #[error("expected an active pin of unit {}, there is none", .0.0)]
    NotPinned(DeviceIdText),
    /// The key belongs to another device, for ever.
    #[error("key {} belongs to unit {}", hex::encode(.fingerprint), .owner.0)]
    KeyBelongsToAnother {
        /// The key.
        fingerprint: [u8; 32],
        /// Whose it is.
        owner: DeviceIdText,
    },
    /// The device is trusted with another key.
    #[error("unit {} is pinned to key {}", .device_id.0, hex::encode(.active))]
    DeviceHasAnotherKey {
        /// The device.
        device_id: DeviceIdText,
        /// Its active key.
        active: [u8; 32],
    },
    /// The device had a key that was revoked; only a rework gives it a new one.
    #[error("the key of unit {} was revoked; only a rework order gives it a new one", .0.0)]
    NeedsRework(DeviceIdText),
    /// The device is on a bench, or was: its keys come from there.
    #[error("unit {} has keys from a bench already, and none of them is the active one of the import", .0.0)]
    BeingMade(DeviceIdText),
    /// The registry has no bundle of this product.
    #[error("expected a product of which the registry has a bundle, got {0:?}")]
    UnknownProduct(String),
    /// Another living unit has the serial.
    #[error(
        "serial \"{}\" of product {} names unit {} since {}; unit {} can't have it too",
        .label.serial, .label.product, .holder.0, crate::clock::text(*.since_ms), .device_id.0
    )]
    SerialInUse {
        /// What was scanned.
        label: Label,
        /// The unit that was to have it.
        device_id: DeviceIdText,
        /// The unit that has it.
        holder: DeviceIdText,
        /// Since when, in milliseconds since 1970.
        since_ms: u64,
    },
    /// The unit is known by another serial of this product, or by none where nothing may be added.
    #[error(
        "unit {} has {} of product {}, got \"{}\"",
        .device_id.0, known_serial(.known.as_deref()), .label.product, .label.serial
    )]
    UnitHasAnotherSerial {
        /// What was scanned.
        label: Label,
        /// The unit.
        device_id: DeviceIdText,
        /// The serial by which the registry knows it.
        known: Option<String>,
    },
    /// The key was superseded before it proved itself.
    #[error("key {} was superseded by a newer one and never returns", hex::encode(.fingerprint))]
    KeyBurnt {
        /// The key.
        fingerprint: [u8; 32],
    },
    /// The key was revoked.
    #[error("key {} was revoked and never returns", hex::encode(.fingerprint))]
    KeyRevoked {
        /// The key.
        fingerprint: [u8; 32],
    },
    /// A demonstration's root on a server.
    #[error("expected a root policy that is no demonstration's, got a demonstration's")]
    DemonstrationRoot,
    /// The registry obeys another root.
    #[error("this registry obeys the root policy {}, got {}", hex::encode(.known), hex::encode(.got))]
    RootKnown {
        /// The digest of the one that it obeys.
        known: [u8; 32],
        /// The digest of this one.
        got: [u8; 32],
    },
    /// The registry obeys no root yet.
    #[error("expected a registry that obeys a root policy, this one has none yet")]
    NoRoot,
    /// The bundle counts under another root.
    #[error("expected a bundle under the root policy {}, got one under {}", hex::encode(.expected), hex::encode(.got))]
    OtherRoot {
        /// The digest of the root that the registry obeys.
        expected: [u8; 32],
        /// The digest of the bundle's.
        got: [u8; 32],
    },
    /// The registry has a later version, or another text of this one.
    #[error("expected a version of {bundle} later than {known}, got {got}")]
    BundleRolledBack {
        /// Kind and subject.
        bundle: String,
        /// The version that it has.
        known: u64,
        /// This one's.
        got: u64,
    },
    /// What was signed is not enough.
    #[error(transparent)]
    Authority(#[from] Box<AuthorityError>),
    /// The station was enrolled before, or another one of its name.
    #[error("expected a new station, {id} or one named {name:?} is enrolled already")]
    StationKnown {
        /// The station.
        id: StationId,
        /// Its name.
        name: String,
    },
    /// There is no such station, or it is retired.
    #[error("expected an enrolled station that is not retired, {id} is none")]
    StationUnknown {
        /// The station.
        id: StationId,
    },
    /// The checkpoint is none, or not the one that it is said to be.
    #[error("expected {expected} for the log {origin}, got {got}")]
    BadCheckpoint {
        /// The log's name.
        origin: String,
        /// What was expected.
        expected: &'static str,
        /// What came.
        got: String,
    },
    /// The log has become shorter.
    #[error(
        "the log {origin} has shown {known} leaves and now shows {got}: its station may run on a journal that was restored from an old copy"
    )]
    LogRolledBack {
        /// The log's name.
        origin: String,
        /// The leaves of the latest checkpoint.
        known: u64,
        /// The leaves of this one.
        got: u64,
    },
    /// The log has two roots at one size.
    #[error(
        "the log {origin} has shown root {} at {size} leaves and now shows {}: its past was written anew, or two copies of its home are in use",
        hex::encode(.known_root), hex::encode(.got_root)
    )]
    LogForked {
        /// The log's name.
        origin: String,
        /// The size.
        size: u64,
        /// The root that was entered.
        known_root: [u8; 32],
        /// The root of this one.
        got_root: [u8; 32],
    },
    /// The log is another station's.
    #[error(
        "the log {origin} is that of station {station}: two stations have the same name, or a copied home runs under another id"
    )]
    OriginOfAnother {
        /// The log's name.
        origin: String,
        /// Whose it is.
        station: StationId,
    },
}

/// A serial that is known, in words.
fn known_serial(known: Option<&str>) -> String {
    known.map_or_else(
        || "no serial".to_owned(),
        |serial| format!("the serial \"{serial}\""),
    )
}

impl RegistryError {
    /// The server does not answer.
    pub(super) fn silent(doing: &'static str) -> Self {
        Self::Unreachable {
            doing,
            source: sqlx::Error::Io(std::io::ErrorKind::TimedOut.into()),
        }
    }

    /// The failure of a run that met this error.
    #[must_use]
    pub const fn failure_code(&self) -> FailureCode {
        match self {
            Self::Unreachable { .. } | Self::Busy { .. } | Self::Closed => {
                FailureCode::RegistryUnreachable
            }
            Self::BadAddress { .. }
            | Self::PasswordInAddress
            | Self::TlsNeeded { .. }
            | Self::FileUnreadable { .. }
            | Self::NotAllowed { .. }
            | Self::NoSchema { .. }
            | Self::Database { .. }
            | Self::Migration(_)
            | Self::TooNew { .. }
            | Self::Damaged { .. }
            | Self::NotClaimed { .. }
            | Self::BadCheckpoint { .. }
            | Self::DemonstrationRoot
            | Self::RootKnown { .. }
            | Self::NoRoot
            | Self::OtherRoot { .. }
            | Self::BundleRolledBack { .. }
            | Self::Authority(_)
            | Self::StationKnown { .. }
            | Self::StationUnknown { .. }
            | Self::LogRolledBack { .. }
            | Self::LogForked { .. }
            | Self::OriginOfAnother { .. }
            | Self::BeingMade(_)
            | Self::UnknownProduct(_)
            | Self::NotPinned(_) => FailureCode::RegistryRefused,
            Self::BadPublicKey { .. } => FailureCode::KeyUnsuitable,
            Self::PossessionNotShown { .. } => FailureCode::PossessionFailed,
            Self::BadNonce { .. }
            | Self::NonceUsed { .. }
            | Self::ProofInvalid { .. }
            | Self::ProofDiffersFromClaim { .. }
            | Self::WeakNotAllowed { .. } => FailureCode::ProofInvalid,
            Self::KeyBelongsToAnother { .. } => FailureCode::KeyBelongsToAnother,
            Self::DeviceHasAnotherKey { .. } => FailureCode::DeviceHasAnotherKey,
            Self::SerialInUse { .. } => FailureCode::SerialInUse,
            Self::UnitHasAnotherSerial { .. } => FailureCode::UnitHasAnotherSerial,
            Self::NeedsRework(_) | Self::KeyBurnt { .. } | Self::KeyRevoked { .. } => {
                FailureCode::KeyRevoked
            }
        }
    }

    /// Whether trying again later may succeed, with nothing changed.
    #[must_use]
    pub const fn is_temporary(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. } | Self::Busy { .. } | Self::Closed
        )
    }

    /// What to do next.
    #[must_use]
    pub const fn next(&self) -> &'static str {
        match self {
            Self::BadAddress { .. } => {
                "Write the address as the message has it; docs/OPERATIONS.md has examples."
            }
            Self::PasswordInAddress => {
                "Take the password out of the address, and name a file of mode 0600 with it: password_file, or --password-file FILE."
            }
            Self::TlsNeeded { .. } => {
                "Name the authority's certificate: ca_file in the configuration, or --ca-file FILE."
            }
            Self::FileUnreadable { .. } => "Check the path and its permissions.",
            Self::NotAllowed { .. } => {
                "Look whose role it is with `keyline registry status`; a station has to be enrolled, and shows the certificate of its role."
            }
            Self::NoSchema { .. } => {
                "Have the owner of the registry run `keyline registry migrate`."
            }
            Self::TooNew { .. } => "Install a newer keyline on this machine.",
            Self::Migration(_) => {
                "Run it as the owner of the database, who may make roles; what was done stays done, and running it again goes on."
            }
            Self::BeingMade(_) | Self::UnknownProduct(_) => {
                "Look the device up with `keyline pin show`, and the products with `keyline authority fetch`."
            }
            Self::DemonstrationRoot => {
                "Make a root policy of your own, as docs/CEREMONY.md goes through it."
            }
            Self::RootKnown { .. } => {
                "Have enough keys of the registry's root sign the new one: `keyline authority policy --previous FILE`."
            }
            Self::NoRoot => {
                "Publish the root policy first: `keyline authority publish root.policy`."
            }
            Self::OtherRoot { .. } => "Have it signed under the root that the registry obeys.",
            Self::BundleRolledBack { .. } => {
                "Make the bundle with a later version; an earlier one never counts again."
            }
            Self::Authority(_) => "Look at the file with `keyline authority show FILE`.",
            Self::StationKnown { .. } => {
                "Give the station another name; one that takes another's place has an id of its own (`keyline station replace`)."
            }
            Self::StationUnknown { .. } => "Enrol the station first.",
            Self::LogRolledBack { .. }
            | Self::LogForked { .. }
            | Self::OriginOfAnother { .. }
            | Self::BadCheckpoint { .. } => {
                "Stop that station, keep its home as it is, and run `keyline audit verify --deep`."
            }
            Self::Database { .. } | Self::Damaged { .. } => {
                "Have the registry's operator look at the database's own log."
            }
            Self::BadPublicKey { .. }
            | Self::PossessionNotShown { .. }
            | Self::BadNonce { .. }
            | Self::NonceUsed { .. }
            | Self::ProofInvalid { .. }
            | Self::ProofDiffersFromClaim { .. }
            | Self::WeakNotAllowed { .. }
            | Self::NotClaimed { .. }
            | Self::NotPinned(_)
            | Self::KeyBelongsToAnother { .. }
            | Self::DeviceHasAnotherKey { .. }
            | Self::SerialInUse { .. }
            | Self::UnitHasAnotherSerial { .. }
            | Self::NeedsRework(_)
            | Self::KeyBurnt { .. }
            | Self::KeyRevoked { .. } => self.failure_code().next(),
            Self::Unreachable { .. } | Self::Busy { .. } | Self::Closed => {
                "Check the network and the registry's address, then run `keyline doctor`."
            }
        }
    }
}
