//! Where an export goes: a directory that appears whole or not at all.

use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::ExportError;

/// A directory beside the one that is wanted, private to this user, removed again unless it is handed out.
pub(super) struct Place {
    wanted: PathBuf,
    parent: PathBuf,
    temporary: TempDir,
}

/// What went wrong with a path.
pub(super) fn failed(
    path: &Path,
    doing: &'static str,
) -> impl Fn(std::io::Error) -> ExportError + use<> {
    let path = path.to_owned();
    move |source| ExportError::File {
        path: path.clone(),
        doing,
        source,
    }
}

impl Place {
    /// Looks whether the directory can be made, and begins it.
    pub(super) fn begin(wanted: &Path) -> Result<Self, ExportError> {
        let no_parent = || ExportError::NoParent {
            path: wanted.to_owned(),
        };
        let name = wanted.file_name().ok_or_else(no_parent)?;
        let parent = wanted.parent().ok_or_else(no_parent)?;
        if !parent.is_dir() {
            return Err(no_parent());
        }
        refuse_occupied(wanted)?;
        let temporary = tempfile::Builder::new()
            .prefix(&format!(".{}.", name.display()))
            .suffix(".unfinished")
            .tempdir_in(parent)
            .map_err(failed(wanted, "made"))?;
        Ok(Self {
            wanted: wanted.to_owned(),
            parent: parent.to_owned(),
            temporary,
        })
    }

    /// The directory that is being filled.
    pub(super) fn path(&self) -> &Path {
        self.temporary.path()
    }

    /// Gives the directory its name. It is on disk when this returns.
    pub(super) fn hand_out(self) -> Result<(), ExportError> {
        sync_directory(self.temporary.path())?;
        // An empty directory of that name is replaced; one that was filled in the meantime isn't (rename(2)).
        match fs::rename(self.temporary.path(), &self.wanted) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::DirectoryNotEmpty => {
                refuse_occupied(&self.wanted)?;
                return Err(failed(&self.wanted, "renamed")(error));
            }
            Err(error) => return Err(failed(&self.wanted, "renamed")(error)),
        }
        // It has another name now: there is nothing to be removed any more.
        let _ = self.temporary.keep();
        sync_directory(&self.parent)
    }
}

fn refuse_occupied(path: &Path) -> Result<(), ExportError> {
    let occupied = |found: String| {
        Err(ExportError::Occupied {
            path: path.to_owned(),
            found,
        })
    };
    let mut entries = match fs::read_dir(path) {
        Ok(_) if path.is_symlink() => return occupied("a symbolic link".to_owned()),
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound && !path.is_symlink() => return Ok(()),
        Err(error) if error.kind() == ErrorKind::NotADirectory || path.is_symlink() => {
            return occupied("a file instead of a directory".to_owned());
        }
        Err(error) => return Err(failed(path, "read")(error)),
    };
    match entries.next() {
        None => Ok(()),
        Some(entry) => occupied(entry.map_or_else(
            |error| error.to_string(),
            |entry| entry.file_name().display().to_string(),
        )),
    }
}

fn sync_directory(path: &Path) -> Result<(), ExportError> {
    File::open(path)
        .and_then(|directory| directory.sync_all())
        .map_err(failed(path, "written"))
}

/// Writes a small file; it is on disk when this returns.
pub(super) fn write(path: &Path, content: &[u8]) -> Result<(), ExportError> {
    File::create_new(path)
        .and_then(|mut file| file.write_all(content).and_then(|()| file.sync_all()))
        .map_err(failed(path, "written"))
}
