//! Findings of many units, told in few lines.

use std::collections::BTreeMap;

use crate::dossier::{Finding, Outcome};
use crate::record::DeviceIdText;

/// How many broken units of one check are told one by one.
const BROKEN_TOLD_MAX: usize = 20;

/// What was found of one check with one outcome.
#[derive(Default)]
struct Found {
    units: usize,
    /// The unit that was counted last.
    last: Option<DeviceIdText>,
    /// The first ones, in words.
    words: Vec<String>,
}

/// Findings by check and outcome.
#[derive(Default)]
pub(super) struct Tally(BTreeMap<(&'static str, u8), Found>);

const fn rank(outcome: Outcome) -> u8 {
    match outcome {
        Outcome::Broken => 0,
        Outcome::Note => 1,
        Outcome::Holds => 2,
    }
}

impl Tally {
    /// Adds what was found of a unit.
    pub(super) fn add(&mut self, device_id: DeviceIdText, findings: Vec<Finding>) {
        for finding in findings {
            let key = (finding.check, rank(finding.outcome));
            let found = self.0.entry(key).or_default();
            if found.last != Some(device_id) {
                found.units += 1;
                found.last = Some(device_id);
            }
            let told_max = match finding.outcome {
                Outcome::Broken => BROKEN_TOLD_MAX,
                Outcome::Note | Outcome::Holds => 1,
            };
            if found.words.len() < told_max {
                found
                    .words
                    .push(format!("unit {}: {}", device_id.0, finding.words));
            }
        }
    }

    /// One finding a check and outcome; broken ones one by one, the first of them.
    pub(super) fn told(self) -> Vec<Finding> {
        let mut told = Vec::new();
        for ((check, rank), found) in self.0 {
            let outcome = match rank {
                0 => Outcome::Broken,
                1 => Outcome::Note,
                _ => Outcome::Holds,
            };
            let units = if found.units == 1 { "unit" } else { "units" };
            let mut tell = |words| {
                told.push(Finding {
                    check,
                    outcome,
                    words,
                });
            };
            let total = found.units;
            if outcome != Outcome::Broken {
                let example = found.words.into_iter().next().unwrap_or_default();
                tell(format!("{total} {units}, such as {example}"));
                continue;
            }
            let shown = found.words.len();
            found.words.into_iter().for_each(&mut tell);
            if total > shown {
                tell(format!("{total} units in all"));
            }
        }
        told
    }
}
