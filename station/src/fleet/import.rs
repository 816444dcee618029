//! From a file into a sink: in batches, with a report of what was refused and a state to go on from.
//!
//! Order of effects of a batch: the sink has it, then the report has its refused rows, then the state says so. What an interruption cuts
//! off is done again, and the sink says "already" to it.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::error::{FileError, FleetError};
use super::reader::{FleetFormat, FleetReader, ReadRow, ReaderOptions};
use super::refusal::RefusedRow;
use super::report::Report;
use super::sink::{FleetSink, Imported};
use super::state::State;
use crate::record::Name;
use crate::regular_file;
use crate::stop::Stop;

/// How much of the file is read at once, in bytes.
const READ_LENGTH: usize = 256 * 1024;

/// What is to be imported, and how.
#[derive(Clone, Debug)]
pub struct ImportOptions {
    /// The format; `None` to see it from the file's name, else from its first byte.
    pub format: Option<FleetFormat>,
    /// The product of rows that name none.
    pub product: Option<Name>,
    /// A new file for the refused rows.
    pub report: Option<PathBuf>,
    /// A file for how far the import is.
    pub state: Option<PathBuf>,
    /// Go on from that state.
    pub resume: bool,
    /// Rows in a batch; also the most that are in memory at once.
    pub batch_rows: usize,
}

impl ImportOptions {
    /// Rows in a batch, unless somebody asks for another number: enough to pay for a transaction, some megabytes of memory.
    pub const BATCH_ROWS: usize = 4_096;
}

impl Default for ImportOptions {
    fn default() -> Self {
        Self {
            format: None,
            product: None,
            report: None,
            state: None,
            resume: false,
            batch_rows: Self::BATCH_ROWS,
        }
    }
}

/// What became of the rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportCounts {
    /// Rows that were read.
    pub rows: u64,
    /// Of these, new.
    pub imported: u64,
    /// Of these, in before.
    pub already: u64,
    /// Of these, refused.
    pub refused: u64,
}

impl ImportCounts {
    /// Nothing yet.
    pub const NONE: Self = Self {
        rows: 0,
        imported: 0,
        already: 0,
        refused: 0,
    };
}

/// How an import ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImportOutcome {
    /// What became of the rows, those before an interruption included.
    pub counts: ImportCounts,
    /// Every row was read; false where the import was asked to stop.
    pub finished: bool,
}

/// How far an import is at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImportProgress {
    /// What became of the rows, those before an interruption included.
    pub counts: ImportCounts,
    /// What had become of them when this import began: nothing, unless it goes on from a state.
    pub before: ImportCounts,
    /// The bytes of the file that were read.
    pub offset: u64,
    /// SHA-256 of them.
    pub sha256: [u8; 32],
}

/// Looks on.
pub trait ImportObserver {
    /// The import begins, or the sink has taken a batch in; whether report and state can be written is not known yet.
    fn taken(&mut self, _progress: ImportProgress) {}

    /// A row was refused.
    fn refused(&mut self, row: &RefusedRow);

    /// A batch is done; so many of the file's bytes were read.
    fn batch(&mut self, counts: ImportCounts, offset: u64, file_length: u64);
}

/// Imports a file.
///
/// # Errors
/// [`FleetError`]; what the batches before it did stays done.
pub async fn import_file<S: FleetSink>(
    path: &Path,
    sink: &S,
    options: &ImportOptions,
    observer: &mut (dyn ImportObserver + Send),
    stop: &Stop,
) -> Result<ImportOutcome, FleetError> {
    let mut import = {
        let (path, options) = (path.to_owned(), options.clone());
        blocking(move || Import::begin(path, options)).await??
    };
    observer.taken(import.begun());
    if import.state.finished {
        return Ok(import.outcome());
    }
    let replay_to = import.state.counts.rows;
    while import.reader.rows() < replay_to {
        if stop.requested() {
            return Ok(import.outcome());
        }
        import = blocking(move || import.replayed(replay_to)).await??;
    }
    import.check_replayed()?;
    while !stop.requested() {
        let (then, batch) = blocking(move || {
            let batch = import.batch(import.options.batch_rows);
            (import, batch)
        })
        .await?;
        import = then;
        let refused = import.hand_on(sink, batch.rows).await?;
        observer.taken(import.progress());
        for row in &refused {
            observer.refused(row);
        }
        import.state.finished = matches!(batch.end, Some(Ok(())));
        import = blocking(move || import.keep(&refused)).await??;
        observer.batch(
            import.state.counts,
            import.reader.offset(),
            import.state.file_length,
        );
        match batch.end {
            None => {}
            Some(Ok(())) => break,
            Some(Err(error)) => return Err(import.failed(error)),
        }
    }
    Ok(import.outcome())
}

