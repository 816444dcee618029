//! The words of the protocol as types: device id, platform, algorithm, key policy, lock policy.

use core::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// A SHA-256 digest, or a value of the same size that is used as one.
pub type Digest = [u8; 32];

/// A name for a thing that the station knows: product, order, run or station. Sixteen bytes, made by the station (UUID version 7).
pub type Id = [u8; 16];

/// SHA-256 of a public key's SPKI DER: what the log, the registry and people call the key.
#[must_use]
pub fn fingerprint(spki: &[u8]) -> Digest {
    Sha256::digest(spki).into()
}

/// Twelve bytes, shown as 24 hexadecimal digits: a 4-byte family prefix and the chip's own 8-byte id.
///
/// It is a name, not a root of trust: anybody can claim it, only the key proves it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DeviceId([u8; 12]);

impl DeviceId {
    /// The id of a chip of `platform` whose own id reads as the two 32-bit words `low` (first in memory) and `high`.
    ///
    /// Shown high word first, as the maker's tools print it (nRF51 Series Reference Manual v3.0, 7.1: `DEVICEID[0..1]`).
    #[must_use]
    pub fn from_words(platform: Platform, low: u32, high: u32) -> Self {
        let mut bytes = [0; 12];
        bytes[..4].copy_from_slice(&platform.family_prefix());
        bytes[4..8].copy_from_slice(&high.to_be_bytes());
        bytes[8..].copy_from_slice(&low.to_be_bytes());
        Self(bytes)
    }

    /// The id that stands in these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 12]) -> Self {
        Self(bytes)
    }

    /// The twelve bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 12] {
        &self.0
    }

    /// Reads 24 hexadecimal digits, in either case; `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.as_bytes();
        if digits.len() != 24 {
            return None;
        }
        let mut bytes = [0; 12];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = hexadecimal_value(pair[0])? << 4 | hexadecimal_value(pair[1])?;
        }
        Some(Self(bytes))
    }
}

fn hexadecimal_value(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

impl fmt::Display for DeviceId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

impl fmt::Debug for DeviceId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "DeviceId({self})")
    }
}

/// The chip that a unit is built on. New chips are appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Platform {
    /// Nordic nRF51822: Cortex-M0, 256 KiB of flash in 1 KiB pages, 16 KiB of RAM.
    Nrf51822,
    /// Nordic nRF52832: Cortex-M4F, 512 KiB of flash in 4 KiB pages, 64 KiB of RAM.
    Nrf52832,
    /// Nordic nRF52840: Cortex-M4F, 1 MiB of flash in 4 KiB pages, 256 KiB of RAM.
    Nrf52840,
}

impl Platform {
    /// Every platform, in the order of their codes.
    pub const ALL: [Self; 3] = [Self::Nrf51822, Self::Nrf52832, Self::Nrf52840];

    /// The first four bytes of this family's device ids: "KL" and the part's number.
    #[must_use]
    pub const fn family_prefix(self) -> [u8; 4] {
        match self {
            Self::Nrf51822 => [b'K', b'L', 0x51, 0x22],
            Self::Nrf52832 => [b'K', b'L', 0x52, 0x32],
            Self::Nrf52840 => [b'K', b'L', 0x52, 0x40],
        }
    }

    /// The name that people type and read.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nrf51822 => "nrf51822",
            Self::Nrf52832 => "nrf52832",
            Self::Nrf52840 => "nrf52840",
        }
    }

    /// The number that stands for the platform in transcripts. Frozen.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Nrf51822 => 1,
            Self::Nrf52832 => 2,
            Self::Nrf52840 => 3,
        }
    }
}

/// The algorithm of a device key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Algorithm {
    /// ECDSA over NIST P-256 with SHA-256; signatures are `r ‖ s`, 64 bytes.
    P256,
    /// RSA, modulus of 2,048 bits, exponent 65537; PKCS #1 v1.5 signatures with SHA-256, 256 bytes.
    Rsa2048,
    /// RSA, modulus of 3,072 bits, exponent 65537; PKCS #1 v1.5 signatures with SHA-256, 384 bytes.
    Rsa3072,
}

