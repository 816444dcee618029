//! Exports: what an auditor or a customer takes away, as files that say by themselves where they come from and that nothing is missing.
//!
//! An export is a directory with one data file a format, the checkpoint that covers the data, and a manifest signed by the log's key:
//!
//! ```text
//! DIR/                          0700; it appears whole or not at all
//!   units.csv | leaves.csv      RFC 4180, UTF-8, CRLF, a header
//!   units.jsonl | …             JSON Lines, one object a row
//!   units.parquet | …           typed columns, row groups of bounded size
//!   checkpoint.txt              the log's checkpoint, a C2SP signed note
//!   log-keys.json               how one key of the log handed over to the next; not where there was one only
//!   manifest.txt                what is here, a C2SP signed note (see `Manifest`)
//! ```
//!
//! Sealed to a person's key, the same files stand in a tar archive inside of one CMS file, `export.cms`, and nothing else leaves.
//!
//! # Rows
//! - **units**: one row a unit, in the state that its last run left it in. A unit belongs to the order of its last run. `--from` and
//!   `--to` are about when that run began.
//! - **leaves**: one row a leaf of the audit log, with what opens its commitment. `--from` and `--to` are about the leaf's wall time.
//!
//! A row belongs to the customer of its order's product, and where a customer is given no other row appears: not by order, not by
//! unit, and not in a body, for a body that may name another's unit is withheld (column `withheld`), and nobody's salt is shown
//! without the body.
//!
//! No operator's name is in an export, only his random id; and a body that names the file with network credentials is withheld too.
//!
//! # Cells
//! Times stand as RFC 3339 in UTC and once more as milliseconds since 1970. Bytes are hexadecimal in CSV and JSON, and bytes in Parquet.
//! What is missing is an empty cell in CSV, `null` elsewhere.
//!
//! A spreadsheet runs a cell that begins with `=`, `+`, `-`, `@`, a tab or a line end as a formula. In CSV such a text gets one `'`
//! before it, and so does a text that begins with `'`: whoever takes one leading `'` off each text has the very text back. JSON Lines
//! and Parquet have every text as it is.
//!
//! # Order of things
//! All pages are read in one snapshot of the journal, under its checkpoint. The manifest is signed, then the export is journalled (a
//! leaf of its own, [`crate::record::Change::Exported`], with the manifest's digest), and only then does the directory get its name.
//! Memory stays flat whatever the number of rows; only a sealed export is held in memory, up to a limit.

mod archive;
mod column;
mod csv;
mod error;
mod filter;
mod format;
mod hand_over;
mod jsonl;
mod leaf_row;
mod manifest;
mod measured;
mod parquet;
mod place;
mod rows;
mod run;
mod selection;
mod unit_row;
mod verify;

pub use archive::SEALED_FILE;
pub use column::{Column, ColumnKind};
pub use error::ExportError;
pub use filter::{Filter, parse_time};
pub use format::Format;
pub use hand_over::HAND_OVER_FILE;
pub use leaf_row::COLUMNS as LEAF_COLUMNS;
pub use manifest::{CHECKPOINT_FILE, MANIFEST_FILE, Manifest, ManifestFile};
pub use rows::Rows;
pub use run::{ExportJob, ExportOptions, Exported, clear_leftovers, export};
pub use unit_row::COLUMNS as UNIT_COLUMNS;
pub(crate) use verify::file_digest;
pub use verify::{VerifiedExport, VerifyError, verify};
