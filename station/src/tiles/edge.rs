//! The right edge of the tree in tiles: the hashes of the tiles that are not full yet, at every level.

use crate::audit::{
    AuditError, Hash, HashTile, TILE_HEIGHT, TILE_WIDTH, TileContent, TileId, tree_root,
};

/// The right edge. Holding one says nothing about where it came from: compare its root with a signed checkpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Edge {
    size: u64,
    /// At level `l` the `(size >> 8 × l) mod 256` last hashes.
    levels: Vec<Vec<Hash>>,
}

impl Edge {
    /// An edge of these levels; `None` where their widths are not those of a tree of `size` leaves.
    pub(super) fn new(size: u64, levels: Vec<Vec<Hash>>) -> Option<Self> {
        let widths = (0..).map_while(|level| width_at(size, level));
        let fits = levels.iter().map(|level| level.len() as u64).eq(widths);
        fits.then_some(Self { size, levels })
    }

    pub(super) const fn size(&self) -> u64 {
        self.size
    }

    /// Appends a leaf by its hash, and gives `full` every tile of hashes that it completes.
    pub(super) fn append<E: From<AuditError>>(
        &mut self,
        leaf: Hash,
        full: &mut impl FnMut(TileId, HashTile) -> Result<(), E>,
    ) -> Result<(), E> {
        self.push(0, leaf, full)
    }

    /// Appends the leaves of a whole tile by its root; the tree's size must be a multiple of 256.
    pub(super) fn append_tile<E: From<AuditError>>(
        &mut self,
        root: Hash,
        full: &mut impl FnMut(TileId, HashTile) -> Result<(), E>,
    ) -> Result<(), E> {
        self.push(1, root, full)
    }

    fn push<E: From<AuditError>>(
        &mut self,
        level: u32,
        hash: Hash,
        full: &mut impl FnMut(TileId, HashTile) -> Result<(), E>,
    ) -> Result<(), E> {
        self.size += 1 << (TILE_HEIGHT * level);
        let mut hash = hash;
        // Eight levels hold all leaves that a u64 counts.
        for level in (0..8_u8).skip(level as usize) {
            while self.levels.len() <= usize::from(level) {
                self.levels.push(Vec::new());
            }
            let row = &mut self.levels[usize::from(level)];
            row.push(hash);
            if row.len() < usize::from(TILE_WIDTH) {
                break;
            }
            let tile = HashTile::new(std::mem::take(row))?;
            let root = tile.root();
            let index = (self.size >> (TILE_HEIGHT * (u32::from(level) + 1))) - 1;
            full(TileId::full(level, index), tile)?;
            let Some(root) = root else { break };
            hash = root;
        }
        Ok(())
    }

    /// The hashes at a level that are in no full tile.
    pub(super) fn hashes(&self, level: u8) -> &[Hash] {
        self.levels
            .get(usize::from(level))
            .map_or(&[], Vec::as_slice)
    }

    /// The partial tiles, from the leaves up; levels without one are left out.
    pub(super) fn tiles(&self) -> impl Iterator<Item = (TileId, HashTile)> + '_ {
        (0..).zip(&self.levels).filter_map(|(level, hashes)| {
            let tile = HashTile::new(hashes.clone()).ok()?;
            Some((partial(self.size, level)?, tile))
        })
    }

    /// The root of the tree.
    pub(super) fn root(&self) -> Hash {
        let tiles: Vec<_> = (self.levels.iter())
            .map(|hashes| HashTile::new(hashes.clone()).ok())
            .collect();
        let subtree = |height: u32, n: u64| {
            let (level, inside) = (height / TILE_HEIGHT, height % TILE_HEIGHT);
            let tile = tiles.get(level as usize).and_then(Option::as_ref);
            let n = n & ((1 << (TILE_HEIGHT - inside)) - 1);
            tile.and_then(|tile| tile.subtree(inside, n)).ok_or(())
        };
        // The complete subtrees of a tree's right edge all are in its partial tiles, so that this never falls back.
        tree_root(subtree, self.size).unwrap_or_default()
    }
}

/// How wide the partial tile of a level is in a tree of `size` leaves; `None` above the tree.
fn width_at(size: u64, level: u8) -> Option<u64> {
    let count = size.checked_shr(TILE_HEIGHT * u32::from(level))?;
    (count > 0).then_some(count % u64::from(TILE_WIDTH))
}

/// The partial tile of a level in a tree of `size` leaves, if there is one.
pub(super) fn partial(size: u64, level: u8) -> Option<TileId> {
    let width = u16::try_from(width_at(size, level)?).ok()?;
    let index = size >> (TILE_HEIGHT * u32::from(level)) >> TILE_HEIGHT;
    TileId::new(TileContent::Hashes(level), index, width).ok()
}

/// The partial entry bundle of a tree of `size` leaves, if there is one.
pub(super) fn partial_bundle(size: u64) -> Option<TileId> {
    let width = u16::try_from(size % u64::from(TILE_WIDTH)).ok()?;
    TileId::new(TileContent::Entries, size >> TILE_HEIGHT, width).ok()
}

/// How many full tiles a level has in a tree of `size` leaves.
pub(super) fn full_count(size: u64, level: u8) -> u64 {
    size.checked_shr(TILE_HEIGHT * (u32::from(level) + 1))
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::{Frontier, leaf_hash};

    #[test]
    fn the_edge_has_the_root_of_the_tree_and_gives_every_full_tile_once() {
        let mut edge = Edge::default();
        let mut frontier = Frontier::default();
        let mut given = Vec::new();
        for n in 0..70_000_u64 {
            let leaf = leaf_hash(&n.to_be_bytes());
            let full = &mut |id: TileId, _| {
                given.push(id);
                Ok::<_, AuditError>(())
            };
            edge.append(leaf, full).unwrap();
            frontier.append(leaf);
            if n < 600 || n % 997 == 0 {
                assert_eq!(edge.root(), frontier.root(), "{n}");
                let again = Edge::new(edge.size, edge.levels.clone()).unwrap();
                assert_eq!(again, edge);
                assert!(Edge::new(edge.size + 1, edge.levels.clone()).is_none());
            }
        }
        // The specification's example.
        let partials: Vec<_> = edge.tiles().map(|(id, _)| id.to_string()).collect();
        let expected = ["tile/0/273.p/112", "tile/1/001.p/17", "tile/2/000.p/1"];
        assert_eq!(partials, expected);
        assert_eq!(given.len(), 273 + 1);
        assert!(given.contains(&TileId::full(1, 0)));
        assert_eq!((full_count(70_000, 0), full_count(70_000, 1)), (273, 1));
    }
}
