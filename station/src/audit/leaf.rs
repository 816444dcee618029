//! The bytes of a leaf: a public envelope, and a salted commitment to a body that stays in the journal.
//!
//! Leaf version 1, every integer big-endian:
//!
//! | size | field |
//! |-|-|
//! | 1 | version, 1 |
//! | 1 + n | length of the kind, the kind in ASCII (`step-done`) |
//! | 8 | wall time, milliseconds since 1970 |
//! | 8 | monotonic time, milliseconds since the machine started |
//! | 16 | the kernel's boot id |
//! | 1 + 16 | 1 and the run's id, or a single 0 |
//! | 1 + 12 | 1 and the device id, or a single 0 |
//! | 32 | commitment: SHA-256(salt ‖ body), the salt 32 random bytes |
//!
//! The body is the change as JSON. Body and salt are shown one by one, to those whom they concern; without the salt nothing in the
//! body can be guessed from the log. A reader that does not know a version reads no further.

use sha2::{Digest as _, Sha256};

use super::{AuditError, Hash};
use crate::record::{DeviceIdText, RunId};

/// The leaf version that this software writes.
pub const LEAF_VERSION: u8 = 1;

/// SHA-256(salt ‖ body).
#[must_use]
pub fn commitment(salt: &[u8; 32], body: &[u8]) -> Hash {
    let mut hash = Sha256::new();
    hash.update(salt);
    hash.update(body);
    hash.finalize().into()
}

/// A leaf, as its fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaf<'a> {
    /// The kind of the change; at most 255 bytes of ASCII.
    pub kind: &'a str,
    /// Wall time in milliseconds since 1970.
    pub wall_ms: u64,
    /// Time since the machine started, in milliseconds.
    pub monotonic_ms: u64,
    /// The kernel's boot id.
    pub boot_id: [u8; 16],
    /// The run, if the change belongs to one.
    pub run: Option<RunId>,
    /// The unit, if the change is about one.
    pub device_id: Option<DeviceIdText>,
    /// [`commitment`] to the body.
    pub commitment: Hash,
}

impl<'a> Leaf<'a> {
    /// The leaf's bytes: what the tree hashes. A kind is cut at 255 bytes; none comes near.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let kind = &self.kind.as_bytes()[..self.kind.len().min(255)];
        let mut bytes = Vec::with_capacity(2 + kind.len() + 94);
        bytes.push(LEAF_VERSION);
        bytes.push(u8::try_from(kind.len()).unwrap_or(u8::MAX));
        bytes.extend_from_slice(kind);
        bytes.extend_from_slice(&self.wall_ms.to_be_bytes());
        bytes.extend_from_slice(&self.monotonic_ms.to_be_bytes());
        bytes.extend_from_slice(&self.boot_id);
        put_option(&mut bytes, self.run.as_ref().map(|run| &run.as_bytes()[..]));
        put_option(
            &mut bytes,
            self.device_id.as_ref().map(|id| &id.0.as_bytes()[..]),
        );
        bytes.extend_from_slice(&self.commitment);
        bytes
    }

    /// Reads what [`encode`](Self::encode) wrote, and nothing else.
    ///
    /// # Errors
    /// [`AuditError::Format`] where the bytes are no leaf of version 1.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, AuditError> {
        Self::read(bytes).ok_or_else(|| {
            let shown = &bytes[..bytes.len().min(16)];
            AuditError::format("a leaf of version 1", &hex::encode(shown))
        })
    }

    fn read(bytes: &'a [u8]) -> Option<Self> {
        let (&[version, length], rest) = bytes.split_first_chunk::<2>()?;
        let (kind, rest) = rest.split_at_checked(usize::from(length))?;
        let (wall_ms, rest) = rest.split_first_chunk::<8>()?;
        let (monotonic_ms, rest) = rest.split_first_chunk::<8>()?;
        let (boot_id, rest) = rest.split_first_chunk::<16>()?;
        let (run, rest) = take_option::<16>(rest)?;
        let (device_id, rest) = take_option::<12>(rest)?;
        let kind = str::from_utf8(kind).ok().filter(|kind| kind.is_ascii())?;
        (version == LEAF_VERSION).then_some(Self {
            kind,
            wall_ms: u64::from_be_bytes(*wall_ms),
            monotonic_ms: u64::from_be_bytes(*monotonic_ms),
            boot_id: *boot_id,
            run: run.map(RunId::from_bytes),
            device_id: device_id
                .map(|id| DeviceIdText(keyline_protocol::identity::DeviceId::from_bytes(id))),
            commitment: rest.try_into().ok()?,
        })
    }
}

fn put_option(bytes: &mut Vec<u8>, field: Option<&[u8]>) {
    bytes.push(u8::from(field.is_some()));
    bytes.extend_from_slice(field.unwrap_or_default());
}

fn take_option<const N: usize>(bytes: &[u8]) -> Option<(Option<[u8; N]>, &[u8])> {
    match bytes.split_first()? {
        (0, rest) => Some((None, rest)),
        (1, rest) => {
            let (field, rest) = rest.split_first_chunk::<N>()?;
            Some((Some(*field), rest))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use keyline_protocol::identity::DeviceId;

    #[test]
    fn the_bytes_of_version_1_do_not_change() {
        let leaf = Leaf {
            kind: "step-done",
            wall_ms: 0x0102,
            monotonic_ms: 3,
            boot_id: [0xb0; 16],
            run: Some(RunId::from_bytes([0x11; 16])),
            device_id: Some(DeviceIdText(DeviceId::from_bytes([0xdd; 12]))),
            commitment: commitment(&[7; 32], b"{}"),
        };
        let expected = [
            "0109737465702d646f6e65",
            "00000000000001020000000000000003",
            "b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0",
            "0111111111111111111111111111111111",
            "01dddddddddddddddddddddddd",
            &hex::encode(leaf.commitment),
        ]
        .concat();
        assert_eq!(hex::encode(leaf.encode()), expected);
        assert_eq!(Leaf::decode(&leaf.encode()).unwrap(), leaf);
        let bare = Leaf {
            run: None,
            device_id: None,
            ..leaf
        };
        assert_eq!(Leaf::decode(&bare.encode()).unwrap(), bare);
    }

    #[test]
    fn no_other_bytes_are_a_leaf() {
        let bytes = Leaf {
            kind: "stopped",
            wall_ms: 1,
            monotonic_ms: 1,
            boot_id: [0; 16],
            run: None,
            device_id: None,
            commitment: [9; 32],
        }
        .encode();
        for length in 0..bytes.len() {
            assert!(Leaf::decode(&bytes[..length]).is_err(), "{length}");
        }
        let longer = [&bytes[..], &[0]].concat();
        assert!(Leaf::decode(&longer).is_err());
        let mut newer = bytes;
        newer[0] = 2;
        assert!(Leaf::decode(&newer).is_err());
    }
}
