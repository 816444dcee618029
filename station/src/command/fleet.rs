//! `keyline registry import` and `export`: fleets that exist already.
//!
//! A dry run needs neither home nor registry.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use super::execute::elapsed_ms;
use super::fleet_arguments::FleetCommand;
use super::fleet_sink::{RegistryFleet, keys_of};
use super::lower::{Action, absolute};
use super::{CommandError, FleetExportRequest, ImportRequest, Request, export};
use crate::app::App;
use crate::event::{Event, EventSink, ImportView, Summary};
use crate::exit::ExitCode;
use crate::export::file_digest;
use crate::fleet::{
    FleetError, FleetFormat, ImportCounts, ImportObserver, ImportOptions, ImportOutcome,
    ImportProgress, NoSink, RefusedRow, export_file, import_file,
};
use crate::operator::Principal;
use crate::record::{Change, ImportedFile, RunId};
use crate::registry::ImportTerms;
use crate::stop::Stop;

/// Refused rows that are told one by one; a report has them all.
const REFUSED_TOLD_MAX: u64 = 100;

/// A check of a fleet's file that changes nothing, and needs no home.
pub(super) struct DryRun {
    file: PathBuf,
    options: ImportOptions,
}

/// Makes an action of what was typed.
pub(super) fn lower(command: FleetCommand) -> Result<Action, CommandError> {
    Ok(match command {
        FleetCommand::Import {
            file,
            format,
            product,
            report,
            dry_run: true,
            ..
        } => Action::Fleet(DryRun {
            file,
            options: ImportOptions {
                format: format.format(),
                product,
                report,
                ..ImportOptions::default()
            },
        }),
        FleetCommand::Import {
            file,
            format,
            product,
            report,
            state,
            resume,
            dry_run: false,
        } => Action::Request(Request::RegistryImport(Box::new(ImportRequest {
            file: absolute(&file)?,
            format: format.format(),
            product,
            report: report.as_deref().map(absolute).transpose()?,
            state: state.as_deref().map(absolute).transpose()?,
            resume,
        }))),
        FleetCommand::Export {
            out,
            format,
            keys,
            product,
            all,
        } => {
            let format = format
                .format()
                .or_else(|| FleetFormat::of_path(&out))
                .unwrap_or(FleetFormat::Csv);
            Action::Request(Request::RegistryExport(Box::new(FleetExportRequest {
                out: absolute(&out)?,
                format,
                keys: keys.into(),
                product,
                all,
            })))
        }
    })
}

/// Takes a fleet in: begun and ended by a leaf, each row under the import's id.
pub(super) async fn take_in(
    app: &Arc<App>,
    principal: &Principal,
    request: ImportRequest,
    sink: Arc<dyn EventSink>,
    stop: Stop,
) -> Result<Summary, CommandError> {
    let begun = Instant::now();
    let registry = app.registry().await?;
    registry.ping().await?;
    let import = RunId::generate();
    let begins = Change::FleetImportBegun {
        import,
        operator: principal.operator.clone(),
    };
    app.journal().commit(vec![begins]).await?;
    let fleet = RegistryFleet {
        registry,
        terms: ImportTerms {
            id: import,
            operator: principal.operator.clone(),
        },
    };
    let options = ImportOptions {
        format: request.format,
        product: request.product,
        report: request.report,
        state: request.state,
        resume: request.resume,
        ..ImportOptions::default()
    };
    let mut told = Told {
        sink: sink.as_ref(),
        refused: 0,
        progress: None,
    };
    let imported = import_file(&request.file, &fleet, &options, &mut told, &stop).await;
    let finished = imported.as_ref().is_ok_and(|outcome| outcome.finished);
    let ends = ended(import, told.progress.as_ref(), finished);
    app.journal().commit(vec![ends]).await?;
    let outcome = imported?;
    let counts = outcome.counts;
    told.rest();
    let ending = if outcome.finished {
        "All of the file was read"
    } else {
        "It was stopped before the end; go on with --resume where a state file was kept"
    };
    sink.emit(Event::Notice {
        message: format!(
            "{}: {} rows, {} new, {} were in before, {} refused. {ending}.",
            request.file.display(),
            counts.rows,
            counts.imported,
            counts.already,
            counts.refused
        ),
    });
    let view = view(&request.file, &options, outcome, false);
    sink.emit(Event::Import(Box::new(view)));
    let code = exit_code(outcome, &stop);
    Ok(Summary::without_units(code, elapsed_ms(begun)))
}

