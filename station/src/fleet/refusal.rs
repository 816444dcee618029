//! A row that was refused: where it stands, why, and what to do.

use serde::{Deserialize, Serialize};

use super::key::KeyRefusal;
use crate::record::DeviceIdText;

/// Why a row was refused. Stable: scripts sort reports by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RefusalCode {
    /// The file ends inside of the row.
    Truncated,
    /// A row that is longer than any honest one.
    RowTooLong,
    /// Not UTF-8, or with NUL bytes.
    NotText,
    /// Quotes or fields that are no CSV of this header.
    NotCsv,
    /// Not one JSON object.
    NotJson,
    /// A member that no row has, or one that stands twice.
    UnknownMember,
    /// A member that every row needs.
    Missing,
    /// Not 24 hexadecimal digits.
    BadDeviceId,
    /// Not a product's name.
    BadProduct,
    /// Not a serial.
    BadSerial,
    /// No public key in any form that is read here.
    NotAKey,
    /// A private key, which must not be in such a file.
    PrivateKey,
    /// A certificate instead of a key.
    Certificate,
    /// A key that is cut off or damaged.
    DamagedKey,
    /// An algorithm that no device here has.
    WrongAlgorithm,
    /// A curve other than P-256.
    WrongCurve,
    /// No point on the curve, or not in its only encoding.
    BadPoint,
    /// A modulus of another length.
    RsaSize,
    /// Another exponent than 65537.
    RsaExponent,
    /// A modulus that is no product of two large primes.
    RsaModulus,
    /// A key of the weak generator of CVE-2017-15361.
    RsaRoca,
    /// Two primes so close that the modulus falls apart.
    RsaClosePrimes,
    /// The row's fingerprint or algorithm is not its key's.
    Mismatch,
    /// The row says that the key is not in force.
    NotActive,
    /// The device stands in an earlier row.
    DuplicateDevice,
    /// The key stands in an earlier row.
    DuplicateKey,
    /// The serial stands in an earlier row of the same product.
    DuplicateSerial,
    /// The registry knows the key as another device's, or as burnt.
    ReusedKey,
    /// The registry knows the device with another key.
    OtherKey,
    /// The registry knows the serial as another living device's.
    SerialInUse,
    /// The registry knows the device by another serial, or by none.
    OtherSerial,
    /// The registry has no such product.
    UnknownProduct,
}

impl RefusalCode {
    /// The code as it stands in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Truncated => "truncated",
            Self::RowTooLong => "row-too-long",
            Self::NotText => "not-text",
            Self::NotCsv => "not-csv",
            Self::NotJson => "not-json",
            Self::UnknownMember => "unknown-member",
            Self::Missing => "missing",
            Self::BadDeviceId => "bad-device-id",
            Self::BadProduct => "bad-product",
            Self::BadSerial => "bad-serial",
            Self::NotAKey => "not-a-key",
            Self::PrivateKey => "private-key",
            Self::Certificate => "certificate",
            Self::DamagedKey => "damaged-key",
            Self::WrongAlgorithm => "wrong-algorithm",
            Self::WrongCurve => "wrong-curve",
            Self::BadPoint => "bad-point",
            Self::RsaSize => "rsa-size",
            Self::RsaExponent => "rsa-exponent",
            Self::RsaModulus => "rsa-modulus",
            Self::RsaRoca => "rsa-roca",
            Self::RsaClosePrimes => "rsa-close-primes",
            Self::Mismatch => "mismatch",
            Self::NotActive => "not-active",
            Self::DuplicateDevice => "duplicate-device",
            Self::DuplicateKey => "duplicate-key",
            Self::DuplicateSerial => "duplicate-serial",
            Self::ReusedKey => "reused-key",
            Self::OtherKey => "other-key",
            Self::SerialInUse => "serial-in-use",
            Self::OtherSerial => "other-serial",
            Self::UnknownProduct => "unknown-product",
        }
    }
}

/// A row that was not taken in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedRow {
    /// The line that the row begins on, from 1, the header counted.
    pub line: u64,
    /// The device, where the row has a readable id.
    pub device_id: Option<DeviceIdText>,
    /// Why, for scripts.
    pub code: RefusalCode,
    /// What was expected and what came. It never holds anything of a key.
    pub message: String,
    /// What to do.
    pub next: String,
}

/// Why a row is refused, before it is known where it stands.
pub(super) struct Refusal {
    pub(super) code: RefusalCode,
    pub(super) message: String,
    pub(super) next: String,
}

impl Refusal {
    pub(super) fn new(code: RefusalCode, message: impl Into<String>, next: &str) -> Self {
        Self {
            code,
            message: message.into(),
            next: next.to_owned(),
        }
    }

    pub(super) fn at(self, line: u64, device_id: Option<DeviceIdText>) -> RefusedRow {
        RefusedRow {
            line,
            device_id,
            code: self.code,
            message: self.message,
            next: self.next,
        }
    }
}

impl From<KeyRefusal> for Refusal {
    fn from(refusal: KeyRefusal) -> Self {
        Self::new(refusal.code(), refusal.to_string(), refusal.next())
    }
}
