//! Tiles that were held against a signed root.
//!
//! The edge of a tree has its root; each full tile has the hash that stands for it in the tile above. So from a signed checkpoint
//! down every tile is either the one that was signed or known to be another one, and then it is made anew from the journal.

use std::sync::{Arc, Mutex, PoisonError};

use super::cache::Cache;
use super::directory::TileDirectory;
use super::edge::{Edge, full_count};
use super::error::TilesError;
use super::published::published_edge;
use crate::audit::{
    AuditError, Checkpoint, Hash, HashTile, SignedNote, TILE_HEIGHT, TILE_WIDTH, TileContent,
    TileId, leaf_hash,
};
use crate::journal::{JournalError, JournalReader, LEAVES_MAX};

/// Reads a checkpoint without looking at its signatures.
pub(super) fn unverified(note: &str) -> Result<Checkpoint, AuditError> {
    Checkpoint::parse(&SignedNote::parse(note)?.text)
}

/// The tree under one checkpoint. Holding one proves that the edge has the checkpoint's root.
#[derive(Debug)]
pub(super) struct View {
    pub(super) checkpoint: Checkpoint,
    pub(super) edge: Edge,
    /// The partial tile of each level.
    partials: Vec<Option<HashTile>>,
}

impl View {
    /// The tree with this edge; `None` where its root is not the checkpoint's.
    pub(super) fn new(checkpoint: Checkpoint, edge: Edge) -> Option<Self> {
        if edge.size() != checkpoint.size || edge.root() != checkpoint.root {
            return None;
        }
        let levels = 0..8;
        let partials = levels.map(|level| HashTile::new(edge.hashes(level).to_vec()).ok());
        Some(Self {
            checkpoint,
            partials: partials.collect(),
            edge,
        })
    }

    pub(super) const fn size(&self) -> u64 {
        self.edge.size()
    }

    /// The partial tile of a level, if there is one.
    pub(super) fn partial(&self, level: u8) -> Option<&HashTile> {
        self.partials.get(usize::from(level))?.as_ref()
    }
}

/// A full tile, and whether the file of it was as it must be.
pub(super) struct Held {
    pub(super) tile: Arc<HashTile>,
    pub(super) on_disk: bool,
}

/// The way to tiles: from the directory, else from the journal.
#[derive(Debug)]
pub(super) struct Trunk {
    pub(super) directory: TileDirectory,
    /// None where there is only a published log.
    pub(super) journal: Option<JournalReader>,
    cache: Mutex<Cache>,
}

impl Trunk {
    pub(super) fn new(directory: TileDirectory, journal: Option<JournalReader>) -> Self {
        Self {
            directory,
            journal,
            cache: Mutex::default(),
        }
    }

    /// The tree under `checkpoint`, from `held` or from what is published; where that does not lead to the root, from the journal's
    /// entries, which takes as long as the log is.
    pub(super) async fn view(
        &self,
        checkpoint: Checkpoint,
        held: Option<Edge>,
    ) -> Result<View, TilesError> {
        let size = checkpoint.size;
        for attempt in 0..4 {
            let edge = match attempt {
                0 => held.clone(),
                1 => self.published_edge(size, true).await?,
                2 => self.published_edge(size, false).await?,
                _ => self.journal.as_ref().map(|_| Edge::default()),
            };
            let Some(edge) = edge.filter(|edge| edge.size() <= size) else {
                continue;
            };
            let Some(edge) = self.extended(edge, size).await? else {
                continue;
            };
            if let Some(view) = View::new(checkpoint.clone(), edge) {
                return Ok(view);
            }
        }
        Err(self.broken(size, "entries", || "an edge".to_owned()))
    }

    /// The edge of what is published, if that is no more than `size` leaves: from the partial tiles, or where these are not trusted
    /// from the full tiles below them.
    async fn published_edge(
        &self,
        size: u64,
        trust_partials: bool,
    ) -> Result<Option<Edge>, TilesError> {
        let directory = self.directory.clone();
        blocking(move || {
            let note = directory.checkpoint()?;
            let published = unverified(&note).ok()?.size;
            if published > size {
                return None;
            }
            published_edge(&directory, published, trust_partials)
        })
        .await
    }

    /// Appends the journal's leaves up to `size`; `None` where some are needed and there is no journal.
    async fn extended(&self, mut edge: Edge, size: u64) -> Result<Option<Edge>, TilesError> {
        while edge.size() < size {
            let Some(journal) = &self.journal else {
                return Ok(None);
            };
            let leaves = page(journal, edge.size(), size).await?;
            edge = blocking(move || {
                for leaf in leaves {
                    edge.append(leaf_hash(&leaf), &mut |_, _| Ok::<_, AuditError>(()))?;
                }
                Ok::<_, AuditError>(edge)
            })
            .await??;
        }
        Ok(Some(edge))
    }