/// An import under way.
struct Import {
    path: PathBuf,
    options: ImportOptions,
    reader: FleetReader<BufReader<File>>,
    report: Option<Report>,
    state: State,
    /// What was done before.
    before: ImportCounts,
}

/// Rows, and whether the file ends behind them.
struct Batch {
    rows: Vec<ReadRow>,
    end: Option<Result<(), FileError>>,
}

impl Import {
    fn begin(path: PathBuf, options: ImportOptions) -> Result<Self, FleetError> {
        let earlier = match &options.state {
            Some(place) => earlier_state(place, options.resume)?,
            None => None,
        };
        let unreadable = |source| FleetError::Path {
            path: path.clone(),
            doing: "read",
            source,
        };
        let file = regular_file::open(&path).map_err(unreadable)?;
        let file_length = file.metadata().map_err(unreadable)?.len();
        let reader_options = ReaderOptions {
            format: options.format.or_else(|| FleetFormat::of_path(&path)),
            product: options.product.clone(),
        };
        let buffered = BufReader::with_capacity(READ_LENGTH, file);
        let reader =
            FleetReader::open(buffered, reader_options).map_err(|source| FleetError::File {
                path: path.clone(),
                source,
            })?;
        let fresh = State::begin(file_length, reader.format(), options.product.clone());
        if let Some(earlier) = &earlier {
            check_same(earlier, &fresh, options.report.is_some())?;
        }
        let report = match (&options.report, &earlier) {
            (
                Some(place),
                Some(State {
                    report_length: Some(length),
                    ..
                }),
            ) => Some(Report::resume(place, *length)?),
            (Some(place), _) => Some(Report::begin(place)?),
            (None, _) => None,
        };
        let mut state = earlier.unwrap_or(fresh);
        let before = state.counts;
        state.report_length = report.as_ref().map(Report::length);
        if let Some(place) = &options.state {
            state.write(place)?;
        }
        Ok(Self {
            path,
            options,
            reader,
            report,
            state,
            before,
        })
    }

    /// Before anything is read once more: what the state says.
    fn begun(&self) -> ImportProgress {
        let offset = self.state.offset;
        ImportProgress {
            counts: self.state.counts,
            before: self.before,
            offset,
            sha256: if offset == 0 {
                Sha256::digest([]).into()
            } else {
                self.state.sha256
            },
        }
    }

    fn progress(&self) -> ImportProgress {
        ImportProgress {
            counts: self.state.counts,
            before: self.before,
            offset: self.reader.offset(),
            sha256: self.reader.digest(),
        }
    }

    fn outcome(&self) -> ImportOutcome {
        ImportOutcome {
            counts: self.state.counts,
            finished: self.state.finished,
        }
    }

    fn failed(&self, source: FileError) -> FleetError {
        FleetError::File {
            path: self.path.clone(),
            source,
        }
    }

    /// Reads rows that were done before once more, so that the reader knows what it knew then.
    fn replayed(mut self, to: u64) -> Result<Self, FleetError> {
        let left = usize::try_from(to - self.reader.rows()).unwrap_or(usize::MAX);
        let batch = self.batch(left.min(self.options.batch_rows));
        match batch.end {
            Some(Err(error)) => Err(self.failed(error)),
            Some(Ok(())) if self.reader.rows() < to => Err(self.changed()),
            _ => Ok(self),
        }
    }

