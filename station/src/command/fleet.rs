//! `keyline registry import` and `export`: fleets that exist already.
//!
//! A dry run needs neither home nor registry. Everything else goes through [`FleetSink`](crate::fleet::FleetSink) and
//! [`export_file`](crate::fleet::export_file), which this station's registry does not carry out yet.

use std::path::{Path, PathBuf};
use std::time::Instant;

use super::CommandError;
use super::execute::elapsed_ms;
use super::fleet_arguments::FleetCommand;
use crate::event::{Event, EventSink, ImportView, Summary};
use crate::exit::ExitCode;
use crate::fleet::{
    ImportCounts, ImportObserver, ImportOptions, ImportOutcome, NoSink, RefusedRow, import_file,
};
use crate::stop::Stop;

/// Refused rows that are told one by one; a report has them all.
const REFUSED_TOLD_MAX: u64 = 100;

/// What is wanted of a fleet's file.
pub(super) enum FleetRequest {
    /// Take it in.
    Import {
        /// The file.
        file: PathBuf,
        /// How.
        options: ImportOptions,
        /// Change nothing.
        dry_run: bool,
    },
    /// Write one.
    Export,
}

impl From<FleetCommand> for FleetRequest {
    fn from(command: FleetCommand) -> Self {
        match command {
            FleetCommand::Import {
                file,
                format,
                product,
                report,
                state,
                resume,
                dry_run,
            } => Self::Import {
                file,
                options: ImportOptions {
                    format: format.format(),
                    product,
                    report,
                    state,
                    resume,
                    batch_rows: ImportOptions::BATCH_ROWS,
                },
                dry_run,
            },
            FleetCommand::Export { .. } => Self::Export,
        }
    }
}

/// Does what is wanted.
pub(super) async fn run(
    request: FleetRequest,
    sink: &dyn EventSink,
    stop: &Stop,
) -> Result<Summary, CommandError> {
    match request {
        FleetRequest::Import {
            file,
            options,
            dry_run: true,
        } => dry_run(&file, &options, sink, stop).await,
        FleetRequest::Import { dry_run: false, .. } | FleetRequest::Export => {
            Err(CommandError::NotReady {
                message: "expected --dry-run: this station's registry takes no fleets in or out"
                    .to_owned(),
                next: "Check the file with `keyline registry import FILE --dry-run`.".to_owned(),
            })
        }
    }
}

async fn dry_run(
    file: &Path,
    options: &ImportOptions,
    sink: &dyn EventSink,
    stop: &Stop,
) -> Result<Summary, CommandError> {
    let begun = Instant::now();
    let mut told = Told { sink, refused: 0 };
    let outcome = import_file(file, &NoSink, options, &mut told, stop).await?;
    if told.refused > REFUSED_TOLD_MAX {
        sink.emit(Event::Warning {
            message: format!("{} more rows were refused", told.refused - REFUSED_TOLD_MAX),
            next: "Have all of them written to a file: --report FILE.".to_owned(),
        });
    }
    sink.emit(Event::Notice {
        message: words(file, outcome),
    });
    sink.emit(Event::Import(Box::new(view(file, options, outcome))));
    let code = exit_code(outcome, stop);
    let mut summary = Summary::without_units(code, elapsed_ms(begun));
    summary.dry_run = true;
    Ok(summary)
}

fn exit_code(outcome: ImportOutcome, stop: &Stop) -> ExitCode {
    if !outcome.finished && stop.requested() {
        ExitCode::Interrupted
    } else if outcome.counts.refused > 0 {
        ExitCode::UnitsFailed
    } else {
        ExitCode::Success
    }
}

fn words(file: &Path, outcome: ImportOutcome) -> String {
    let ImportCounts {
        rows,
        imported,
        refused,
        ..
    } = outcome.counts;
    let end = if outcome.finished {
        "Nothing was changed"
    } else {
        "It was stopped before the end; nothing was changed"
    };
    format!(
        "{}: {rows} rows, {imported} in order, {refused} refused. {end}; what only the registry knows was not checked.",
        file.display()
    )
}

fn view(file: &Path, options: &ImportOptions, outcome: ImportOutcome) -> ImportView {
    ImportView {
        path: file.to_owned(),
        dry_run: true,
        finished: outcome.finished,
        rows: outcome.counts.rows,
        imported: outcome.counts.imported,
        already: outcome.counts.already,
        refused: outcome.counts.refused,
        report: options.report.clone(),
    }
}

/// Tells the first refused rows.
struct Told<'a> {
    sink: &'a dyn EventSink,
    refused: u64,
}

impl ImportObserver for Told<'_> {
    fn refused(&mut self, row: &RefusedRow) {
        self.refused += 1;
        if self.refused <= REFUSED_TOLD_MAX {
            self.sink.emit(Event::RefusedRow(Box::new(row.clone())));
        }
    }

    fn batch(&mut self, counts: ImportCounts, offset: u64, file_length: u64) {
        tracing::info!(
            import.rows = counts.rows,
            import.refused = counts.refused,
            import.offset_bytes = offset,
            import.file_bytes = file_length,
            "a batch of rows is done"
        );
    }
}
