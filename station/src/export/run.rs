//! Makes an export.

use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::format::DataFile;
use super::hand_over::{self, HAND_OVER_FILE};
use super::place::{Place, failed, write};
use super::selection::Selection;
use super::{
    CHECKPOINT_FILE, ExportError, Filter, Format, MANIFEST_FILE, Manifest, ManifestFile, Rows,
    SEALED_FILE, archive,
};
use crate::clock::wall_ms;
use crate::cosign::Cosigner;
use crate::journal::{ExportSnapshot, Journal, JournalReader};
use crate::record::Change;
use crate::seal::{CONTENT_LENGTH_MAX, Recipient};
use crate::stop::Stop;
use crate::tiles::{LogReader, TILE_DIRECTORY, TileDirectory};

/// The directory in the home in which the files of a sealed export lie until they are sealed.
const CLEAR_DIRECTORY: &str = "export.clear";

/// What an export works with.
pub struct ExportJob<'a> {
    /// Signs the manifest and takes the export's leaf.
    pub journal: &'a Journal,
    /// Reads the data. One of its own, so that a long export takes no connection from the line.
    pub reader: &'a JournalReader,
    /// The station's home: unsealed data is nowhere else while an export is sealed. One export of a home is made at a time.
    pub home: &'a Path,
    /// The id of the operator who asks.
    pub operator: &'a str,
    /// Who has the checkpoint cosigned that the export is taken under; `None` where nobody is asked.
    pub cosigner: Option<&'a Cosigner>,
    /// Looked at between two pages.
    pub stop: &'a Stop,
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportOptions {
    /// The directory to make; absolute.
    pub out: PathBuf,
    /// Which rows.
    pub filter: Filter,
    /// Rows of what.
    pub rows: Rows,
    /// The formats, each once.
    pub formats: Vec<Format>,
    /// Whose key it is sealed to; `None` for clear files.
    pub seal_to: Option<Recipient>,
}

/// What was handed out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exported {
    /// The manifest.
    pub manifest: Manifest,
    /// SHA-256 of the whole `manifest.txt`: what the export's leaf carries.
    pub manifest_digest: [u8; 32],
    /// The index of the export's own leaf.
    pub leaf: u64,
}

/// Makes an export: everything is written and signed, then journalled, then handed out.
///
/// # Errors
/// [`ExportError`]. Nothing was handed out then; where it happens after the export was journalled (a directory that filled up in the
/// meantime), the log has a leaf for data that never left.
pub async fn export(job: &ExportJob<'_>, options: &ExportOptions) -> Result<Exported, ExportError> {
    check(options)?;
    // What is signed here must be what the log says: a journal that somebody has edited hands nothing out.
    job.reader.verify_log(&job.journal.verifier_keys()).await?;
    let place = Place::begin(&options.out)?;
    let Some(recipient) = &options.seal_to else {
        let prepared = prepare(job, options, place.path(), u64::MAX).await?;
        return conclude(job, options, prepared, place).await;
    };
    clear_leftovers(job.home)?;
    let clear = tempfile::Builder::new()
        .prefix(CLEAR_DIRECTORY)
        .rand_bytes(0)
        .tempdir_in(job.home)
        .map_err(failed(job.home, "written"))?;
    let limit = CONTENT_LENGTH_MAX as u64;
    let prepared = prepare(job, options, clear.path(), limit).await?;
    let files = prepared.manifest.files.iter();
    let mut names = vec![MANIFEST_FILE, CHECKPOINT_FILE];
    names.extend(prepared.handed_over.then_some(HAND_OVER_FILE));
    names.extend(files.map(|file| file.name.as_str()));
    let sealed = place.path().join(SEALED_FILE);
    archive::seal(
        clear.path(),
        &names,
        prepared.made_at_ms,
        recipient,
        &sealed,
    )?;
    clear.close().map_err(failed(job.home, "cleared"))?;
    conclude(job, options, prepared, place).await
}

/// What the command line sees to, and a request that came through the socket may not.
fn check(options: &ExportOptions) -> Result<(), ExportError> {
    let mut formats = options.formats.clone();
    formats.sort_unstable();
    formats.dedup();
    if formats.is_empty() || formats.len() < options.formats.len() {
        return Err(ExportError::Filter {
            expected: "one format or more, each once",
            got: format!("{:?}", options.formats),
        });
    }
    if !options.out.is_absolute() {
        return Err(ExportError::Filter {
            expected: "an absolute path for the directory",
            got: options.out.display().to_string(),
        });
    }
    Ok(())
}

