//! Files and directories that are private to one user, written whole or not at all.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use super::error::HomeError;

/// Makes a directory that only its owner can enter, with its parents; one that exists must be such a directory.
pub(crate) fn create_private_directory(path: &Path) -> Result<(), HomeError> {
    let made = DirBuilder::new().mode(0o700).create(path);
    match made {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            check_private_directory(path)
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            if let Some(parent) = path
                .parent()
                .filter(|parent| !parent.as_os_str().is_empty())
            {
                std::fs::create_dir_all(parent)
                    .map_err(|source| HomeError::from_io(parent, "made", source))?;
            }
            DirBuilder::new()
                .mode(0o700)
                .create(path)
                .map_err(|source| HomeError::from_io(path, "made", source))
        }
        Err(source) => Err(HomeError::from_io(path, "made", source)),
    }
}

/// Checks that a directory is this user's and that nobody else can enter it.
pub(crate) fn check_private_directory(path: &Path) -> Result<(), HomeError> {
    check(path, 0o700)
}

/// Checks that a file is this user's and that nobody else can read it.
///
/// # Errors
/// [`HomeError::Exposed`], [`HomeError::Foreign`], or what the system says.
pub fn check_private_file(path: &Path) -> Result<(), HomeError> {
    check(path, 0o600)
}

fn check(path: &Path, expected: u32) -> Result<(), HomeError> {
    let metadata =
        std::fs::metadata(path).map_err(|source| HomeError::from_io(path, "looked at", source))?;
    let user = rustix::process::geteuid().as_raw();
    if metadata.uid() != user {
        return Err(HomeError::Foreign {
            path: path.to_owned(),
            expected: user,
            got: metadata.uid(),
        });
    }
    let got = metadata.mode() & 0o7777;
    if got & 0o077 != 0 {
        return Err(HomeError::Exposed {
            path: path.to_owned(),
            expected,
            got,
        });
    }
    Ok(())
}

/// Writes a file that only its owner can read, by way of a temporary one: whole and on disk, or not at all.
///
/// # Errors
/// [`HomeError`] where it can't be written.
pub fn write_private(path: &Path, content: &[u8]) -> Result<(), HomeError> {
    let failed = |doing| move |source| HomeError::from_io(path, doing, source);
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".new");
    let temporary = Path::new(&temporary);
    let written = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(temporary)
        .and_then(|mut file| file.write_all(content).and_then(|()| file.sync_all()))
        .and_then(|()| std::fs::rename(temporary, path));
    if let Err(source) = written {
        // What was begun is worth nothing, and removing it gives a full disk its room back.
        let _ = std::fs::remove_file(temporary);
        return Err(failed("written")(source));
    }
    // A bare file name has the empty path as its parent.
    let directory = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    File::open(directory)
        .and_then(|directory| directory.sync_all())
        .map_err(failed("written"))
}

/// Checks that nothing is in a directory.
pub(super) fn check_empty(path: &Path) -> Result<(), HomeError> {
    let failed = |source| HomeError::from_io(path, "listed", source);
    match std::fs::read_dir(path).map_err(failed)?.next() {
        None => Ok(()),
        Some(entry) => Err(HomeError::NotEmpty {
            path: path.to_owned(),
            found: entry.map_err(failed)?.file_name().display().to_string(),
        }),
    }
}

/// Removes what an unfinished `init` left in a directory, all but the files in `keep`.
pub(super) fn clear(path: &Path, keep: &[&str]) -> Result<(), HomeError> {
    let failed = |source| HomeError::from_io(path, "listed", source);
    for entry in std::fs::read_dir(path).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if keep.iter().any(|kept| entry.file_name() == *kept) {
            continue;
        }
        let is_directory = entry.file_type().map_err(failed)?.is_dir();
        if is_directory {
            std::fs::remove_dir_all(entry.path())
        } else {
            std::fs::remove_file(entry.path())
        }
        .map_err(|source| HomeError::from_io(entry.path(), "removed", source))?;
    }
    Ok(())
}

/// Removes one file.
pub(super) fn remove(path: &Path) -> Result<(), HomeError> {
    std::fs::remove_file(path).map_err(|source| HomeError::from_io(path, "removed", source))
}

/// Free space for this user on the disk that holds `path`, in bytes.
pub(crate) fn free_space(path: &Path) -> Result<u64, HomeError> {
    let disk = rustix::fs::statvfs(path)
        .map_err(|errno| HomeError::from_io(path, "looked at", errno.into()))?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}
