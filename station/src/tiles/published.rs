//! The right edge of what is published, from whatever files are left of it.

use super::directory::TileDirectory;
use super::edge::{Edge, partial, partial_bundle};
use crate::audit::{Hash, HashTile, TILE_HEIGHT, TILE_WIDTH, TileId, hash_bundle};

/// The edge of a published tree of `size` leaves, unchecked: from the partial tiles, or where these are not trusted from the full tiles
/// below them. Where the last leaves are nowhere, that of the tree before them.
pub(super) fn published_edge(
    directory: &TileDirectory,
    size: u64,
    trust_partials: bool,
) -> Option<Edge> {
    let from_file = |level, size| {
        let bytes = directory.read_hashes(partial(size, level)?)?;
        Some(bytes.as_chunks::<32>().0.to_vec())
    };
    let from_bundle = |id: TileId| {
        let tile = hash_bundle(id.width(), &directory.read(id)?).ok()?;
        Some(tile.hashes().to_vec())
    };
    let leaves = match partial_bundle(size) {
        None => Some(Vec::new()),
        Some(bundle) => (from_file(0, size).filter(|_| trust_partials))
            .or_else(|| from_bundle(bundle))
            .or_else(|| from_file(0, size)),
    };
    let known = leaves
        .as_ref()
        .map_or(size - size % u64::from(TILE_WIDTH), |_| size);
    let mut levels = Vec::new();
    for level in (0..8).take_while(|level| known >> (TILE_HEIGHT * u32::from(*level)) > 0) {
        let hashes = match (level, partial(known, level)) {
            (_, None) => Vec::new(),
            (0, Some(_)) => leaves.clone()?,
            (_, Some(id)) => (from_file(level, known).filter(|_| trust_partials))
                .or_else(|| from_below(directory, id, level))?,
        };
        levels.push(hashes);
    }
    Edge::new(known, levels)
}

/// The hashes of a partial tile from the full tiles that they stand for.
fn from_below(directory: &TileDirectory, id: TileId, level: u8) -> Option<Vec<Hash>> {
    let first = id.index() * u64::from(TILE_WIDTH);
    let below = (first..first + u64::from(id.width())).map(|index| {
        let bytes = directory.read(TileId::full(level.checked_sub(1)?, index))?;
        HashTile::parse(TILE_WIDTH, &bytes).ok()?.root()
    });
    below.collect()
}
