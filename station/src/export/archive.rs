//! A sealed export: the files of an export in a tar archive, the archive in one CMS file.

use std::fs::File;
use std::path::Path;

use super::ExportError;
use super::place::failed;
use crate::seal::{self, CONTENT_LENGTH_MAX, Recipient, SealError};

/// The sealed file's name.
pub const SEALED_FILE: &str = "export.cms";

/// A block of a tar archive, in bytes (POSIX.1-1988, ustar): each file has one before it and fills up its last one.
const BLOCK_LENGTH: u64 = 512;

/// Puts the files `names` of a directory into an archive, in this order, and seals it into `sealed`.
pub(super) fn seal(
    directory: &Path,
    names: &[&str],
    made_at_ms: u64,
    recipient: &Recipient,
    sealed: &Path,
) -> Result<(), ExportError> {
    let archive = archive(directory, names, made_at_ms)?;
    let envelope = seal::seal(recipient, archive)?;
    let written = File::create_new(sealed)
        .and_then(|mut file| envelope.write_to(&mut file).and_then(|()| file.sync_all()));
    written.map_err(failed(sealed, "written"))
}

/// A ustar archive: plain files that only their owner may read, their time that of the export.
fn archive(directory: &Path, names: &[&str], made_at_ms: u64) -> Result<Vec<u8>, ExportError> {
    let mut total = 2 * BLOCK_LENGTH;
    let mut files = Vec::with_capacity(names.len());
    for name in names {
        let path = directory.join(name);
        let file = File::open(&path).map_err(failed(&path, "read"))?;
        let length = file.metadata().map_err(failed(&path, "read"))?.len();
        total = total
            .saturating_add(BLOCK_LENGTH)
            .saturating_add(length.next_multiple_of(BLOCK_LENGTH));
        files.push((*name, path, file, length));
    }
    let capacity = usize::try_from(total).unwrap_or(usize::MAX);
    if capacity > CONTENT_LENGTH_MAX {
        return Err(SealError::TooLarge { got: total }.into());
    }
    let mut builder = tar::Builder::new(Vec::with_capacity(capacity));
    for (name, path, file, length) in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(length);
        header.set_mode(0o600);
        header.set_mtime(made_at_ms / 1_000);
        builder
            .append_data(&mut header, name, file)
            .map_err(failed(&path, "read"))?;
    }
    builder.into_inner().map_err(failed(directory, "read"))
}
