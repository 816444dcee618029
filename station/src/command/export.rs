//! `keyline audit export`.

use std::sync::Arc;

use super::export_arguments::ExportArguments;
use super::lower::absolute;
use super::{CommandError, ExportRequest, Name};
use crate::app::App;
use crate::event::{Event, EventSink, ExportFileView, ExportView};
use crate::export::{
    CHECKPOINT_FILE, ExportJob, ExportOptions, Exported, Filter, MANIFEST_FILE, SEALED_FILE, export,
};
use crate::journal::JournalReader;
use crate::operator::Principal;
use crate::record::Change;
use crate::seal::{Recipient, open_command};
use crate::stop::Stop;

/// Makes a request of what was typed: reads the key, makes the directory's path absolute.
pub(super) fn lower(typed: ExportArguments) -> Result<ExportRequest, CommandError> {
    let seal_to = typed.seal_to.as_deref().map(|path| {
        Recipient::read(path).map_err(|source| CommandError::Recipient {
            path: path.to_owned(),
            source,
        })
    });
    let out = absolute(&typed.out)?;
    let filter = Filter {
        order: typed.order.map(Name::into),
        product: typed.product.map(Name::into),
        customer: typed.customer.map(Name::into),
        from_ms: typed.from,
        to_ms: typed.to,
    };
    filter.check()?;
    let mut formats = typed.formats;
    formats.sort_unstable();
    formats.dedup();
    Ok(ExportRequest {
        out,
        filter,
        rows: typed.rows,
        formats,
        seal_to: seal_to.transpose()?,
    })
}

/// Carries an export out, beside whatever else the station is doing.
pub(super) async fn run(
    app: &Arc<App>,
    principal: Principal,
    request: ExportRequest,
    sink: Arc<dyn EventSink>,
    stop: Stop,
) -> Result<(), CommandError> {
    // One at a time: each holds a snapshot of the journal, and a sealed one much memory.
    let _turn = app.export_turn().await;
    let options = ExportOptions {
        out: request.out,
        filter: request.filter,
        rows: request.rows,
        formats: request.formats,
        seal_to: request.seal_to,
    };
    let exported = {
        let (app, options) = (Arc::clone(app), options.clone());
        let runtime = tokio::runtime::Handle::current();
        // Files are written and rows are encoded on a thread of its own: the line's tasks must not wait behind them.
        tokio::task::spawn_blocking(move || {
            runtime.block_on(made(&app, &principal, &options, &stop))
        })
        .await
        .map_err(|error| CommandError::System {
            doing: "finish an export",
            source: error.into(),
        })??
    };
    sink.emit(Event::Notice {
        message: words(&options, &exported),
    });
    sink.emit(Event::Export(Box::new(view(&options, exported))));
    Ok(())
}

async fn made(
    app: &App,
    principal: &Principal,
    options: &ExportOptions,
    stop: &Stop,
) -> Result<Exported, CommandError> {
    let home = app.home();
    let reader = JournalReader::open(&home.resolve(&home.config().journal.path)).await?;
    let job = ExportJob {
        journal: app.journal(),
        reader: &reader,
        home: home.path(),
        operator: &principal.operator,
        cosigner: Some(app.cosigner()),
        stop,
    };
    Ok(export(&job, options).await?)
}

fn opened_by(options: &ExportOptions) -> Option<String> {
    let sealed = options.out.join(SEALED_FILE);
    let command =
        |_: &Recipient| open_command(&quoted(&sealed.display().to_string()), "export.tar");
    options.seal_to.as_ref().map(command)
}

/// A path as a shell takes it in one piece.
pub(super) fn quoted(path: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@".contains(c);
    if path.chars().all(plain) {
        path.to_owned()
    } else {
        format!("'{}'", path.replace('\'', "'\\''"))
    }
}

fn words(options: &ExportOptions, exported: &Exported) -> String {
    let manifest = &exported.manifest;
    let rows = manifest.files.first().map_or(0, |file| file.rows);
    let names: Vec<&str> = manifest
        .files
        .iter()
        .map(|file| file.name.as_str())
        .collect();
    let mut words = format!(
        "Exported {rows} {} ({}) to {}: {}, {CHECKPOINT_FILE} and {MANIFEST_FILE}, under the checkpoint of {} leaves.",
        manifest.rows,
        manifest.filter,
        options.out.display(),
        names.join(", "),
        manifest.size
    );
    if let (Some(recipient), Some(command)) = (&options.seal_to, opened_by(options)) {
        words = format!(
            "{words}\nAll of it is sealed in {SEALED_FILE} to the {} key {}. Who holds the private key opens it with\n  {command}",
            recipient.kind(),
            hex::encode(recipient.fingerprint())
        );
    }
    words
}

fn view(options: &ExportOptions, exported: Exported) -> ExportView {
    let manifest = exported.manifest;
    let file = |file: crate::export::ManifestFile| ExportFileView {
        name: file.name,
        bytes: file.bytes,
        rows: file.rows,
        digest: file.digest,
    };
    ExportView {
        out: options.out.clone(),
        rows: manifest.rows,
        filter: manifest.filter,
        files: manifest.files.into_iter().map(file).collect(),
        tree_size: manifest.size,
        manifest_digest: exported.manifest_digest,
        leaf: exported.leaf,
        sealed_to: options
            .seal_to
            .as_ref()
            .map(|recipient| hex::encode(recipient.fingerprint())),
        open_command: opened_by(options),
    }
}

/// Says in the log that a file of this digest is handed out; only then may it get its name.
pub(super) async fn tell(
    app: &App,
    principal: &Principal,
    digest: [u8; 32],
    filter: String,
) -> Result<(), CommandError> {
    let handed_out = Change::Exported {
        digest,
        filter,
        sealed_to: None,
        operator: principal.operator.clone(),
    };
    app.journal().commit(vec![handed_out]).await?;
    Ok(())
}
