//! The file that holds a token's PIN.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use cryptoki::types::AuthPin;
use zeroize::Zeroizing;

use super::error::TokenError;
use crate::audit::signer::private::exposed_mode;

/// The longest PIN file that is read, in bytes.
const FILE_LENGTH_MAX: u64 = 256;

/// Which content of a PIN file it was, without saying what: tokens lock themselves after a few wrong PINs, so the same wrong one must
/// not be tried again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    inode: u64,
    changed_s: i64,
    changed_ns: i64,
}

/// A PIN as long as it is needed; wiped when it is dropped.
pub(super) struct Pin {
    pub(super) pin: AuthPin,
    pub(super) stamp: Stamp,
}

/// Reads a PIN file: one line, with its end or without.
pub(super) fn read(path: &Path) -> Result<Pin, TokenError> {
    let failed = |source| TokenError::PinFile {
        path: path.to_owned(),
        source,
    };
    let file = File::open(path).map_err(failed)?;
    if let Some(mode) = exposed_mode(&file).map_err(failed)? {
        return Err(TokenError::PinFileOpenToOthers {
            path: path.to_owned(),
            mode,
        });
    }
    let metadata = file.metadata().map_err(failed)?;
    // Never grown, so that no copy is left behind.
    let mut text = Zeroizing::new(String::with_capacity(512));
    file.take(FILE_LENGTH_MAX)
        .read_to_string(&mut text)
        .map_err(failed)?;
    let pin = text.trim_end_matches(['\r', '\n']);
    if pin.is_empty() || pin.contains('\n') {
        return Err(TokenError::PinFileFormat {
            path: path.to_owned(),
        });
    }
    Ok(Pin {
        pin: AuthPin::from(pin),
        stamp: Stamp {
            inode: metadata.ino(),
            changed_s: metadata.ctime(),
            changed_ns: metadata.ctime_nsec(),
        },
    })
}