    /// The full tile `index` of a level, which must be in the view.
    pub(super) async fn full_tile(
        &self,
        view: &View,
        level: u8,
        index: u64,
    ) -> Result<Held, TilesError> {
        // Up to the first tile whose parent is in the edge …
        let mut way = Vec::new();
        let mut at = (level, index);
        loop {
            way.push(at);
            at = (at.0 + 1, at.1 >> TILE_HEIGHT);
            if at.1 >= full_count(view.size(), at.0) {
                break;
            }
        }
        // … and down again, each tile being the one that a hash in its parent stands for.
        let mut held: Option<Held> = None;
        for (at_level, at) in way.into_iter().rev() {
            let slot = at % u64::from(TILE_WIDTH);
            let root = match &held {
                Some(parent) => parent.tile.subtree(0, slot),
                None => (view.partial(at_level + 1)).and_then(|parent| parent.subtree(0, slot)),
            };
            let root = root.ok_or_else(|| outside(view, index))?;
            held = Some(self.checked(view, TileId::full(at_level, at), root).await?);
        }
        Ok(held.ok_or_else(|| outside(view, index))?)
    }

    /// A full tile with this root: as it was used last, as it is on disk, or as the journal's entries make it.
    async fn checked(&self, view: &View, id: TileId, root: Hash) -> Result<Held, TilesError> {
        let fits = |tile: &HashTile| tile.root() == Some(root);
        if let Some(tile) = self.cache().get(id).filter(|tile| fits(tile)) {
            return Ok(Held {
                tile,
                on_disk: true,
            });
        }
        // Eight KiB and 255 hashes take less time than a change of threads and back, which a busy machine may stretch to milliseconds.
        let found = self.directory.read(id);
        let found = found.and_then(|bytes| HashTile::parse(TILE_WIDTH, &bytes).ok());
        let (tile, on_disk) = match found.filter(fits) {
            Some(tile) => (tile, true),
            None => (self.remake(view, id, root).await?, false),
        };
        let tile = Arc::new(tile);
        self.cache().put(id, Arc::clone(&tile));
        Ok(Held { tile, on_disk })
    }

    /// Makes a full tile from the entries below it.
    async fn remake(&self, view: &View, id: TileId, root: Hash) -> Result<HashTile, TilesError> {
        let TileContent::Hashes(level) = id.content() else {
            return Err(self.broken(view.size(), "entries", || id.to_string()));
        };
        let count = 1_u64 << (TILE_HEIGHT * (u32::from(level) + 1));
        let (first, mut done) = (id.index() * count, 0);
        let (mut edge, mut made) = (Edge::default(), None);
        while let Some(journal) = self.journal.as_ref().filter(|_| done < count) {
            let leaves = page(journal, first + done, first + count).await?;
            done += leaves.len() as u64;
            (edge, made) = blocking(move || {
                for leaf in leaves {
                    edge.append(leaf_hash(&leaf), &mut |completed: TileId, tile| {
                        if completed.content() == TileContent::Hashes(level) {
                            made = Some(tile);
                        }
                        Ok::<_, AuditError>(())
                    })?;
                }
                Ok::<_, AuditError>((edge, made))
            })
            .await??;
        }
        made.filter(|tile| tile.root() == Some(root))
            .ok_or_else(|| self.broken(view.size(), "entries below a tile", || id.to_string()))
    }

    /// Nothing leads to the root: the journal's fault where there is one, else that of the published files.
    fn broken(&self, size: u64, what: &str, file: impl FnOnce() -> String) -> TilesError {
        if self.journal.is_some() {
            let what = what.to_owned();
            TilesError::Damaged { what, size }
        } else {
            TilesError::NoTile { what: file() }
        }
    }

    fn cache(&self) -> std::sync::MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn outside(view: &View, index: u64) -> AuditError {
    AuditError::OutOfTree {
        what: "a full tile below the tree's size",
        limit: view.size(),
        got: index,
    }
}

/// The leaves from `first` on, as many as one question gives and none from `end` on.
pub(super) async fn page(
    journal: &JournalReader,
    first: u64,
    end: u64,
) -> Result<Vec<Vec<u8>>, JournalError> {
    let count = u32::try_from(end - first).unwrap_or(LEAVES_MAX);
    journal.leaves(first, count).await
}

/// Reads files and hashes on a thread that may wait.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, TilesError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| TilesError::Ending)
}
