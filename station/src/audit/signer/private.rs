//! Files that nobody but their owner may read.

use std::fs::File;
use std::os::unix::fs::PermissionsExt as _;

/// The permissions of an open file that others than its owner can reach; `None` where only its owner can.
///
/// The open file is asked, not its path: what is then read is what was looked at.
pub(super) fn exposed_mode(file: &File) -> std::io::Result<Option<u32>> {
    let mode = file.metadata()?.permissions().mode() & 0o777;
    Ok((mode & 0o077 != 0).then_some(mode))
}
