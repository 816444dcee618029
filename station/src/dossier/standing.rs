//! What a pass stands on, at the end of a run and at any place of a unit's history.

use std::collections::HashMap;

use keyline_protocol::identity::fingerprint;

use super::finding::{Finding, broken, holds};
use super::log::Told;
use crate::record::{Change, Evidence, RunId, RunResult, parse_proof_transcript};

/// What a pass stands on: the latest proof and the latest pin.
#[derive(Clone, Copy, Default)]
pub(super) struct Standing {
    /// The proven key, and whether the proof is a MAC.
    pub(super) proven: Option<([u8; 32], bool)>,
    /// The pinned key.
    pub(super) pinned: Option<[u8; 32]>,
}

impl Standing {
    /// What stands after all of this evidence.
    pub(super) fn of<'e>(evidence: impl Iterator<Item = (u64, &'e Evidence)>) -> Self {
        let mut standing = Self::default();
        for (_, evidence) in evidence {
            standing.take(evidence);
        }
        standing
    }

    fn take(&mut self, evidence: &Evidence) {
        match evidence {
            Evidence::Pinned { fingerprint, .. } => self.pinned = Some(*fingerprint),
            Evidence::Proven {
                transcript, weak, ..
            } => {
                let proof = parse_proof_transcript(transcript);
                self.proven = proof.map(|proof| (fingerprint(proof.public_key), *weak));
            }
            _ => {}
        }
    }

    /// Whether a run may have ended like this.
    pub(super) fn passes(&self, result: RunResult, words: String) -> Finding {
        let Some((proven, weak)) = self.proven else {
            return broken("result", format!("{words} without a proof"));
        };
        match self.pinned {
            Some(pinned) if pinned == proven && weak == (result == RunResult::Weak) => {
                holds("result", words)
            }
            Some(pinned) if pinned == proven => broken(
                "result",
                format!(
                    "{words}, but the proof is {}",
                    if weak { "weak: a MAC" } else { "signed" }
                ),
            ),
            Some(pinned) => broken(
                "result",
                format!(
                    "{words}, but the pinned key {} is not the one that was proven",
                    hex::encode(pinned)
                ),
            ),
            None => broken(
                "result",
                format!("{words}, but key {} was not pinned", hex::encode(proven)),
            ),
        }
    }
}

/// What the registry said of a held run later.
#[derive(Clone, Copy)]
pub(super) struct Released {
    /// The index of the leaf that says so.
    pub(super) index: u64,
    /// The key that it acknowledged.
    pub(super) key: [u8; 32],
    /// Whether the proof was a MAC.
    pub(super) weak: bool,
}

/// What stood after each step of a unit, so that no run has to go through all that came before it.
pub(super) struct History {
    /// The index of the leaf, and what stood after it.
    standings: Vec<(u64, Standing)>,
    /// By run.
    released: HashMap<RunId, Released>,
}

impl History {
    pub(super) fn of(unit: &[&Told<'_>]) -> Self {
        let mut standing = Standing::default();
        let mut history = Self {
            standings: Vec::new(),
            released: HashMap::new(),
        };
        for one in unit {
            match &one.change {
                Change::StepDone { evidence, .. } => standing.take(evidence),
                Change::HeldReleased {
                    run,
                    fingerprint,
                    weak,
                    ..
                } => {
                    // A key that was pinned on the line stays the one that counts.
                    standing.pinned = standing.pinned.or(Some(*fingerprint));
                    let released = Released {
                        index: one.index,
                        key: *fingerprint,
                        weak: *weak,
                    };
                    history.released.entry(*run).or_insert(released);
                }
                _ => continue,
            }
            history.standings.push((one.index, standing));
        }
        history
    }

    /// What stood before the leaf at this index.
    pub(super) fn before(&self, index: u64) -> Standing {
        let earlier = self.standings.partition_point(|(at, _)| *at < index);
        let last = earlier.checked_sub(1).and_then(|at| self.standings.get(at));
        last.map_or_else(Standing::default, |(_, standing)| *standing)
    }

    /// What the registry said later of a run that ended held.
    pub(super) fn released(&self, run: RunId) -> Option<Released> {
        self.released.get(&run).copied()
    }
}
