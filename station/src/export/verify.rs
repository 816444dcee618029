//! Checks an export with nothing but its directory and the log's public key.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, BufRead as _, BufReader, Read};
use std::path::{Path, PathBuf};

use parquet::file::reader::{FileReader as _, SerializedFileReader};
use sha2::{Digest as _, Sha256};

use super::hand_over::{self, HAND_OVER_FILE};
use super::{CHECKPOINT_FILE, Format, MANIFEST_FILE, Manifest, ManifestFile};
use crate::audit::{AuditError, Checkpoint, SignedNote, VerifierKey};
use crate::regular_file;

/// The longest note that is read, in bytes (C2SP notes of this software are far smaller).
const NOTE_LENGTH_MAX: u64 = 65_536;

/// Bytes that are hashed at a time.
const PIECE_LENGTH: usize = 64 * 1024;

/// An export of which everything holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedExport {
    /// The manifest.
    pub manifest: Manifest,
    /// SHA-256 of `manifest.txt`: the log has a leaf of kind `exported` with it.
    pub manifest_digest: [u8; 32],
    /// The note in `checkpoint.txt`, whose cosignatures are the reader's to weigh.
    pub checkpoint_note: String,
    /// The keys of the log that can be trusted: those that the reader gave, and those that one of them handed over to.
    pub keys: Vec<VerifierKey>,
}

/// What does not hold.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// A file can't be read.
    #[error("{} can't be read", .path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A note is none, or isn't signed by any of the keys.
    #[error("{name} does not hold")]
    Note {
        /// `manifest.txt` or `checkpoint.txt`.
        name: &'static str,
        /// Why.
        #[source]
        source: AuditError,
    },
    /// What hands over from one key of the log to the next does not hold.
    #[error("log-keys.json does not hold: {words}")]
    HandOver {
        /// Why.
        words: String,
    },
    /// The checkpoint is another one than the manifest's.
    #[error("expected the checkpoint of {expected} in checkpoint.txt, got that of {got}")]
    OtherCheckpoint {
        /// Origin, size and root in the manifest.
        expected: String,
        /// Those in the checkpoint.
        got: String,
    },
    /// A file that the manifest doesn't know.
    #[error("expected only what the manifest names, found {name} as well")]
    Unexpected {
        /// Its name.
        name: String,
    },
    /// A file isn't what was signed.
    #[error("{name}: expected {expected}, got {got}")]
    Changed {
        /// The file.
        name: String,
        /// Its digest, bytes or rows in the manifest.
        expected: String,
        /// Those of the file.
        got: String,
    },
}

/// Checks that the manifest is signed by a log key, that every file is what it says, and that the checkpoint is the manifest's.
///
/// `keys` are those that the log may be signed with; keys to which one of them handed over count too, as the export shows. One signature must be there, and none by
/// any of them may be wrong.
///
/// # Errors
/// [`VerifyError`] that names the first thing that doesn't hold.
pub fn verify(directory: &Path, keys: &[VerifierKey]) -> Result<VerifiedExport, VerifyError> {
    let trusted = hand_over::follow(directory, keys)?;
    let keys = trusted.as_slice();
    let (note, text) = read_note(directory, MANIFEST_FILE, keys)?;
    let wrong = |name| move |source| VerifyError::Note { name, source };
    let manifest = Manifest::parse(&text).map_err(wrong(MANIFEST_FILE))?;
    let (checkpoint_note, text) = read_note(directory, CHECKPOINT_FILE, keys)?;
    let checkpoint = Checkpoint::parse(&text).map_err(wrong(CHECKPOINT_FILE))?;
    let expected = (manifest.origin.as_str(), manifest.size, manifest.root);
    let got = (checkpoint.origin.as_str(), checkpoint.size, checkpoint.root);
    if expected != got || !keys.iter().any(|key| key.name() == manifest.origin) {
        return Err(VerifyError::OtherCheckpoint {
            expected: shown(expected),
            got: shown(got),
        });
    }
    refuse_strangers(directory, &manifest)?;
    for file in &manifest.files {
        check_file(directory, file)?;
    }
    Ok(VerifiedExport {
        manifest,
        manifest_digest: Sha256::digest(note.as_bytes()).into(),
        checkpoint_note,
        keys: trusted,
    })
}

fn shown((origin, size, root): (&str, u64, [u8; 32])) -> String {
    format!("{origin} with {size} leaves and root {}", hex::encode(root))
}

