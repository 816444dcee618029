//! The formats of a data file, and writing in any of them.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

use super::ExportError;
use super::column::{Cell, Column};
use super::csv::CsvFile;
use super::jsonl::JsonlFile;
use super::measured::{Measure, MeasuredFile};
use super::parquet::ParquetFile;
use crate::seal::SealError;

/// The format of a data file.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    clap::ValueEnum,
)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// For spreadsheets: RFC 4180
    Csv,
    /// JSON Lines: one object a row
    Jsonl,
    /// Apache Parquet: typed columns, for data tools
    Parquet,
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 3] = [Self::Csv, Self::Jsonl, Self::Parquet];

    /// The name, which is also how its files' names end.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Jsonl => "jsonl",
            Self::Parquet => "parquet",
        }
    }
}

/// A data file that is being written.
pub(super) struct DataFile {
    path: PathBuf,
    format: Format,
    writer: Writer,
    rows: u64,
    over: Arc<AtomicU64>,
}

enum Writer {
    Csv(Box<CsvFile>),
    Jsonl(JsonlFile),
    Parquet(Box<ParquetFile>),
}

/// What a library refused, before it is said of which file.
type LibraryError = Box<dyn std::error::Error + Send + Sync>;

impl DataFile {
    /// Begins the file, which must not be there yet and takes at most `limit` bytes.
    pub(super) fn begin(
        path: PathBuf,
        format: Format,
        columns: &'static [Column],
        limit: u64,
    ) -> Result<Self, ExportError> {
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .map_err(|source| ExportError::File {
                path: path.clone(),
                doing: "made",
                source,
            })?;
        let file = MeasuredFile::new(file, limit);
        let over = file.over();
        let writer: Result<Writer, LibraryError> = match format {
            Format::Csv => CsvFile::begin(columns, file)
                .map(|file| Writer::Csv(Box::new(file)))
                .map_err(Into::into),
            Format::Jsonl => Ok(Writer::Jsonl(JsonlFile::begin(columns, file))),
            Format::Parquet => ParquetFile::begin(columns, file)
                .map(|file| Writer::Parquet(Box::new(file)))
                .map_err(Into::into),
        };
        match writer {
            Ok(writer) => Ok(Self {
                path,
                format,
                writer,
                rows: 0,
                over,
            }),
            Err(error) => Err(failure(&path, format, &over, error)),
        }
    }

    /// Writes one row.
    pub(super) fn row(&mut self, cells: &[Cell]) -> Result<(), ExportError> {
        self.rows += 1;
        let written: Result<(), LibraryError> = match &mut self.writer {
            Writer::Csv(file) => file.row(cells).map_err(Into::into),
            Writer::Jsonl(file) => file.row(cells).map_err(Into::into),
            Writer::Parquet(file) => file.row(cells).map_err(Into::into),
        };
        written.map_err(|error| failure(&self.path, self.format, &self.over, error))
    }

    /// Puts the file on disk; gives its measure and the number of its rows.
    pub(super) fn finish(self) -> Result<(Measure, u64), ExportError> {
        let file: Result<MeasuredFile, LibraryError> = match self.writer {
            Writer::Csv(file) => file.finish().map_err(Into::into),
            Writer::Jsonl(file) => Ok(file.finish()),
            Writer::Parquet(file) => file.finish().map_err(Into::into),
        };
        let measure = file.and_then(|file| file.finish().map_err(Into::into));
        measure
            .map(|measure| (measure, self.rows))
            .map_err(|error| failure(&self.path, self.format, &self.over, error))
    }
}

/// A limit that was reached, or what the library refused.
fn failure(path: &Path, format: Format, over: &AtomicU64, error: LibraryError) -> ExportError {
    match over.load(Ordering::SeqCst) {
        0 => ExportError::Encoding {
            path: path.to_owned(),
            format: format.name(),
            source: error,
        },
        got => SealError::TooLarge { got }.into(),
    }
}
