//! The Merkle tree of RFC 6962, 2.1: only its right edge is kept, so that appending costs the same at any size.

use sha2::{Digest as _, Sha256};

use super::AuditError;

/// SHA-256.
pub type Hash = [u8; 32];

/// The hash of a leaf: SHA-256(0x00 ‖ entry) (RFC 6962, 2.1).
#[must_use]
pub fn leaf_hash(entry: &[u8]) -> Hash {
    let mut hash = Sha256::new();
    hash.update([0]);
    hash.update(entry);
    hash.finalize().into()
}

/// The hash of an inner node: SHA-256(0x01 ‖ left ‖ right) (RFC 6962, 2.1).
#[must_use]
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    let mut hash = Sha256::new();
    hash.update([1]);
    hash.update(left);
    hash.update(right);
    hash.finalize().into()
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
    fn a_frontier_of_another_size_is_refused() {
        assert!(Frontier::from_bytes(3, &[0; 32]).is_err());
        assert!(Frontier::from_bytes(1, &[0; 33]).is_err());
        assert!(Frontier::from_bytes(0, &[0; 32]).is_err());
    }
}
