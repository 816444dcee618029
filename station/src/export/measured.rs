//! A file that is measured while it is written: its digest and its length are known without reading it again.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest as _, Sha256};

/// What was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Measure {
    /// SHA-256 of all of it.
    pub(super) digest: [u8; 32],
    /// Its length in bytes.
    pub(super) bytes: u64,
}

/// A file that takes at most a limited number of bytes.
pub(super) struct MeasuredFile {
    file: BufWriter<File>,
    hash: Sha256,
    bytes: u64,
    limit: u64,
    over: Arc<AtomicU64>,
}

impl MeasuredFile {
    pub(super) fn new(file: File, limit: u64) -> Self {
        Self {
            file: BufWriter::new(file),
            hash: Sha256::new(),
            bytes: 0,
            limit,
            over: Arc::default(),
        }
    }

    /// How long the file would have become when the limit refused it; 0 where it never did. Outlives the file: libraries bury the
    /// error that a write returned.
    pub(super) fn over(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.over)
    }

    /// Puts everything on disk.
    pub(super) fn finish(self) -> io::Result<Measure> {
        let file = self.file.into_inner().map_err(io::Error::from)?;
        file.sync_all()?;
        Ok(Measure {
            digest: self.hash.finalize().into(),
            bytes: self.bytes,
        })
    }
}

impl Write for MeasuredFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let after = self.bytes.saturating_add(bytes.len() as u64);
        if after > self.limit {
            self.over.store(after, Ordering::SeqCst);
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let written = self.file.write(bytes)?;
        self.hash.update(bytes.get(..written).unwrap_or(bytes));
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_measured_and_bounded() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        let mut file = MeasuredFile::new(File::create(&path).unwrap(), 6);
        file.write_all(b"abc").unwrap();
        let over = file.over();
        assert_eq!(over.load(Ordering::SeqCst), 0);
        assert!(file.write_all(b"defg").is_err());
        assert_eq!(over.load(Ordering::SeqCst), 7);
        file.write_all(b"def").unwrap();
        let measure = file.finish().unwrap();
        let content = std::fs::read(path).unwrap();
        assert_eq!(content, b"abcdef");
        assert_eq!(measure.bytes, 6);
        assert_eq!(measure.digest, <[u8; 32]>::from(Sha256::digest(content)));
    }
}
