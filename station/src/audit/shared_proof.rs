//! One proof for many leaves: what their own proofs would repeat stands in it once.
//!
//! The proof has the roots of the largest subtrees without any of the leaves, from left to right, as the recursion of RFC 6962 (2.1)
//! splits the tree. Whoever has the leaves puts them in between and comes to the root. A proof of one leaf has the hashes of its
//! inclusion proof, in another order. Leaves that lie close together cost little more than one of them.

use super::proof::{range_root, split};
use super::{AuditError, Hash, empty_root, node_hash};

/// The proof of the leaves at `indexes`, which rise, in the tree of the first `size` leaves.
///
/// `subtree(level, n)` gives the root over the leaves `n × 2^level .. (n + 1) × 2^level`, all of them in the tree.
///
/// # Errors
/// [`AuditError::OutOfTree`] where an index is not in the tree or in no order, and whatever `subtree` returns.
pub fn shared_proof<E: From<AuditError>>(
    mut subtree: impl FnMut(u32, u64) -> Result<Hash, E>,
    indexes: &[u64],
    size: u64,
) -> Result<Vec<Hash>, E> {
    check(indexes.iter().copied(), size)?;
    let mut proof = Vec::new();
    if size > 0 {
        others(&mut subtree, indexes, 0, size, &mut proof)?;
    }
    Ok(proof)
}

/// Adds the roots of what is not one of the leaves, in the range of `count` leaves from `first` on.
fn others<E>(
    subtree: &mut impl FnMut(u32, u64) -> Result<Hash, E>,
    indexes: &[u64],
    first: u64,
    count: u64,
    proof: &mut Vec<Hash>,
) -> Result<(), E> {
    if indexes.is_empty() {
        proof.push(range_root(subtree, first, count)?);
    } else if count > 1 {
        let left = split(count);
        let middle = indexes.partition_point(|index| *index < first + left);
        let (before, after) = indexes.split_at(middle);
        others(subtree, before, first, left, proof)?;
        others(subtree, after, first + left, count - left, proof)?;
    }
    Ok(())
}

/// Checks that all leaves, index and hash, in rising order, are in the tree of `size` leaves with this root.
///
/// # Errors
/// [`AuditError::OutOfTree`] where an index is not in the tree or in no order, [`AuditError::ProofMismatch`] where the proof does not
/// lead from these leaves to the root.
pub fn verify_shared(
    leaves: &[(u64, Hash)],
    size: u64,
    root: &Hash,
    proof: &[Hash],
) -> Result<(), AuditError> {
    const MISMATCH: AuditError = AuditError::ProofMismatch {
        what: "shared inclusion",
    };
    check(leaves.iter().map(|(index, _)| *index), size)?;
    let mut rest = proof.iter();
    let made = match size {
        0 => Some(empty_root()),
        _ => put_together(leaves, 0, size, &mut rest),
    };
    if made == Some(*root) && rest.next().is_none() {
        Ok(())
    } else {
        Err(MISMATCH)
    }
}

/// The root of a range; `None` where the proof is too short. It goes no deeper than the tree is high.
fn put_together(
    leaves: &[(u64, Hash)],
    first: u64,
    count: u64,
    proof: &mut std::slice::Iter<'_, Hash>,
) -> Option<Hash> {
    match leaves {
        [] => proof.next().copied(),
        [(_, leaf)] if count == 1 => Some(*leaf),
        _ => {
            let left = split(count);
            let middle = leaves.partition_point(|(index, _)| *index < first + left);
            let (before, after) = leaves.split_at(middle);
            let left_root = put_together(before, first, left, proof)?;
            let right_root = put_together(after, first + left, count - left, proof)?;
            Some(node_hash(&left_root, &right_root))
        }
    }
}

/// Refuses indexes that do not rise or are not in the tree: a range of one leaf then has one at most.
fn check(indexes: impl Iterator<Item = u64>, size: u64) -> Result<(), AuditError> {
    let mut least = 0;
    for index in indexes {
        if index < least || index >= size {
            return Err(AuditError::OutOfTree {
                what: "rising indexes below the size",
                limit: size.saturating_sub(1),
                got: index,
            });
        }
        least = index + 1;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::{inclusion_proof, leaf_hash, tree_root};

    fn hash_of(index: u64) -> Hash {
        leaf_hash(&index.to_be_bytes())
    }

    fn subtree(level: u32, n: u64) -> Result<Hash, AuditError> {
        if level == 0 {
            return Ok(hash_of(n));
        }
        let (left, right) = (subtree(level - 1, 2 * n)?, subtree(level - 1, 2 * n + 1)?);
        Ok(node_hash(&left, &right))
    }

    fn chosen(size: u64, bits: u64) -> Vec<u64> {
        (0..size).filter(|index| bits >> index & 1 == 1).collect()
    }

    fn leaves(indexes: &[u64]) -> Vec<(u64, Hash)> {
        indexes
            .iter()
            .map(|index| (*index, hash_of(*index)))
            .collect()
    }

    #[test]
    fn every_choice_of_leaves_of_every_small_tree_is_proven() {
        for size in 0..=9 {
            let root = tree_root(subtree, size).unwrap();
            for bits in 0..1 << size {
                let indexes = chosen(size, bits);
                let proof = shared_proof(subtree, &indexes, size).unwrap();
                verify_shared(&leaves(&indexes), size, &root, &proof).unwrap();
            }
        }
    }

    #[test]
    fn the_proof_of_one_leaf_is_as_long_as_its_own() {
        for index in [0, 5, 98, 99] {
            let mut own = inclusion_proof(subtree, index, 100).unwrap();
            let mut shared = shared_proof(subtree, &[index], 100).unwrap();
            own.sort_unstable();
            shared.sort_unstable();
            assert_eq!(own, shared);
        }
    }

    #[test]
    fn nothing_else_is_proven() {
        for size in 1..=7_u64 {
            let root = tree_root(subtree, size).unwrap();
            for bits in 1..1 << size {
                let indexes = chosen(size, bits);
                let good = leaves(&indexes);
                let proof = shared_proof(subtree, &indexes, size).unwrap();
                let refused = |leaves: &[(u64, Hash)], proof: &[Hash]| {
                    assert!(verify_shared(leaves, size, &root, proof).is_err());
                };
                for place in 0..good.len() {
                    let mut other = good.clone();
                    other[place].1[7] ^= 1;
                    refused(&other, &proof);
                    let mut moved = good.clone();
                    moved[place].0 += 1;
                    refused(&moved, &proof);
                    let mut fewer = good.clone();
                    fewer.remove(place);
                    refused(&fewer, &proof);
                }
                for place in 0..proof.len() {
                    let mut other = proof.clone();
                    other[place][0] ^= 1;
                    refused(&good, &other);
                    other.remove(place);
                    refused(&good, &other);
                }
                refused(&good, &[&proof[..], &[root]].concat());
            }
        }
    }

    #[test]
    fn indexes_rise_and_are_in_the_tree() {
        for indexes in [&[1, 1][..], &[2, 1], &[4], &[u64::MAX]] {
            assert!(shared_proof(subtree, indexes, 4).is_err(), "{indexes:?}");
            let root = tree_root(subtree, 4).unwrap();
            assert!(verify_shared(&leaves(indexes), 4, &root, &[]).is_err());
        }
    }
}
