//! What a check found, in words.

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It holds.
    Holds,
    /// Nothing is wrong, but it shows less than one may think.
    Note,
    /// It does not hold: the file, or the log, is not what it says.
    Broken,
}

/// One check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What was checked: a stable name.
    pub check: &'static str,
    /// How it came out.
    pub outcome: Outcome,
    /// What was found, and what was expected where it is broken.
    pub words: String,
}

pub(crate) fn holds(check: &'static str, words: impl Into<String>) -> Finding {
    found(check, Outcome::Holds, words)
}

pub(crate) fn note(check: &'static str, words: impl Into<String>) -> Finding {
    found(check, Outcome::Note, words)
}

pub(crate) fn broken(check: &'static str, words: impl Into<String>) -> Finding {
    found(check, Outcome::Broken, words)
}

pub(crate) fn found(check: &'static str, outcome: Outcome, words: impl Into<String>) -> Finding {
    Finding {
        check,
        outcome,
        words: words.into(),
    }
}

/// Words about a leaf.
pub(crate) fn about(index: u64, words: &str) -> String {
    format!("leaf {index}: {words}")
}
