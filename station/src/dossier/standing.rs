//! What a pass stands on, at the end of a run and at any place of a unit's history.

use keyline_protocol::identity::fingerprint;

use super::finding::{Finding, broken, holds};
use crate::record::{Evidence, RunResult, parse_proof_transcript};

/// What a pass stands on: the latest proof and the latest pin.
#[derive(Clone, Copy, Default)]
pub(super) struct Standing {
    /// The proven key, and whether the proof is a MAC.
    pub(super) proven: Option<([u8; 32], bool)>,
    /// The pinned key.
    pinned: Option<[u8; 32]>,
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

/// What stood after each step of a unit, so that no run has to go through all that came before it.
pub(super) struct History {
    /// The index of the step's leaf, and what stood after it.
    steps: Vec<(u64, Standing)>,
}

impl History {
    pub(super) fn of<'e>(evidence: impl Iterator<Item = (u64, &'e Evidence)>) -> Self {
        let mut standing = Standing::default();
        let after = |(index, evidence)| {
            standing.take(evidence);
            (index, standing)
        };
        Self {
            steps: evidence.map(after).collect(),
        }
    }

    /// What stood before the leaf at this index.
    pub(super) fn before(&self, index: u64) -> Standing {
        let earlier = self.steps.partition_point(|(step, _)| *step < index);
        let last = earlier.checked_sub(1).and_then(|at| self.steps.get(at));
        last.map_or_else(Standing::default, |(_, standing)| *standing)
    }
}
