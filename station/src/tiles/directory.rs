//! The files.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::TilesError;
use crate::audit::TileId;

/// The checkpoint's file name.
const CHECKPOINT: &str = "checkpoint";

/// The one file that is being written; the next one takes its place, so that nothing is left over.
const UNFINISHED: &str = "unfinished";

/// The longest checkpoint that is read, in bytes: the longest note.
const CHECKPOINT_LENGTH_MAX: u64 = 65_536;

/// A directory of tiles. Reading is for anybody; only the owner of the station's home may write.
#[derive(Clone, Debug)]
pub struct TileDirectory {
    path: PathBuf,
}

impl TileDirectory {
    /// The directory at `path`, which is made when it is first written to.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file of a tile, as it is; nothing in it was checked. One that is missing, too long or can't be read gives nothing: there
    /// is another way to each of them.
    #[must_use]
    pub fn read(&self, tile: TileId) -> Option<Vec<u8>> {
        let length_max = u64::try_from(tile.length_max()).ok()?;
        read_limited(&self.path.join(tile.to_string()), length_max)
    }

    /// The first hashes of a tile, from the file of exactly this width or from the full one.
    pub(super) fn read_hashes(&self, tile: TileId) -> Option<Vec<u8>> {
        let length = tile.length_max();
        [tile, tile.completed()].into_iter().find_map(|candidate| {
            let mut bytes = self.read(candidate)?;
            bytes.truncate(length);
            (bytes.len() == length).then_some(bytes)
        })
    }

    /// The published checkpoint, as it is; nothing in it was checked.
    #[must_use]
    pub fn checkpoint(&self) -> Option<String> {
        let bytes = read_limited(&self.path.join(CHECKPOINT), CHECKPOINT_LENGTH_MAX)?;
        String::from_utf8(bytes).ok()
    }

    /// Free space on its disk, in bytes; that of the nearest directory above it while it is not there.
    pub(super) fn free_space(&self) -> Result<u64, TilesError> {
        let there = self.path.ancestors().find(|path| path.exists());
        let disk = rustix::fs::statvfs(there.unwrap_or(Path::new(".")))
            .map_err(|errno| TilesError::io(&self.path, "looked at")(errno.into()))?;
        Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
    }

    /// Writes a tile: whole, or not at all.
    ///
    /// It is not flushed. What a power cut makes of it is found by whoever reads it, and made anew.
    pub(super) fn write(&self, tile: TileId, bytes: &[u8]) -> Result<(), TilesError> {
        self.replace(&self.path.join(tile.to_string()), bytes, false)
    }

    /// Writes a tile unless its file is exactly that already.
    pub(super) fn ensure(&self, tile: TileId, bytes: &[u8]) -> Result<(), TilesError> {
        if self.read(tile).is_some_and(|found| found == bytes) {
            return Ok(());
        }
        self.write(tile, bytes)
    }

    /// Writes the checkpoint: whole and on disk, or not at all. A power cut then leaves one that can be gone on from.
    pub(super) fn write_checkpoint(&self, note: &str) -> Result<(), TilesError> {
        self.replace(&self.path.join(CHECKPOINT), note.as_bytes(), true)
    }

    fn replace(&self, path: &Path, bytes: &[u8], flush: bool) -> Result<(), TilesError> {
        let unfinished = self.path.join(UNFINISHED);
        let open = || {
            let mut options = OpenOptions::new();
            options.write(true).create(true).truncate(true).mode(0o600);
            options.open(&unfinished)
        };
        let written = with_parent(&unfinished, open)
            .and_then(|mut file| {
                file.write_all(bytes)?;
                if flush { file.sync_all() } else { Ok(()) }
            })
            .and_then(|()| with_parent(path, || fs::rename(&unfinished, path)));
        written.map_err(|source| {
            // What was begun is worth nothing, and removing it gives a full disk its room back.
            let _ = fs::remove_file(&unfinished);
            TilesError::io(path, "written")(source)
        })
    }

    /// The partial files of a tile, by their width.
    pub(super) fn partials(&self, tile: TileId) -> Vec<PathBuf> {
        let found = fs::read_dir(self.partial_directory(tile));
        let found = found.into_iter().flatten().flatten();
        found.map(|entry| entry.path()).collect()
    }

    /// Removes the partial files of a tile.
    pub(super) fn remove_partials(&self, tile: TileId) -> Result<(), TilesError> {
        let path = self.partial_directory(tile);
        gone(fs::remove_dir_all(&path)).map_err(TilesError::io(path, "removed"))
    }

    /// Removes one file.
    pub(super) fn remove(path: &Path) -> Result<(), TilesError> {
        gone(fs::remove_file(path)).map_err(TilesError::io(path, "removed"))
    }

    /// Removes what a process that was killed was writing.
    pub(super) fn tidy(&self) -> Result<(), TilesError> {
        Self::remove(&self.path.join(UNFINISHED))
    }

    /// Removes everything, the checkpoint first: without one nothing else counts.
    pub(super) fn clear(&self) -> Result<(), TilesError> {
        Self::remove(&self.path.join(CHECKPOINT))?;
        self.tidy()?;
        let tiles = self.path.join("tile");
        gone(fs::remove_dir_all(&tiles)).map_err(TilesError::io(tiles, "removed"))
    }

    fn partial_directory(&self, tile: TileId) -> PathBuf {
        let mut path = self
            .path
            .join(tile.completed().to_string())
            .into_os_string();
        path.push(".p");
        path.into()
    }
}

/// What was not there is as good as removed.
fn gone(removed: std::io::Result<()>) -> std::io::Result<()> {
    match removed {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Does it, once more after making the directory that the file belongs in where that is missing.
fn with_parent<T>(path: &Path, act: impl Fn() -> std::io::Result<T>) -> std::io::Result<T> {
    match act() {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let parent = path.parent().unwrap_or(Path::new("."));
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(parent)?;
            act()
        }
        other => other,
    }
}

fn read_limited(path: &Path, length_max: u64) -> Option<Vec<u8>> {
    let file = File::open(path).ok()?;
    let length = file.metadata().ok()?.len();
    if length > length_max {
        return None;
    }
    // Room for one more byte lets the end be seen without another reallocation.
    let mut bytes = Vec::with_capacity(usize::try_from(length).ok()? + 1);
    file.take(length_max + 1).read_to_end(&mut bytes).ok()?;
    (bytes.len() as u64 <= length_max).then_some(bytes)
}
