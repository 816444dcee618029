//! One process owns a home.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};

use super::error::HomeError;

/// The lock's file name. The file stays when the lock is let go of: removing it could let two processes each lock a file of that name.
pub(crate) const LOCK_FILE: &str = "keyline.lock";

/// Held for as long as this value lives; the kernel lets go of it however the process ends.
pub struct HomeLock {
    _file: File,
}

impl HomeLock {
    /// Takes the lock at once or not at all.
    ///
    /// # Errors
    /// [`HomeError::Owned`] where another process has it, with its process id.
    pub fn take(home: &Path) -> Result<Self, HomeError> {
        let path = home.join(LOCK_FILE);
        let mut file = std::fs::OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(|source| HomeError::from_io(&path, "opened", source))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                return Err(HomeError::Owned {
                    path: home.to_owned(),
                    holder: holder_in(&mut file),
                });
            }
            Err(errno) => return Err(HomeError::from_io(path, "locked", errno.into())),
        }
        let id = format!("{}\n", std::process::id());
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| file.write_all(id.as_bytes()))
            .map_err(|source| HomeError::from_io(path, "written", source))?;
        Ok(Self { _file: file })
    }
}

/// The process id in the lock's file.
fn holder_in(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(32).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}
