//! The audit log before software that nobody here wrote. It accepts every checkpoint and every proof, and refuses every changed bit.
//!
//! | verifier | checkpoint | inclusion | consistency |
//! |-|-|-|-|
//! | crates `signed_note` and `tlog_tiles` | signature, root from the leaves | yes | yes |
//! | crate `ct-merkle` | signature by `signed_note` | yes | yes |
//! | Go's `x/mod/sumdb/note` and `tlog`, the reference | signature, root from the leaves | yes | yes |
//! | Python's `sigstore` | signature | yes | it knows none |
//! | Python's `pymerkle` | signature by `sigstore`, root from the leaves | yes | roots only, by a proof of its own |
//!
//! `case.rs` says what is asked, `log.rs` makes the logs, `judge.rs` reaches the verifiers, `change.rs` changes bits.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that can't go on has failed"
)]

mod case;
mod change;
mod judge;
mod log;
#[path = "../common/python.rs"]
mod python;
mod rust;
mod station;

use case::Case;
use change::Change;
use judge::Judge;
use log::Log;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

/// Logs of every size up to this one are verified whole.
const SMALL: u64 = 300;
/// The size of the large log.
const LARGE: u64 = 100_000;
/// How many proofs of each kind are drawn from the large log.
const DRAWN: u64 = 300;
/// How many changed bits are drawn from the small log, and from the large one.
const CHANGES: [usize; 2] = [800, 200];

/// The seed of everything that is drawn: `KEYLINE_SEED`, or 1.
fn seed() -> u64 {
    std::env::var("KEYLINE_SEED").map_or(1, |seed| seed.parse().unwrap())
}

fn small_log() -> Log {
    Log::made(seed(), SMALL, 1..=SMALL)
}

fn large_log() -> Log {
    let mut random = SmallRng::seed_from_u64(seed());
    let sizes = (0..DRAWN).map(|_| random.random_range(1..LARGE));
    Log::made(seed(), LARGE, sizes.collect::<Vec<_>>())
}

/// All that can be asked of a log between its checkpoints.
fn everything(log: &Log) -> impl Iterator<Item = Case> {
    log.sizes().flat_map(move |size| {
        let inclusions = (0..size).map(move |index| log.inclusion_case(index, size));
        let older = log.sizes().filter(move |old| *old <= size);
        let consistencies = older.map(move |old| log.consistency_case(old, size));
        std::iter::once(log.checkpoint_case(size))
            .chain(inclusions)
            .chain(consistencies)
    })
}

/// Every checkpoint of a log, drawn leaves and its ends, and every older checkpoint against the last one.
fn drawn(log: &Log) -> impl Iterator<Item = Case> {
    let mut random = SmallRng::seed_from_u64(seed());
    let size = log.size();
    let ends = [0, size - 1].into_iter();
    let indexes = ends.chain((2..DRAWN).map(move |_| random.random_range(0..size)));
    log.sizes()
        .map(|size| log.checkpoint_case(size))
        .chain(indexes.map(move |index| log.inclusion_case(index, size)))
        .chain(log.sizes().map(move |old| log.consistency_case(old, size)))
}

/// The verifier accepts all cases that it knows; says how many.
fn accepts<'a, I>(judge: Judge, log: &'a Log, cases: impl Fn(&'a Log) -> I) -> u64
where
    I: Iterator<Item = Case> + 'a,
{
    let asked = |case: &Case| judge.knows(case);
    let verdicts = judge.verdicts(log, cases(log).filter(asked));
    let refused = verdicts.iter().position(Result::is_err);
    if let Some(refused) = refused {
        let case = cases(log).filter(asked).nth(refused).unwrap().to_line();
        let why = &verdicts[refused];
        panic!("KEYLINE_SEED={}: {judge:?}: {why:?}: {case}", seed());
    }
    assert_eq!(verdicts.len(), cases(log).filter(asked).count());
    verdicts.len() as u64
}

/// The verifier accepts what is true and refuses the same with one bit changed, `count` times.
fn refuses_changes(judge: Judge, log: &Log, count: usize) {
    let mut random = SmallRng::seed_from_u64(seed());
    let mut changes = Vec::new();
    let mut left = count;
    for part in judge.parts().iter().cycle() {
        if left == 0 {
            break;
        }
        let change = Change::draw(&mut random, log, *part);
        if judge.reads_text() && !change.is_text() {
            // There is no way to hand it over: another bit is drawn in its place.
            continue;
        }
        let overlooked = change
            .overlooked()
            .is_some_and(|kind| judge.overlooks(kind));
        // What the verifier is known to overlook is asked as well, but does not count.
        left -= usize::from(!overlooked);
        changes.push((change, overlooked));
    }
    let cases = changes
        .iter()
        .flat_map(|(change, _)| [change.original.clone(), change.changed.clone()]);
    let verdicts = judge.verdicts(log, cases);
    let mut refused = 0;
    let (pairs, rest) = verdicts.as_chunks::<2>();
    assert_eq!((pairs.len(), rest), (changes.len(), &[][..]));
    for ([original, changed], (change, overlooked)) in pairs.iter().zip(&changes) {
        let what = format!("KEYLINE_SEED={}: {judge:?}: {}", seed(), change.what);
        assert_eq!(original, &Ok(()), "the unchanged one: {what}");
        assert_eq!(changed.is_ok(), *overlooked, "{changed:?}: {what}");
        refused += usize::from(changed.is_err());
    }
    assert_eq!(refused, count, "KEYLINE_SEED={}: {judge:?}", seed());
}

fn accepts_the_small_log(judge: Judge) {
    let proofs = SMALL * (SMALL + 1) / 2;
    let expected = match judge {
        Judge::CtMerkle => 2 * proofs,
        Judge::Sigstore => SMALL + proofs,
        Judge::TlogTiles | Judge::Go | Judge::Pymerkle => SMALL + 2 * proofs,
    };
    assert_eq!(accepts(judge, &small_log(), everything), expected);
}

fn accepts_the_large_log(judge: Judge) {
    assert!(accepts(judge, &large_log(), drawn) >= 2 * DRAWN);
}

fn refuses_every_changed_bit(judge: Judge) {
    refuses_changes(judge, &small_log(), CHANGES[0]);
    refuses_changes(judge, &large_log(), CHANGES[1]);
}

macro_rules! before {
    ($($name:ident: $judge:ident),*) => {$(
        mod $name {
            use crate::judge::Judge::$judge;

            #[test]
            fn accepts_all_of_the_logs_of_1_to_300_leaves() {
                crate::accepts_the_small_log($judge);
            }

            #[test]
            fn accepts_a_log_of_100_000_leaves() {
                crate::accepts_the_large_log($judge);
            }

            #[test]
            fn refuses_1000_of_1000_changed_bits() {
                crate::refuses_every_changed_bit($judge);
            }
        }
    )*};
}

before!(tlog_tiles: TlogTiles, ct_merkle: CtMerkle, go: Go, sigstore: Sigstore, pymerkle: Pymerkle);
