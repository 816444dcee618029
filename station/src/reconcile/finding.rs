//! What a verification finds, and how it is told: at once, so that memory stays flat however much is wrong.

use std::collections::HashMap;

use serde::Serialize;

use crate::audit::Hash;
use crate::error_text::counted;

/// How much a finding weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Something is not as it was signed, or contradicts it.
    Violation,
    /// Something is open, or can't be checked from here.
    Gap,
    /// Something looks odd and is accounted for.
    Explained,
}

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How much it weighs.
    pub severity: Severity,
    /// A stable name for scripts: one of [`Code`](super::Code)'s.
    pub code: &'static str,
    /// Where: a leaf, a table's row and column, a unit, a checkpoint.
    pub place: String,
    /// What was expected and what was found.
    pub message: String,
    /// What to do next.
    pub next: String,
}

/// What a verification came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Leaves that were read.
    pub leaves: u64,
    /// Stored checkpoints that were read.
    pub checkpoints: u64,
    /// Units that the log speaks of.
    pub units: u64,
    /// Keys of this station in the registry.
    pub claims: u64,
    /// The registry was at hand.
    pub registry_asked: bool,
    /// The tables were compared with the log.
    pub tables_compared: bool,
    /// Findings of each severity, those that were not told included.
    pub violations: u64,
    /// See `violations`.
    pub gaps: u64,
    /// See `violations`.
    pub explained: u64,
    /// Findings that were counted and not told, because so many of their code were told before.
    pub untold: u64,
    /// The root over all leaves, where the entries are whole.
    #[serde(with = "hex_root")]
    pub root: Option<Hash>,
}

impl Report {
    /// Whether nothing is wrong. Gaps may be left: what is open, and what could not be checked.
    #[must_use]
    pub const fn holds(&self) -> bool {
        self.violations == 0
    }

    /// What it came to, in a sentence.
    #[must_use]
    pub fn words(&self) -> String {
        let registry = if self.registry_asked {
            format!("{} in the registry", counted(self.claims, "key", "keys"))
        } else {
            "registry not asked".to_owned()
        };
        format!(
            "{} under {}, {}, {registry}: {}, {}, {} explained",
            counted(self.leaves, "leaf", "leaves"),
            counted(self.checkpoints, "checkpoint", "checkpoints"),
            counted(self.units, "unit", "units"),
            counted(self.violations, "violation", "violations"),
            counted(self.gaps, "gap", "gaps"),
            self.explained
        )
    }
}

mod hex_root {
    use serde::Serializer;

    use crate::audit::Hash;

    #[expect(clippy::ref_option, reason = "serde hands over the field by reference")]
    pub(super) fn serialize<S: Serializer>(
        root: &Option<Hash>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match root {
            Some(root) => serializer.serialize_some(&hex::encode(root)),
            None => serializer.serialize_none(),
        }
    }
}

/// How many findings of one code are told. The rest is counted: nobody reads on.
pub(super) const TOLD_MAX: u64 = 1_000;

/// Who is told.
pub(super) struct Findings<'a> {
    tell: &'a mut (dyn FnMut(Finding) + Send),
    told: HashMap<&'static str, u64>,
    pub(super) report: Report,
}

impl<'a> Findings<'a> {
    pub(super) fn new(tell: &'a mut (dyn FnMut(Finding) + Send)) -> Self {
        Self {
            tell,
            told: HashMap::new(),
            report: Report::default(),
        }
    }

    /// Counts and tells a finding.
    pub(super) fn add(&mut self, finding: Finding) {
        let count = match finding.severity {
            Severity::Violation => &mut self.report.violations,
            Severity::Gap => &mut self.report.gaps,
            Severity::Explained => &mut self.report.explained,
        };
        *count += 1;
        let told = self.told.entry(finding.code).or_default();
        if *told < TOLD_MAX {
            *told += 1;
            (self.tell)(finding);
        } else {
            self.report.untold += 1;
        }
    }

    /// Counts and tells several.
    pub(super) fn extend(&mut self, findings: impl IntoIterator<Item = Finding>) {
        for finding in findings {
            self.add(finding);
        }
    }
}
