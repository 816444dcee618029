//! Looking through the tiles that were on disk before this process began.
//!
//! They are checked a few at a time, the uppermost first and the newest first: what a power cut spoilt was written last. One that
//! does not fit is made anew.

use super::directory::TileDirectory;
use super::edge::{full_count, partial_bundle};
use super::error::TilesError;
use super::trunk::{Trunk, View, blocking, page};
use crate::audit::{
    AuditError, HashTile, TILE_WIDTH, TileContent, TileId, hash_bundle, parse_bundle, push_entry,
};
use crate::journal::JournalReader;

/// How many tiles a step looks at: some ten milliseconds of one core.
const STEP: usize = 256;

/// How far the look has come.
#[derive(Debug, Default)]
pub(super) struct Check {
    /// The partial files of the tiles that still grow, whatever tree they belonged to.
    partials: bool,
    /// The level that is looked at, and how many of its full tiles are left.
    levels: Vec<(u8, u64)>,
}

impl Check {
    /// Begins with everything that a tree of `size` leaves has.
    pub(super) fn of(size: u64) -> Self {
        let levels = (0..8).map(|level| (level, full_count(size, level)));
        Self {
            partials: true,
            levels: levels.filter(|(_, count)| *count > 0).collect(),
        }
    }

    /// Whether there is nothing left to look at.
    pub(super) const fn is_done(&self) -> bool {
        !self.partials && self.levels.is_empty()
    }

    /// Looks at the next tiles.
    pub(super) async fn step(
        &mut self,
        view: &View,
        entries: &[u8],
        trunk: &Trunk,
        journal: &JournalReader,
    ) -> Result<(), TilesError> {
        if self.partials {
            check_partials(view, entries, &trunk.directory).await?;
            self.partials = false;
        }
        for _ in 0..STEP {
            let Some((level, left)) = self.levels.last_mut() else {
                break;
            };
            check_tile(view, *level, *left - 1, trunk, journal).await?;
            *left -= 1;
            if *left == 0 {
                self.levels.pop();
            }
        }
        Ok(())
    }
}

/// Sees to it that a full tile, and at the lowest level its bundle too, are what they must be.
async fn check_tile(
    view: &View,
    level: u8,
    index: u64,
    trunk: &Trunk,
    journal: &JournalReader,
) -> Result<(), TilesError> {
    let id = TileId::full(level, index);
    let held = trunk.full_tile(view, level, index).await?;
    let (directory, tile) = (trunk.directory.clone(), held.tile);
    let on_disk = held.on_disk;
    let bundle_fits = blocking(move || {
        if !on_disk {
            made_anew(id);
            directory.write(id, &tile.to_bytes())?;
        }
        directory.remove_partials(id)?;
        if level > 0 {
            return Ok(true);
        }
        let bundle = TileId::bundle(index);
        directory.remove_partials(bundle)?;
        let found = directory.read(bundle);
        let hashes = found.and_then(|bytes| hash_bundle(TILE_WIDTH, &bytes).ok());
        Ok::<_, TilesError>(hashes.is_some_and(|hashes| hashes == *tile))
    })
    .await??;
    if bundle_fits {
        return Ok(());
    }
    let first = index * u64::from(TILE_WIDTH);
    let leaves = page(journal, first, first + u64::from(TILE_WIDTH)).await?;
    let mut bundle = Vec::new();
    for leaf in leaves {
        push_entry(&mut bundle, &leaf)?;
    }
    // Bundles are below a tile that has the signed root, so that they can be held against it.
    let tile = trunk.full_tile(view, level, index).await?.tile;
    if hash_bundle(TILE_WIDTH, &bundle)? != *tile {
        return Err(TilesError::Damaged {
            what: format!("entries from {first} on"),
            size: view.size(),
        });
    }
    let directory = trunk.directory.clone();
    let id = TileId::bundle(index);
    made_anew(id);
    blocking(move || directory.write(id, &bundle)).await?
}

fn made_anew(tile: TileId) {
    tracing::warn!(tile = %tile, "a file of the published log was not what it must be and is made anew");
}

/// Earlier and narrower files of the partial tiles stay for those who hold an earlier checkpoint; whatever else is there goes.
async fn check_partials(
    view: &View,
    entries: &[u8],
    directory: &TileDirectory,
) -> Result<(), TilesError> {
    let mut tiles: Vec<(TileId, Vec<u8>)> = Vec::new();
    tiles.extend((view.edge.tiles()).map(|(id, tile)| (id, tile.to_bytes())));
    tiles.extend(partial_bundle(view.size()).map(|id| (id, entries.to_vec())));
    let directory = directory.clone();
    blocking(move || {
        for (id, whole) in tiles {
            for path in directory.partials(id) {
                let name = path.file_name().and_then(|name| name.to_str());
                let width = name.and_then(|name| name.parse::<u16>().ok());
                let narrower = width
                    .filter(|width| *width <= id.width())
                    .and_then(|width| TileId::new(id.content(), id.index(), width).ok());
                let expected = narrower.and_then(|narrower| prefix(narrower, id, &whole).ok());
                match (narrower, expected) {
                    (Some(narrower), Some(bytes)) => directory.ensure(narrower, &bytes)?,
                    _ => TileDirectory::remove(&path)?,
                }
            }
        }
        Ok(())
    })
    .await?
}

/// The file of a narrower tile, from that of a wider one.
fn prefix(narrower: TileId, wider: TileId, whole: &[u8]) -> Result<Vec<u8>, AuditError> {
    if let TileContent::Hashes(_) = narrower.content() {
        let tile = HashTile::parse(wider.width(), whole)?;
        let hashes = tile.hashes().iter().take(usize::from(narrower.width()));
        return Ok(hashes.flatten().copied().collect());
    }
    let mut bundle = Vec::new();
    let entries = parse_bundle(wider.width(), whole)?;
    for entry in entries.into_iter().take(usize::from(narrower.width())) {
        push_entry(&mut bundle, entry)?;
    }
    Ok(bundle)
}
