//! Fleets that exist already: read from CSV or JSON Lines row by row, handed on in batches, and written again.
//!
//! Principles: memory does not grow with the file; a bad row is refused with its line, a stable code and words, and the next one is read;
//! what is interrupted goes on where it stopped; a private key that somebody hands over is never echoed. `docs/FLEET.md` has the formats.
//!
//! Nothing here knows a database: rows go into a [`FleetSink`].

mod csv;
mod error;
mod export;
mod import;
mod jsonl;
mod jwk;
mod key;
mod lines;
mod member;
mod reader;
mod refusal;
mod report;
mod rsa;
mod seen;
mod sink;
mod state;

pub use error::{FileError, FleetError};
pub use export::{ExportedKey, FleetWriter, KeyForm, export_file};
pub use import::{
    ImportCounts, ImportObserver, ImportOptions, ImportOutcome, ImportProgress, import_file,
};
pub use key::{DeviceKey, KeyRefusal};
pub use lines::LINE_LENGTH_MAX;
pub use reader::{FleetFormat, FleetReader, ReadRow, ReaderOptions};
pub use refusal::{RefusalCode, RefusedRow};
pub use seen::{DUPLICATE_ROWS_MIN, ImportedKey};
pub use sink::{FleetSink, Imported, NoSink};
