//! What a path is that can't be verified, in words that say what to verify instead.

use std::fs;
use std::path::Path;

use super::super::CommandError;
use crate::export::{CHECKPOINT_FILE, MANIFEST_FILE, SEALED_FILE};
use crate::home::CONFIG_FILE;
use crate::report;
use crate::seal::open_command;

/// Where a tar archive says that it is one (POSIX.1-1988, ustar).
const TAR_MAGIC: std::ops::Range<usize> = 257..262;

/// How the note in a manifest begins.
const MANIFEST_BEGIN: &str = "keyline export v1";

fn refused(path: &Path, found: &str, next: String) -> CommandError {
    CommandError::Advice {
        message: format!(
            "expected a dossier, a lot report, a C2SP proof file or an export's directory at {}, got {found}",
            path.display()
        ),
        next,
    }
}

/// Refuses a directory that is no export.
pub(super) fn refuse_directory(path: &Path) -> Result<(), CommandError> {
    let unreadable = |source| CommandError::Input {
        path: path.to_owned(),
        source,
    };
    let mut names = Vec::new();
    for entry in fs::read_dir(path).map_err(unreadable)? {
        let name = entry.map_err(unreadable)?.file_name();
        names.push(name.to_string_lossy().into_owned());
    }
    let has = |wanted: &str| names.iter().any(|name| name == wanted);
    let shown = path.display();
    if has(MANIFEST_FILE) {
        return Ok(());
    }
    Err(if has(CONFIG_FILE) {
        let next = format!("Verify it with `keyline --home {shown} audit verify --deep`.");
        refused(path, "a station's home", next)
    } else if has(SEALED_FILE) {
        let command = open_command(&format!("{shown}/{SEALED_FILE}"), "export.tar");
        let next = format!("Open it first: `{command}`, then verify `opened`.");
        refused(path, "a sealed export", next)
    } else if names.iter().any(|name| name.ends_with(".tlog-proof")) {
        let next = format!("Name the files: {shown}/*.tlog-proof.");
        refused(path, "a directory of proof files", next)
    } else if names.is_empty() {
        let next = "Check the path: an export's directory has a manifest.txt.".to_owned();
        refused(path, "an empty directory", next)
    } else {
        let next =
            "Check the path. Where files of an export were lost, ask for it again.".to_owned();
        refused(path, "a directory without manifest.txt", next)
    })
}

/// Whether it is a tar archive, which may be text throughout.
pub(super) fn is_archive(bytes: &[u8]) -> bool {
    bytes.get(TAR_MAGIC) == Some(b"ustar")
}

/// A file that is no text.
pub(super) fn not_text(path: &Path, bytes: &[u8]) -> CommandError {
    let ending = path.extension().and_then(|ending| ending.to_str());
    if is_archive(bytes) {
        let next = "Unpack it into a directory of its own (`mkdir opened && tar -xf FILE -C opened`), then verify that.";
        return refused(path, "a tar archive", next.to_owned());
    }
    match ending {
        Some("cms") => {
            let command = open_command(&path.display().to_string(), "export.tar");
            let next = format!("Open it first: `{command}`, then verify `opened`.");
            refused(path, "a sealed export", next)
        }
        Some("leaf") => {
            let next = "Name the .tlog-proof file beside it.";
            refused(path, "a leaf", next.to_owned())
        }
        Some("parquet") => {
            let next = "Verify the export's directory that it lies in.";
            refused(path, "a data file", next.to_owned())
        }
        _ => {
            let next = "Check the path, and that the file was copied as it is.";
            refused(path, "a file that is no text", next.to_owned())
        }
    }
}

/// A text that is none of ours.
pub(super) fn other_text(path: &Path, text: &str) -> CommandError {
    let directory = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    let directory = directory.unwrap_or_else(|| Path::new("."));
    let is_note = text.starts_with(MANIFEST_BEGIN)
        || path.file_name().is_some_and(|name| name == CHECKPOINT_FILE);
    if text.is_empty() {
        let next = "Ask for it again: nothing was written, or it was cut off.";
        refused(path, "an empty file", next.to_owned())
    } else if is_note
        || path
            .extension()
            .is_some_and(|ending| ending == "csv" || ending == "jsonl")
    {
        let next = format!("Verify its directory: {}.", directory.display());
        refused(path, "one file of an export", next)
    } else if text.replace("\r\n", "\n").starts_with(report::PAGE_BEGIN) {
        let next = "Get it again byte for byte, for instance in an archive: some program has rewritten it.";
        refused(
            path,
            "a lot report whose line ends were changed (CRLF)",
            next.to_owned(),
        )
    } else {
        let next = "Check the path, and that the file was copied as it is.";
        refused(path, "another text", next.to_owned())
    }
}
