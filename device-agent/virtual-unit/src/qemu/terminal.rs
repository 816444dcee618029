//! The pseudo-terminal that a unit's UART0 appears on. It outlives power cuts; the emulator behind it does not.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};

use super::error::UnitError;

/// The unit's end of a pseudo-terminal; programs open [`Self::path`].
#[derive(Debug)]
pub(super) struct Terminal {
    controller: OwnedFd,
    /// Held open so that reading the controller fails only when the unit is gone, not between two users of the path.
    _held: File,
    path: PathBuf,
}

impl Terminal {
    /// Makes one, raw: bytes pass unchanged and unechoed.
    pub(super) fn new() -> Result<Self, UnitError> {
        Self::make().map_err(|errno| UnitError::Host {
            action: "make a pseudo-terminal",
            source: errno.into(),
        })
    }

    fn make() -> Result<Self, Errno> {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let controller = openpt(flags)?;
        grantpt(&controller)?;
        unlockpt(&controller)?;
        let name = ptsname(&controller, Vec::new())?;
        let path = PathBuf::from(name.to_string_lossy().into_owned());
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let held = open(&path, flags, Mode::empty())?;
        let mut attributes = tcgetattr(&held)?;
        attributes.make_raw();
        tcsetattr(&held, OptionalActions::Now, &attributes)?;
        rustix::io::ioctl_fionbio(&controller, true)?;
        Ok(Self {
            controller,
            _held: File::from(held),
            path,
        })
    }

    /// The path that a serial program opens.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Reads what programs have written; 0 when there is nothing.
    pub(super) fn read(&self, bytes: &mut [u8]) -> usize {
        rustix::io::read(&self.controller, bytes).unwrap_or(0)
    }

    /// Writes to whoever reads the path. As on a real wire, what nobody takes is gone.
    pub(super) fn write(&self, bytes: &[u8]) {
        let _ = rustix::io::write(&self.controller, bytes);
    }
}

impl AsFd for Terminal {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.controller.as_fd()
    }
}
