//! Proofs, true and changed.

use keyline_station::audit::{
    AuditError, Frontier, Hash, consistency_proof, empty_root, inclusion_proof, leaf_hash,
    node_hash, verify_consistency, verify_inclusion,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use tlog_tiles::{Hash as ForeignHash, check_record, check_tree};

/// The largest trees: Go's sizes are signed.
const SIZE_MAX: u64 = 1 << 62;

/// The root over `2^level` leaves from `n × 2^level` on.
///
/// `alike`: all leaves are the same, so that trees of any size have roots and proofs at once. Else they differ.
fn subtree(alike: bool, level: u32, n: u64) -> Hash {
    if level == 0 {
        return leaf_hash(&if alike { 0 } else { n }.to_be_bytes());
    }
    let left = subtree(alike, level - 1, n * 2);
    let right = if alike {
        left
    } else {
        subtree(alike, level - 1, n * 2 + 1)
    };
    node_hash(&left, &right)
}

fn root(alike: bool, size: u64) -> Hash {
    let (mut edge, mut first) = (Vec::new(), 0);
    for level in (0..u64::BITS).rev().filter(|bit| size >> bit & 1 == 1) {
        edge.extend(subtree(alike, level, first >> level));
        first += 1 << level;
    }
    Frontier::from_bytes(size, &edge).unwrap().root()
}

/// A change of a proof or of what it is said to prove.
#[derive(Clone, Debug)]
enum Edit {
    FlipPath(Index),
    FlipHash(bool, Index),
    Remove(Index),
    Repeat(Index),
    Swap(Index, Index),
    Number(bool, u64),
}

fn edit() -> impl Strategy<Value = Edit> {
    let number = prop_oneof![4 => 0..80_u64, 1 => 0..=SIZE_MAX];
    prop_oneof![
        any::<Index>().prop_map(Edit::FlipPath),
        (any::<bool>(), any::<Index>()).prop_map(|(which, at)| Edit::FlipHash(which, at)),
        any::<Index>().prop_map(Edit::Remove),
        any::<Index>().prop_map(Edit::Repeat),
        any::<[Index; 2]>().prop_map(|[one, other]| Edit::Swap(one, other)),
        (any::<bool>(), number).prop_map(|(which, number)| Edit::Number(which, number)),
    ]
}

/// A proof and what it is said to prove: leaf or old root and root, index or old size and size.
#[derive(Clone, Debug)]
struct Claim {
    hashes: [Hash; 2],
    numbers: [u64; 2],
    path: Vec<Hash>,
}

impl Claim {
    fn edited(mut self, edits: &[Edit]) -> Self {
        for edit in edits {
            let length = self.path.len();
            match edit {
                Edit::FlipHash(which, at) => flip(&mut self.hashes[usize::from(*which)], *at),
                Edit::Number(which, number) => self.numbers[usize::from(*which)] = *number,
                _ if length == 0 => self.path.push([7; 32]),
                Edit::FlipPath(at) => flip(self.path.as_flattened_mut(), *at),
                Edit::Remove(at) => _ = self.path.remove(at.index(length)),
                Edit::Repeat(at) => {
                    let at = at.index(length);
                    self.path.insert(at, self.path[at]);
                }
                Edit::Swap(one, other) => self.path.swap(one.index(length), other.index(length)),
            }
        }
        self
    }

    fn foreign(&self) -> ([ForeignHash; 2], Vec<ForeignHash>) {
        let path = self.path.iter().copied().map(ForeignHash).collect();
        (self.hashes.map(ForeignHash), path)
    }
}

fn flip(bytes: &mut [u8], at: Index) {
    let bit = at.index(bytes.len() * 8);
    bytes[bit / 8] ^= 1 << (bit % 8);
}

/// Whether all leaves are alike, a size, and a smaller number.
fn tree() -> impl Strategy<Value = (bool, u64, u64)> {
    let alike = prop_oneof![1..=80_u64, 1..=SIZE_MAX].prop_map(|size| (true, size));
    let different = (1..=80_u64).prop_map(|size| (false, size));
    (prop_oneof![different, alike], any::<u64>())
        .prop_map(|((alike, size), below)| (alike, size, below % size))
}

fn edits() -> impl Strategy<Value = Vec<Edit>> {
    prop_oneof![1 => Just(Vec::new()), 3 => vec(edit(), 1..4)]
}

fn inclusion(alike: bool, size: u64, index: u64) -> Claim {
    let subtree = |level, n| Ok::<_, AuditError>(subtree(alike, level, n));
    Claim {
        hashes: [subtree(0, index).unwrap(), root(alike, size)],
        numbers: [index, size],
        path: inclusion_proof(subtree, index, size).unwrap(),
    }
}

fn consistency(alike: bool, size: u64, old: u64) -> Claim {
    let subtree = |level, n| Ok::<_, AuditError>(subtree(alike, level, n));
    Claim {
        hashes: [root(alike, old), root(alike, size)],
        numbers: [old, size],
        path: consistency_proof(subtree, old, size).unwrap(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn inclusion_is_judged_as_others_judge_it((alike, size, index) in tree(), edits in edits()) {
        let claim = inclusion(alike, size, index).edited(&edits);
        let ([leaf, root], [index, size]) = (claim.hashes, claim.numbers);
        let ours = verify_inclusion(&leaf, index, size, &root, &claim.path);
        let ([leaf, root], path) = claim.foreign();
        let theirs = check_record(&path, size, root, index, leaf);
        prop_assert_eq!(ours.is_ok(), theirs.is_ok(), "{:?} {:?}", ours, theirs);
        prop_assert!(!edits.is_empty() || ours.is_ok(), "{:?}", ours);
    }

    #[test]
    fn consistency_is_judged_as_others_judge_it((alike, size, below) in tree(), edits in edits()) {
        let claim = consistency(alike, size, below + 1).edited(&edits);
        let ([old_root, root], [old, size]) = (claim.hashes, claim.numbers);
        let ours = verify_consistency(old, &old_root, size, &root, &claim.path);
        let ([foreign_old_root, foreign_root], path) = claim.foreign();
        let theirs = check_tree(&path, size, foreign_root, old, foreign_old_root);
        if old == 0 {
            // Others do not judge trees without leaves. Such a tree has one root, and is a prefix of every tree without any proof.
            let known = old_root == empty_root() && (size > 0 || root == empty_root());
            prop_assert_eq!(ours.is_ok(), known && claim.path.is_empty());
        } else {
            prop_assert_eq!(ours.is_ok(), theirs.is_ok(), "{:?} {:?}", ours, theirs);
        }
        prop_assert!(!edits.is_empty() || ours.is_ok(), "{:?}", ours);
    }

    #[test]
    fn no_numbers_and_hashes_make_a_proof(numbers in any::<[u64; 2]>(), hashes in any::<[Hash; 2]>(), path in vec(any::<Hash>(), 0..70)) {
        let [one, other] = numbers;
        prop_assert!(verify_inclusion(&hashes[0], one, other, &hashes[1], &path).is_err());
        prop_assert!(verify_consistency(one, &hashes[0], other, &hashes[1], &path).is_err());
    }
}

#[test]
fn the_tree_without_leaves_has_one_root() {
    let (empty, other) = (empty_root(), [7; 32]);
    assert!(verify_consistency(0, &empty, 0, &empty, &[]).is_ok());
    assert!(verify_consistency(0, &empty, 5, &other, &[]).is_ok());
    assert!(verify_consistency(0, &other, 0, &other, &[]).is_err());
    assert!(verify_consistency(0, &other, 5, &other, &[]).is_err());
    assert!(verify_consistency(0, &empty, 0, &other, &[]).is_err());
    assert!(verify_consistency(0, &empty, 5, &other, &[[0; 32]]).is_err());
}