/// That an import ended, with what it did, and what was done of its file in all.
fn ended(import: RunId, progress: Option<&ImportProgress>, finished: bool) -> Change {
    let (counts, before) = progress.map_or((ImportCounts::NONE, ImportCounts::NONE), |progress| {
        (progress.counts, progress.before)
    });
    Change::FleetImportEnded {
        import,
        rows: counts.rows - before.rows,
        imported: counts.imported - before.imported,
        already: counts.already - before.already,
        refused: counts.refused - before.refused,
        finished,
        file: progress.map(|progress| ImportedFile {
            bytes: progress.offset,
            sha256: progress.sha256,
            rows: counts.rows,
            imported: counts.imported,
            already: counts.already,
            refused: counts.refused,
        }),
    }
}

/// Writes the registry's keys to a file that an import takes.
pub(super) async fn hand_out(
    app: &Arc<App>,
    principal: &Principal,
    request: FleetExportRequest,
    sink: Arc<dyn EventSink>,
) -> Result<Summary, CommandError> {
    let begun = Instant::now();
    let registry = app.registry().await?;
    registry.ping().await?;
    let product = request.product.map(String::from);
    let filter = format!(
        "registry export{}{}",
        if request.all { ", all keys" } else { "" },
        product
            .as_deref()
            .map_or_else(String::new, |name| format!(", product {name}"))
    );
    let keys = keys_of(registry, request.all, product);
    // Under another name until the log says that it was handed out.
    let mut partial = request.out.clone().into_os_string();
    partial.push(".partial");
    let partial = PathBuf::from(partial);
    if request.out.exists() {
        return Err(FleetError::Occupied { path: request.out }.into());
    }
    let count = export_file(&partial, request.format, request.keys, keys).await?;
    let failed = |source| CommandError::Output {
        path: request.out.clone(),
        source,
    };
    let digest = file_digest(&partial).map_err(failed)?;
    export::tell(app, principal, digest, filter).await?;
    std::fs::rename(&partial, &request.out).map_err(failed)?;
    sink.emit(Event::Notice {
        message: format!("Wrote {count} keys to {}.", request.out.display()),
    });
    Ok(Summary::without_units(ExitCode::Success, elapsed_ms(begun)))
}

/// Checks a file, and changes nothing.
pub(super) async fn dry_run(
    check: &DryRun,
    sink: &dyn EventSink,
    stop: &Stop,
) -> Result<Summary, CommandError> {
    let begun = Instant::now();
    let DryRun { file, options } = check;
    let mut told = Told {
        sink,
        refused: 0,
        progress: None,
    };
    let outcome = import_file(file, &NoSink, options, &mut told, stop).await?;
    told.rest();
    sink.emit(Event::Notice {
        message: words(file, outcome),
    });
    sink.emit(Event::Import(Box::new(view(file, options, outcome, true))));
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

fn view(file: &Path, options: &ImportOptions, outcome: ImportOutcome, dry_run: bool) -> ImportView {
    ImportView {
        path: file.to_owned(),
        dry_run,
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
    /// How far the import is.
    progress: Option<ImportProgress>,
}

impl Told<'_> {
    /// Says how many were not told one by one.
    fn rest(&self) {
        if self.refused > REFUSED_TOLD_MAX {
            self.sink.emit(Event::Warning {
                message: format!("{} more rows were refused", self.refused - REFUSED_TOLD_MAX),
                next: "Have all of them written to a file: --report FILE.".to_owned(),
            });
        }
    }
}

impl ImportObserver for Told<'_> {
    fn taken(&mut self, progress: ImportProgress) {
        self.progress = Some(progress);
    }

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