/// A note and its text, signed by one of the keys.
fn read_note(
    directory: &Path,
    name: &'static str,
    keys: &[VerifierKey],
) -> Result<(String, String), VerifyError> {
    let path = directory.join(name);
    let mut note = String::new();
    regular_file::open(&path)
        .and_then(|file| file.take(NOTE_LENGTH_MAX + 1).read_to_string(&mut note))
        .map_err(|source| VerifyError::Unreadable { path, source })?;
    let wrong = |source| VerifyError::Note { name, source };
    let parsed = SignedNote::parse(&note).map_err(wrong)?;
    let mut missing = None;
    let mut signed = false;
    for key in keys {
        match parsed.verify(key) {
            Ok(()) => signed = true,
            Err(error @ AuditError::NotSigned { .. }) => missing = Some(error),
            Err(error) => return Err(wrong(error)),
        }
    }
    match missing {
        _ if signed => Ok((note, parsed.text)),
        Some(error) => Err(wrong(error)),
        None => Err(wrong(AuditError::Format {
            expected: "a key to verify with",
            got: "none".to_owned(),
        })),
    }
}

fn refuse_strangers(directory: &Path, manifest: &Manifest) -> Result<(), VerifyError> {
    let unreadable = |source| VerifyError::Unreadable {
        path: directory.to_owned(),
        source,
    };
    let mut known: BTreeSet<&str> = [MANIFEST_FILE, CHECKPOINT_FILE, HAND_OVER_FILE].into();
    known.extend(manifest.files.iter().map(|file| file.name.as_str()));
    for entry in fs::read_dir(directory).map_err(unreadable)? {
        let name = entry.map_err(unreadable)?.file_name();
        if !name.to_str().is_some_and(|name| known.contains(name)) {
            return Err(VerifyError::Unexpected {
                name: name.display().to_string(),
            });
        }
    }
    Ok(())
}

fn check_file(directory: &Path, expected: &ManifestFile) -> Result<(), VerifyError> {
    let path = directory.join(&expected.name);
    let unreadable = |source| VerifyError::Unreadable {
        path: path.clone(),
        source,
    };
    let changed = |expected_words: String, got: String| VerifyError::Changed {
        name: expected.name.clone(),
        expected: expected_words,
        got,
    };
    let (digest, bytes) = measure(&path, expected.bytes).map_err(unreadable)?;
    if (digest, bytes) != (expected.digest, expected.bytes) {
        return Err(changed(
            format!(
                "{} bytes, SHA-256 {}",
                expected.bytes,
                hex::encode(expected.digest)
            ),
            format!("{bytes} bytes, SHA-256 {}", hex::encode(digest)),
        ));
    }
    let rows = count_rows(&path).map_err(unreadable)?;
    if rows != expected.rows {
        return Err(changed(
            format!("{} rows", expected.rows),
            format!("{rows}"),
        ));
    }
    Ok(())
}

/// Digest and length of a file; of one that is longer than expected no more than one byte of that is read.
fn measure(path: &Path, expected: u64) -> io::Result<([u8; 32], u64)> {
    let mut file = regular_file::open(path)?.take(expected.saturating_add(1));
    let mut hash = Sha256::new();
    let mut piece = vec![0; PIECE_LENGTH];
    let mut bytes = 0;
    loop {
        let length = file.read(&mut piece)?;
        if length == 0 {
            return Ok((hash.finalize().into(), bytes));
        }
        hash.update(piece.get(..length).unwrap_or_default());
        bytes += length as u64;
    }
}

/// Digest of a whole file.
pub(crate) fn file_digest(path: &Path) -> io::Result<[u8; 32]> {
    measure(path, u64::MAX).map(|(digest, _)| digest)
}

/// The rows of a data file, counted by a reader of its format.
fn count_rows(path: &Path) -> io::Result<u64> {
    let ending = path.extension().and_then(|ending| ending.to_str());
    let format = Format::ALL
        .into_iter()
        .find(|format| Some(format.name()) == ending);
    match format {
        Some(Format::Csv) => {
            let mut reader = csv::Reader::from_reader(regular_file::open(path)?);
            let mut record = csv::ByteRecord::new();
            let mut rows = 0;
            while reader.read_byte_record(&mut record)? {
                rows += 1;
            }
            Ok(rows)
        }
        Some(Format::Jsonl) => {
            let mut reader = BufReader::new(regular_file::open(path)?);
            let mut rows = 0;
            while reader.skip_until(b'\n')? > 0 {
                rows += 1;
            }
            Ok(rows)
        }
        Some(Format::Parquet) => {
            let reader =
                SerializedFileReader::new(regular_file::open(path)?).map_err(io::Error::other)?;
            let rows = reader.metadata().file_metadata().num_rows();
            u64::try_from(rows).map_err(io::Error::other)
        }
        None => Err(io::Error::other(
            "expected a name that ends with .csv, .jsonl or .parquet",
        )),
    }
}