    fn check_replayed(&self) -> Result<(), FleetError> {
        let same = self.state.counts.rows == 0
            || (self.reader.offset() == self.state.offset
                && self.reader.digest() == self.state.sha256);
        same.then_some(()).ok_or_else(|| self.changed())
    }

    fn changed(&self) -> FleetError {
        FleetError::Changed {
            what: format!(
                "the first {} bytes of {}",
                self.state.offset,
                self.path.display()
            ),
            got: "others".to_owned(),
        }
    }

    fn batch(&mut self, rows_max: usize) -> Batch {
        let mut batch = Batch {
            rows: Vec::new(),
            end: None,
        };
        while batch.rows.len() < rows_max {
            match self.reader.next() {
                Some(Ok(row)) => batch.rows.push(row),
                Some(Err(error)) => {
                    batch.end = Some(Err(error));
                    return batch;
                }
                None => {
                    batch.end = Some(Ok(()));
                    return batch;
                }
            }
        }
        batch
    }

    /// Hands the good rows on and counts; gives the refused ones in the file's order.
    async fn hand_on<S: FleetSink>(
        &mut self,
        sink: &S,
        rows: Vec<ReadRow>,
    ) -> Result<Vec<RefusedRow>, FleetError> {
        let count = rows.len() as u64;
        let mut keys = Vec::with_capacity(rows.len());
        let mut refused = Vec::new();
        for row in rows {
            match row {
                Ok(key) => keys.push(key),
                Err(row) => refused.push(row),
            }
        }
        let expected = keys.len();
        let answers = if keys.is_empty() {
            Vec::new()
        } else {
            sink.import(keys).await.map_err(|source| FleetError::Sink {
                source: Box::new(source),
            })?
        };
        if answers.len() != expected {
            return Err(FleetError::Answers {
                expected,
                got: answers.len(),
            });
        }
        let counts = &mut self.state.counts;
        for answer in answers {
            match answer {
                Ok(Imported { already: false }) => counts.imported += 1,
                Ok(Imported { already: true }) => counts.already += 1,
                Err(row) => refused.push(row),
            }
        }
        counts.rows += count;
        counts.refused += refused.len() as u64;
        refused.sort_by_key(|row| row.line);
        Ok(refused)
    }

    /// Writes down what became of a batch.
    fn keep(mut self, refused: &[RefusedRow]) -> Result<Self, FleetError> {
        if let Some(report) = &mut self.report {
            report.append(refused)?;
            self.state.report_length = Some(report.length());
        }
        if let Some(place) = &self.options.state {
            self.state.offset = self.reader.offset();
            self.state.line = self.reader.line();
            self.state.sha256 = self.reader.digest();
            self.state.write(place)?;
        }
        Ok(self)
    }
}

/// The state to go on from, where that is wanted.
fn earlier_state(place: &Path, resume: bool) -> Result<Option<State>, FleetError> {
    let state = State::read(place)?;
    match (state, resume) {
        (Some(state), true) => Ok(Some(state)),
        (None, true) => Err(FleetError::NoState {
            path: place.to_owned(),
            got: "no file".to_owned(),
        }),
        (Some(state), false) if !state.finished => Err(FleetError::Unfinished {
            path: place.to_owned(),
            rows: state.counts.rows,
        }),
        _ => Ok(None),
    }
}

/// An import goes on only as what it began as.
fn check_same(earlier: &State, now: &State, with_report: bool) -> Result<(), FleetError> {
    let changed = |what: &str, got: String| {
        Err(FleetError::Changed {
            what: what.to_owned(),
            got,
        })
    };
    if earlier.file_length != now.file_length {
        return changed(
            &format!("a file of {} bytes", earlier.file_length),
            format!("{} bytes", now.file_length),
        );
    }
    if earlier.format != now.format {
        return changed("the format", now.format.to_string());
    }
    if earlier.product != now.product {
        return changed("--product", "another one".to_owned());
    }
    if earlier.report_length.is_some() != with_report {
        return changed(
            "--report",
            "an import with it once and without it once".to_owned(),
        );
    }
    Ok(())
}

/// Does what blocks on a thread that may.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, FleetError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| FleetError::ReaderLost)
}