impl Algorithm {
    /// Every algorithm, in the order of their codes.
    pub const ALL: [Self; 3] = [Self::P256, Self::Rsa2048, Self::Rsa3072];

    /// The name that people type and read.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::P256 => "p256",
            Self::Rsa2048 => "rsa2048",
            Self::Rsa3072 => "rsa3072",
        }
    }

    /// The number that stands for the algorithm in transcripts and in flash. Frozen.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::P256 => 1,
            Self::Rsa2048 => 2,
            Self::Rsa3072 => 3,
        }
    }

    /// The algorithm that a number in flash stands for.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.code() == code)
    }

    /// The length of a signature in bytes.
    #[must_use]
    pub const fn signature_length(self) -> usize {
        match self {
            Self::P256 => 64,
            Self::Rsa2048 => 256,
            Self::Rsa3072 => 384,
        }
    }

    /// The length of the modulus in bytes; `None` where the algorithm has none.
    #[must_use]
    pub const fn modulus_length(self) -> Option<usize> {
        match self {
            Self::P256 => None,
            Self::Rsa2048 => Some(256),
            Self::Rsa3072 => Some(384),
        }
    }
}

/// Where a device key comes from: what a product demands, and what a unit says of the key that it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum KeyPolicy {
    /// The agent draws it on the unit; the private key never leaves.
    OnDevice,
    /// The station makes it, sends it over an encrypted session and wipes it.
    Station,
    /// It was there before the run. Only a product can ask for this; a unit says how the key was made.
    Existing,
}

impl KeyPolicy {
    /// Every policy, in the order of their codes.
    pub const ALL: [Self; 3] = [Self::OnDevice, Self::Station, Self::Existing];

    /// The name that people type and read.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::OnDevice => "on-device",
            Self::Station => "station",
            Self::Existing => "existing",
        }
    }

    /// The number that stands for the policy in transcripts and in flash. Frozen.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::OnDevice => 1,
            Self::Station => 2,
            Self::Existing => 3,
        }
    }

    /// The policy that a number in flash stands for.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|policy| policy.code() == code)
    }

    /// Whether a key that was made in the way `made` satisfies this policy.
    #[must_use]
    pub fn accepts(self, made: Self) -> bool {
        self == Self::Existing || self == made
    }
}

/// How far a finished unit is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum LockPolicy {
    /// Not at all: for development.
    Open,
    /// The agent answers only identify and prove.
    Sealed,
    /// Sealed, and the debug port's read-back protection is set.
    ReadBack,
}

impl LockPolicy {
    /// Every policy, in the order of their codes.
    pub const ALL: [Self; 3] = [Self::Open, Self::Sealed, Self::ReadBack];

    /// The name that people type and read.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Sealed => "sealed",
            Self::ReadBack => "read-back",
        }
    }

    /// The number that stands for the policy in transcripts and in flash. Frozen.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Open => 1,
            Self::Sealed => 2,
            Self::ReadBack => 3,
        }
    }

    /// The policy that a number in flash stands for.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|policy| policy.code() == code)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::string::ToString;

    use super::*;

    #[test]
    fn a_device_id_reads_back_what_it_shows() {
        let id = DeviceId::from_words(Platform::Nrf51822, 0x1234_5678, 3);
        assert_eq!(id.to_string(), "4b4c51220000000312345678");
        assert_eq!(DeviceId::parse(&id.to_string()), Some(id));
        assert_eq!(DeviceId::parse("4B4C51220000000312345678"), Some(id));
        for bad in [
            "",
            "4b4c5122000000031234567",
            "4b4c512200000003123456789",
            "4b4c5122000000031234567g",
            "4b4c51220000000é1234567",
        ] {
            assert_eq!(DeviceId::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn codes_read_back() {
        for algorithm in Algorithm::ALL {
            assert_eq!(Algorithm::from_code(algorithm.code()), Some(algorithm));
        }
        for policy in KeyPolicy::ALL {
            assert_eq!(KeyPolicy::from_code(policy.code()), Some(policy));
        }
        for policy in LockPolicy::ALL {
            assert_eq!(LockPolicy::from_code(policy.code()), Some(policy));
        }
        assert_eq!(Algorithm::from_code(0), None);
        assert_eq!(LockPolicy::from_code(0xff), None);
    }
}
