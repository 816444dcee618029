//! The tiles that were used last.

use std::collections::HashMap;
use std::sync::Arc;

use crate::audit::{HashTile, TileId};

/// How many tiles are kept: with their inner nodes some 16 KiB each.
const TILES_MAX: usize = 256;

/// Keeps the tiles that were used last.
#[derive(Debug, Default)]
pub(super) struct Cache {
    tiles: HashMap<TileId, (u64, Arc<HashTile>)>,
    uses: u64,
}

impl Cache {
    pub(super) fn get(&mut self, id: TileId) -> Option<Arc<HashTile>> {
        self.uses += 1;
        let (used, tile) = self.tiles.get_mut(&id)?;
        *used = self.uses;
        Some(Arc::clone(tile))
    }

    pub(super) fn put(&mut self, id: TileId, tile: Arc<HashTile>) {
        self.uses += 1;
        if self.tiles.len() >= TILES_MAX && !self.tiles.contains_key(&id) {
            let oldest = self.tiles.iter().min_by_key(|(_, (used, _))| *used);
            if let Some(oldest) = oldest.map(|(id, _)| *id) {
                self.tiles.remove(&oldest);
            }
        }
        self.tiles.insert(id, (self.uses, tile));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tile_that_was_not_used_for_the_longest_time_goes() {
        let mut cache = Cache::default();
        let tile = Arc::new(HashTile::new(vec![[0; 32]]).unwrap());
        let id = |n: usize| TileId::full(0, n as u64);
        for n in 0..TILES_MAX {
            cache.put(id(n), Arc::clone(&tile));
        }
        assert!(cache.get(id(0)).is_some());
        cache.put(id(TILES_MAX), Arc::clone(&tile));
        assert!(cache.get(id(0)).is_some());
        assert!(cache.get(id(1)).is_none());
        assert_eq!(cache.tiles.len(), TILES_MAX);
    }
}
