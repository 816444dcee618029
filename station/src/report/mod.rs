//! A work order's lot report: one HTML page that a person reads and prints, and that verifies without the station.
//!
//! The page holds what it was made from: the leaves of the order's units with their bodies, one proof that all of them stand in the
//! log ([`crate::audit::shared_proof`]), the log's checkpoint with its cosignatures, and the earlier checkpoints that the units' proofs
//! were bound to. [`verify`] checks all of it as it checks a dossier, and then makes the page again and compares it byte for byte: what
//! stands on the page is what was proven, and nothing else.
//!
//! What nobody could prove is not on it: no date of its own, no name of its maker. That it lists every unit can't be proven by what
//! is in it, and the page says so.
//!
//! **The page is part of the format.** A change of its template or style is a new version of [`FORMAT`], because pages that were
//! handed out must verify for years.

mod contents;
mod data;
mod make;
mod page;
mod tally;
mod verify;

use serde::{Deserialize, Serialize};

use crate::dossier::{DossierError, EarlierCheckpoint, HashPath};
use crate::record::OrderId;

pub use make::make;
pub use page::render;
pub(crate) use verify::checkpoint_of;
pub use verify::{Verdict, verify};

/// The format that this software writes: the data and the page.
pub const FORMAT: &str = "keyline-report/v2";

/// The format before, which it still reads: a unit whose pin was revoked stays what its run ended with, and only the pin's column says so.
pub const FORMAT_FIRST: &str = "keyline-report/v1";

/// How a page begins: what tells it from other files.
pub const PAGE_BEGIN: &str = "<!DOCTYPE html>\n<html lang=\"en\">\n<!-- keyline-report/v2 -->\n";

/// How a page of the format before begins.
const PAGE_BEGIN_FIRST: &str = "<!DOCTYPE html>\n<html lang=\"en\">\n<!-- keyline-report/v1 -->\n";

/// The formats that are read, each with the begin of its pages.
const FORMATS: [(&str, &str); 2] = [(FORMAT, PAGE_BEGIN), (FORMAT_FIRST, PAGE_BEGIN_FIRST)];

/// Whether a text begins as a page of a format that is read.
#[must_use]
pub fn is_page(text: &str) -> bool {
    FORMATS.iter().any(|(_, begin)| text.starts_with(begin))
}

/// The most units that one report holds. So many take about 62 MB; a browser still shows them.
pub const UNITS_MAX: usize = 10_000;

/// Which of an order's units a report is about: those whose last run in it began in this time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// From then on, in milliseconds since 1970; `None` from the beginning.
    pub from_ms: Option<u64>,
    /// Before then; `None` up to the end.
    pub to_ms: Option<u64>,
}

impl Window {
    /// Whether it takes a run that began then.
    #[must_use]
    pub fn takes(&self, at_ms: u64) -> bool {
        self.from_ms.is_none_or(|from| from <= at_ms) && self.to_ms.is_none_or(|to| at_ms < to)
    }

    /// Whether it takes every run.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.from_ms.is_none() && self.to_ms.is_none()
    }
}

/// What a page is made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// [`FORMAT`] or [`FORMAT_FIRST`].
    pub format: String,
    /// The work order.
    pub order: OrderId,
    /// Which of its units.
    pub window: Window,
    /// The checkpoint that all entries are under, a signed note with the cosignatures that the station has.
    pub checkpoint: String,
    /// The leaves, in the order of the log.
    pub entries: Vec<OpenedEntry>,
    /// The proof that all of them stand in the log.
    pub proof: HashPath,
    /// Checkpoints of this log from before: those in the nonces of the units' proofs, and those that hand over from one key of the
    /// log to the next.
    pub earlier: Vec<EarlierCheckpoint>,
}

/// A leaf and its opened body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenedEntry {
    /// Its index in the log.
    pub index: u64,
    /// Its bytes ([`crate::audit::Leaf`]), in base64.
    #[serde(with = "data::base64_bytes")]
    pub leaf: Vec<u8>,
    /// What the commitment to the body is salted with, in base64.
    #[serde(with = "data::base64_bytes")]
    pub salt: [u8; 32],
    /// The body, the very bytes that were committed to: JSON.
    pub body: String,
}

/// Why a report could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The log has no such order.
    #[error("expected an order of this station, got {0}")]
    UnknownOrder(OrderId),
    /// More than a page holds.
    #[error("expected at most {UNITS_MAX} units in a report, the order has {0} in this time")]
    TooManyUnits(usize),
    /// Journal or tree.
    #[error("what the log holds could not be collected")]
    Collect(#[from] DossierError),
    /// The entries contradict each other.
    #[error("expected entries that make a report, got others: {0}")]
    Contents(String),
    /// The page.
    #[error("the page could not be written")]
    Page(#[source] askama::Error),
    /// The data in it.
    #[error("the page's data could not be written")]
    Data(#[source] serde_json::Error),
}
