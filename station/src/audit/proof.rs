//! Inclusion and consistency proofs (RFC 6962, 2.1.1 and 2.1.2; verification as in RFC 9162, 2.1.3.2 and 2.1.4.2).

use super::{AuditError, Hash, empty_root, node_hash};

/// The largest power of two that is smaller than `count`, which is at least 2.
pub(super) const fn split(count: u64) -> u64 {
    1 << (count - 1).ilog2()
}

/// The root over the leaves `first..first + count`; `first` is a multiple of the smallest power of two that holds `count`, as the
/// recursion of RFC 6962 always has it.
pub(super) fn range_root<E>(
    subtree: &mut impl FnMut(u32, u64) -> Result<Hash, E>,
    first: u64,
    count: u64,
) -> Result<Hash, E> {
    if count.is_power_of_two() {
        return subtree(count.ilog2(), first / count);
    }
    let left = split(count);
    let left_root = range_root(subtree, first, left)?;
    let right_root = range_root(subtree, first + left, count - left)?;
    Ok(node_hash(&left_root, &right_root))
}

/// The root of the tree of the first `size` leaves.
///
/// `subtree` as for [`inclusion_proof`].
///
/// # Errors
/// Whatever `subtree` returns.
pub fn tree_root<E>(
    mut subtree: impl FnMut(u32, u64) -> Result<Hash, E>,
    size: u64,
) -> Result<Hash, E> {
    match size {
        0 => Ok(super::empty_root()),
        _ => range_root(&mut subtree, 0, size),
    }
}

/// The audit path of leaf `index` in the tree of the first `size` leaves, from the leaf up.
///
/// `subtree(level, n)` gives the root over the leaves `n × 2^level .. (n + 1) × 2^level`, all of them in the tree.
///
/// # Errors
/// [`AuditError::OutOfTree`] where there is no such leaf, and whatever `subtree` returns.
pub fn inclusion_proof<E: From<AuditError>>(
    mut subtree: impl FnMut(u32, u64) -> Result<Hash, E>,
    index: u64,
    size: u64,
) -> Result<Vec<Hash>, E> {
    if index >= size {
        return Err(AuditError::OutOfTree {
            what: "an index below the size",
            limit: size.saturating_sub(1),
            got: index,
        }
        .into());
    }
    let (mut first, mut count) = (0, size);
    let mut path = Vec::new();
    while count > 1 {
        let left = split(count);
        if index < first + left {
            path.push(range_root(&mut subtree, first + left, count - left)?);
            count = left;
        } else {
            path.push(range_root(&mut subtree, first, left)?);
            first += left;
            count -= left;
        }
    }
    path.reverse();
    Ok(path)
}

/// The proof that the tree of the first `old` leaves is a prefix of that of the first `new` ones.
///
/// `subtree` as for [`inclusion_proof`]. The proof is empty where `old` is zero or equals `new`.
///
/// # Errors
/// [`AuditError::OutOfTree`] where `old` is larger than `new`, and whatever `subtree` returns.
pub fn consistency_proof<E: From<AuditError>>(
    mut subtree: impl FnMut(u32, u64) -> Result<Hash, E>,
    old: u64,
    new: u64,
) -> Result<Vec<Hash>, E> {
    if old > new {
        return Err(AuditError::OutOfTree {
            what: "an old size",
            limit: new,
            got: old,
        }
        .into());
    }
    if old == 0 || old == new {
        return Ok(Vec::new());
    }
    let (mut first, mut count, mut old) = (0, new, old);
    let mut path = Vec::new();
    let mut known_root = true;
    while old != count {
        let left = split(count);
        if old <= left {
            path.push(range_root(&mut subtree, first + left, count - left)?);
            count = left;
        } else {
            path.push(range_root(&mut subtree, first, left)?);
            first += left;
            old -= left;
            count -= left;
            known_root = false;
        }
    }
    if !known_root {
        path.push(range_root(&mut subtree, first, count)?);
    }
    path.reverse();
    Ok(path)
}

/// Checks that the leaf with this hash is at `index` of the tree of `size` leaves with this root.
///
/// # Errors
/// [`AuditError::OutOfTree`] or [`AuditError::ProofMismatch`].
pub fn verify_inclusion(
    leaf: &Hash,
    index: u64,
    size: u64,
    root: &Hash,
    path: &[Hash],
) -> Result<(), AuditError> {
    if index >= size {
        return Err(AuditError::OutOfTree {
            what: "an index below the size",
            limit: size.saturating_sub(1),
            got: index,
        });
    }
    let (mut node, mut last, mut hash) = (index, size - 1, *leaf);
    for sibling in path {
        if last == 0 {
            return Err(AuditError::ProofMismatch { what: "inclusion" });
        }
        if node & 1 == 1 || node == last {
            hash = node_hash(sibling, &hash);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    if last == 0 && hash == *root {
        Ok(())
    } else {
        Err(AuditError::ProofMismatch { what: "inclusion" })
    }
}

/// How many hashes the consistency proof from `old` to `new` leaves has; 0 where there is none to give.
#[must_use]
pub fn consistency_length(old: u64, new: u64) -> usize {
    if old == 0 || old >= new {
        return 0;
    }
    let shift = (old - 1).trailing_ones();
    let (mut node, mut last) = ((old - 1) >> shift, (new - 1) >> shift);
    let mut length = usize::from(!old.is_power_of_two());
    while last > 0 {
        if node & 1 == 1 || node < last {
            length += 1;
        }
        node >>= 1;
        last >>= 1;
    }
    length
}

/// Checks that the tree of `old` leaves with `old_root` is a prefix of that of `new` leaves with `new_root`.
///
/// # Errors
/// [`AuditError::OutOfTree`] or [`AuditError::ProofMismatch`].
pub fn verify_consistency(
    old: u64,
    old_root: &Hash,
    new: u64,
    new_root: &Hash,
    path: &[Hash],
) -> Result<(), AuditError> {
    const MISMATCH: AuditError = AuditError::ProofMismatch {
        what: "consistency",
    };
    if old > new {
        return Err(AuditError::OutOfTree {
            what: "an old size",
            limit: new,
            got: old,
        });
    }
    if old == new || old == 0 {
        // The tree without leaves has one root only, and is a prefix of every tree.
        let known_root = old != 0 || *old_root == empty_root();
        let same = old != new || old_root == new_root;
        return if path.is_empty() && known_root && same {
            Ok(())
        } else {
            Err(MISMATCH)
        };
    }
    let (seed, path) = if old.is_power_of_two() {
        (*old_root, path)
    } else {
        let (seed, rest) = path.split_first().ok_or(MISMATCH)?;
        (*seed, rest)
    };
    let shift = (old - 1).trailing_ones();
    let (mut node, mut last) = ((old - 1) >> shift, (new - 1) >> shift);
    let (mut old_hash, mut new_hash) = (seed, seed);
    for sibling in path {
        if last == 0 {
            return Err(MISMATCH);
        }
        if node & 1 == 1 || node == last {
            old_hash = node_hash(sibling, &old_hash);
            new_hash = node_hash(sibling, &new_hash);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            new_hash = node_hash(&new_hash, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    if last == 0 && old_hash == *old_root && new_hash == *new_root {
        Ok(())
    } else {
        Err(MISMATCH)
    }
}
