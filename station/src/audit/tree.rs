//! The Merkle tree of RFC 6962, 2.1: only its right edge is kept, so that appending costs the same at any size.

use sha2::block_api::compress256;
use sha2::{Digest as _, Sha256};

use super::AuditError;

/// SHA-256.
pub type Hash = [u8; 32];

/// The longest entry, in bytes, whose leaf fills two blocks: 128 less the prefix, the end mark and the length.
const TWO_BLOCK_ENTRY_MAX: usize = 128 - 1 - 1 - 8;

/// SHA-256's initial state (FIPS 180-4, 5.3.3).
const INITIAL: [u32; 8] = [
    0x6a09_e667,
    0xbb67_ae85,
    0x3c6e_f372,
    0xa54f_f53a,
    0x510e_527f,
    0x9b05_688c,
    0x1f83_d9ab,
    0x5be0_cd19,
];

/// The hash of a leaf: SHA-256(0x00 ‖ entry) (RFC 6962, 2.1).
#[must_use]
pub fn leaf_hash(entry: &[u8]) -> Hash {
    if (64..=TWO_BLOCK_ENTRY_MAX).contains(&entry.len()) {
        return two_blocks(0, &[entry]);
    }
    let mut hash = Sha256::new();
    hash.update([0]);
    hash.update(entry);
    hash.finalize().into()
}

/// The hash of an inner node: SHA-256(0x01 ‖ left ‖ right) (RFC 6962, 2.1).
#[must_use]
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    two_blocks(1, &[left, right])
}

/// SHA-256(prefix ‖ parts) of a message that fills exactly two blocks: 64 to [`TWO_BLOCK_ENTRY_MAX`] bytes after the prefix.
///
/// Almost everything in a log is such a message. Laying the blocks out here spares the digest's own buffer, and whoever reads a whole
/// log a tenth of his time.
fn two_blocks(prefix: u8, parts: &[&[u8]]) -> Hash {
    let mut blocks = [[0; 64]; 2];
    let message = blocks.as_flattened_mut();
    message[0] = prefix;
    let mut end = 1;
    for part in parts {
        message[end..end + part.len()].copy_from_slice(part);
        end += part.len();
    }
    message[end] = 0x80;
    let bits = end * 8;
    message[120..].copy_from_slice(&(bits as u64).to_be_bytes());
    let mut state = INITIAL;
    compress256(&mut state, &blocks);
    let mut hash = [0; 32];
    for (bytes, word) in hash.chunks_exact_mut(4).zip(state) {
        bytes.copy_from_slice(&word.to_be_bytes());
    }
    hash
}

/// The root of a tree without leaves: SHA-256 of nothing (RFC 6962, 2.1).
#[must_use]
pub fn empty_root() -> Hash {
    Sha256::digest([]).into()
}

/// The right edge of a tree: the roots of its complete subtrees, the largest first.
///
/// Holding one says nothing about where it came from: compare its [`root`](Self::root) with a signed checkpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    roots: Vec<Hash>,
}

impl Frontier {
    /// How many leaves the tree has.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Appends a leaf by its [`leaf_hash`].
    pub fn append(&mut self, leaf: Hash) {
        let mut node = leaf;
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.roots.pop() {
                node = node_hash(&left, &node);
            }
        }
        self.roots.push(node);
        self.size += 1;
    }

    /// The root of the tree.
    #[must_use]
    pub fn root(&self) -> Hash {
        self.roots
            .iter()
            .rev()
            .copied()
            .reduce(|right, left| node_hash(&left, &right))
            .unwrap_or_else(empty_root)
    }

    /// The roots of the complete subtrees, the largest first, one after the other.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.roots.concat()
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote for a tree of `size` leaves.
    ///
    /// # Errors
    /// [`AuditError::Format`] where the number of subtrees is not that of the size.
    pub fn from_bytes(size: u64, bytes: &[u8]) -> Result<Self, AuditError> {
        let (roots, rest) = bytes.as_chunks::<32>();
        if !rest.is_empty() || roots.len() != size.count_ones() as usize {
            return Err(AuditError::Format {
                expected: "the roots of a tree's complete subtrees, 32 bytes each",
                got: format!("{} bytes for {size} leaves", bytes.len()),
            });
        }
        Ok(Self {
            size,
            roots: roots.to_vec(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition in RFC 6962, 2.1, word for word.
    fn root_by_definition(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => empty_root(),
            [one] => *one,
            many => {
                let split = many.len().next_power_of_two() / 2;
                node_hash(
                    &root_by_definition(&many[..split]),
                    &root_by_definition(&many[split..]),
                )
            }
        }
    }

    #[test]
    fn the_frontier_gives_the_root_of_the_definition_and_survives_storage() {
        let leaves: Vec<Hash> = (0..300_u32).map(|n| leaf_hash(&n.to_be_bytes())).collect();
        let mut frontier = Frontier::default();
        for size in 0..=leaves.len() {
            assert_eq!(
                frontier.root(),
                root_by_definition(&leaves[..size]),
                "{size}"
            );
            let stored = Frontier::from_bytes(frontier.size(), &frontier.to_bytes()).unwrap();
            assert_eq!(stored, frontier);
            if let Some(leaf) = leaves.get(size) {
                frontier.append(*leaf);
            }
        }
    }

    #[test]
    fn hashes_of_every_length_are_those_of_the_library() {
        let entry: Vec<u8> = (0..300_u16).map(|n| n.to_le_bytes()[0]).collect();
        for length in 0..entry.len() {
            let entry = &entry[..length];
            let expected: Hash = Sha256::digest([&[0][..], entry].concat()).into();
            assert_eq!(leaf_hash(entry), expected, "{length}");
        }
        let (left, right) = (leaf_hash(b"left"), leaf_hash(b"right"));
        let expected: Hash = Sha256::digest([&[1][..], &left, &right].concat()).into();
        assert_eq!(node_hash(&left, &right), expected);
    }

    #[test]
    fn a_frontier_of_another_size_is_refused() {
        assert!(Frontier::from_bytes(3, &[0; 32]).is_err());
        assert!(Frontier::from_bytes(1, &[0; 33]).is_err());
        assert!(Frontier::from_bytes(0, &[0; 32]).is_err());
    }
}