/// Removes from a home what a sealed export left there in the clear when its process was killed. Only whoever owns the home may do
/// this, and not while it exports.
///
/// # Errors
/// [`ExportError::File`] where it is there and can't be removed.
pub fn clear_leftovers(home: &Path) -> Result<(), ExportError> {
    let path = home.join(CLEAR_DIRECTORY);
    match std::fs::remove_dir_all(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(failed(&path, "cleared")(error))
        }
        _ => Ok(()),
    }
}

/// Files that lie ready, with their signed manifest.
struct Prepared {
    manifest: Manifest,
    manifest_digest: [u8; 32],
    made_at_ms: u64,
    /// The log has changed its key: there is a file that shows how.
    handed_over: bool,
}

async fn prepare(
    job: &ExportJob<'_>,
    options: &ExportOptions,
    directory: &Path,
    limit: u64,
) -> Result<Prepared, ExportError> {
    let held = match job.cosigner {
        Some(cosigner) => Some(cosigner.hold().await),
        None => None,
    };
    let mut snapshot = job.reader.export_snapshot().await?;
    let checkpoint_note = match held {
        Some(held) => held.cosign(snapshot.note()).await?,
        None => snapshot.note().to_owned(),
    };
    let files = write_data(job, options, directory, limit, &mut snapshot).await?;
    let made_at_ms = wall_ms();
    let manifest = Manifest::new(
        snapshot.checkpoint(),
        made_at_ms,
        options.rows,
        &options.filter,
        files,
    );
    write(&directory.join(CHECKPOINT_FILE), checkpoint_note.as_bytes())?;
    let size = snapshot.checkpoint().size;
    // The journal's file can shrink again while the rest is done.
    drop(snapshot);
    let tiles = TileDirectory::new(job.home.join(TILE_DIRECTORY));
    let log = LogReader::new(tiles, job.reader.clone());
    let hand_over = hand_over::collect(job.reader, &log, size).await?;
    if let Some(text) = &hand_over {
        write(&directory.join(HAND_OVER_FILE), text.as_bytes())?;
    }
    let note = job.journal.sign_manifest(manifest.text()).await?;
    write(&directory.join(MANIFEST_FILE), note.as_bytes())?;
    Ok(Prepared {
        manifest,
        manifest_digest: Sha256::digest(note.as_bytes()).into(),
        made_at_ms,
        handed_over: hand_over.is_some(),
    })
}

async fn write_data(
    job: &ExportJob<'_>,
    options: &ExportOptions,
    directory: &Path,
    limit: u64,
    snapshot: &mut ExportSnapshot,
) -> Result<Vec<ManifestFile>, ExportError> {
    let selection = Selection::resolve(&options.filter, snapshot).await?;
    let mut files = Vec::with_capacity(options.formats.len());
    for format in &options.formats {
        let name = format!("{}.{}", options.rows.name(), format.name());
        let path = directory.join(&name);
        let file = DataFile::begin(path, *format, options.rows.columns(), limit)?;
        files.push((name, file));
    }
    let mut take = |cells: &[super::column::Cell]| {
        let mut files = files.iter_mut();
        files.try_for_each(|(_, file)| file.row(cells))
    };
    let rows = options.rows;
    rows.each(&selection, snapshot, job.stop, &mut take).await?;
    files
        .into_iter()
        .map(|(name, file)| {
            let (measure, rows) = file.finish()?;
            Ok(ManifestFile {
                digest: measure.digest,
                bytes: measure.bytes,
                rows,
                name,
            })
        })
        .collect()
}

/// Journals the export, and only then gives the directory its name.
async fn conclude(
    job: &ExportJob<'_>,
    options: &ExportOptions,
    prepared: Prepared,
    place: Place,
) -> Result<Exported, ExportError> {
    if job.stop.requested() {
        return Err(ExportError::Stopped);
    }
    let formats: Vec<_> = options.formats.iter().map(|format| format.name()).collect();
    let filter = format!(
        "rows={} formats={} {}",
        options.rows.name(),
        formats.join(","),
        options.filter
    );
    let sealed_to = options.seal_to.as_ref().map(Recipient::fingerprint);
    let committed = job
        .journal
        .commit(vec![Change::Exported {
            digest: prepared.manifest_digest,
            filter,
            sealed_to: sealed_to.map(hex::encode),
            operator: job.operator.to_owned(),
        }])
        .await?;
    place.hand_out()?;
    Ok(Exported {
        manifest: prepared.manifest,
        manifest_digest: prepared.manifest_digest,
        leaf: committed.first_leaf,
    })
}
