//! Reading a whole published log again: every entry, every tile, up to the signed root.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use super::directory::TileDirectory;
use super::edge::{Edge, full_count, partial_bundle};
use super::error::TilesError;
use crate::audit::{
    AuditError, Checkpoint, Hash, HashTile, TILE_WIDTH, TileId, VerifierKey, hash_bundle,
};

/// How many full tiles are computed between two looks at what they make: their roots are all that is kept.
const WINDOW: u64 = 16_384;

/// How many faults are named; the others are counted.
const FAULTS_NAMED_MAX: usize = 64;

/// What a published log turned out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recomputed {
    /// Its signed checkpoint.
    pub checkpoint: Checkpoint,
    /// The bytes of its entries.
    pub bytes: u64,
    /// How many files are missing or not what they must be.
    pub faults: u64,
    /// The first of them: paths below the directory.
    pub named: Vec<String>,
}

impl Recomputed {
    fn fault(&mut self, file: impl std::fmt::Display) {
        self.faults += 1;
        if self.named.len() < FAULTS_NAMED_MAX {
            self.named.push(file.to_string());
        }
    }
}

/// What one full tile of leaves came to.
struct Column {
    root: Option<Hash>,
    bytes: u64,
    /// The bundle could not be read.
    no_entries: bool,
    /// The file of hashes is not that of the entries.
    other_hashes: bool,
}

/// Recomputes the whole tree from the entry bundles, holds every file of hashes against it and its root against the checkpoint that
/// one of `keys` signed. `threads` is how many cores it may use. Memory stays flat.
///
/// # Errors
/// [`TilesError`] where there is no checkpoint, or it is signed by none of `keys`.
pub fn recompute(
    directory: &TileDirectory,
    keys: &[VerifierKey],
    threads: usize,
) -> Result<Recomputed, TilesError> {
    let note = directory.checkpoint().ok_or_else(|| TilesError::NoTile {
        what: "a checkpoint".to_owned(),
    })?;
    let checkpoint = Checkpoint::verify_any(&note, keys)?;
    let size = checkpoint.size;
    let mut outcome = Recomputed {
        checkpoint,
        bytes: 0,
        faults: 0,
        named: Vec::new(),
    };
    let mut edge = Edge::default();
    let columns = full_count(size, 0);
    let mut first = 0;
    while first < columns {
        let count = WINDOW.min(columns - first);
        for (index, column) in (first..).zip(window(directory, first, count, threads)) {
            take(directory, &mut outcome, &mut edge, index, &column)?;
        }
        first += count;
    }
    finish(directory, &mut outcome, edge)?;
    Ok(outcome)
}

/// Computes the full tiles `first .. first + count` of leaves, in their order.
fn window(directory: &TileDirectory, first: u64, count: u64, threads: usize) -> Vec<Column> {
    let next = AtomicU64::new(0);
    let work = || {
        let mut done = Vec::new();
        loop {
            let n = next.fetch_add(1, Ordering::Relaxed);
            if n >= count {
                return done;
            }
            done.push((n, column(directory, first + n)));
        }
    };
    let mut columns = thread::scope(|scope| {
        let others: Vec<_> = (1..threads.max(1)).map(|_| scope.spawn(work)).collect();
        let mut all = work();
        for other in others {
            // A thread that panicked leaves a gap, which is a fault below.
            all.extend(other.join().unwrap_or_default());
        }
        all
    });
    columns.sort_unstable_by_key(|(n, _)| *n);
    columns.into_iter().map(|(_, column)| column).collect()
}

fn column(directory: &TileDirectory, index: u64) -> Column {
    let bundle = directory.read(TileId::bundle(index));
    let made = bundle
        .as_ref()
        .and_then(|bytes| hash_bundle(TILE_WIDTH, bytes).ok());
    let stored = directory.read(TileId::full(0, index));
    let other_hashes = match (&made, &stored) {
        (Some(made), Some(stored)) => !same(made, stored),
        _ => stored.is_none(),
    };
    let lengths = 2 * u64::from(TILE_WIDTH);
    Column {
        bytes: bundle.map_or(0, |bytes| (bytes.len() as u64).saturating_sub(lengths)),
        no_entries: made.is_none(),
        other_hashes,
        // Without the entries the hashes still may be right, and tell whether everything else is.
        root: made
            .or_else(|| HashTile::parse(TILE_WIDTH, &stored?).ok())
            .and_then(|tile| tile.root()),
    }
}

fn same(made: &HashTile, stored: &[u8]) -> bool {
    made.hashes().as_flattened() == stored
}

/// Takes in a full tile of leaves, and holds the tiles above that it completes against their files.
fn take(
    directory: &TileDirectory,
    outcome: &mut Recomputed,
    edge: &mut Edge,
    index: u64,
    column: &Column,
) -> Result<(), TilesError> {
    outcome.bytes += column.bytes;
    if column.no_entries {
        outcome.fault(TileId::bundle(index));
    }
    if column.other_hashes {
        outcome.fault(TileId::full(0, index));
    }
    let root = column.root.unwrap_or_default();
    edge.append_tile(root, &mut |id, tile: HashTile| {
        if !(directory.read(id)).is_some_and(|stored| same(&tile, &stored)) {
            outcome.fault(id);
        }
        Ok::<_, AuditError>(())
    })?;
    Ok(())
}

/// The last leaves, the partial tiles and the root.
fn finish(
    directory: &TileDirectory,
    outcome: &mut Recomputed,
    mut edge: Edge,
) -> Result<(), TilesError> {
    if let Some(bundle) = partial_bundle(outcome.checkpoint.size) {
        let bytes = directory.read(bundle).unwrap_or_default();
        match hash_bundle(bundle.width(), &bytes) {
            Ok(tile) => {
                outcome.bytes += bytes.len() as u64 - 2 * u64::from(bundle.width());
                for leaf in tile.hashes() {
                    edge.append(*leaf, &mut |_, _| Ok::<_, AuditError>(()))?;
                }
            }
            Err(_) => outcome.fault(bundle),
        }
    }
    for (id, tile) in edge.tiles() {
        if !(directory.read(id)).is_some_and(|stored| same(&tile, &stored)) {
            outcome.fault(id);
        }
    }
    if edge.size() != outcome.checkpoint.size || edge.root() != outcome.checkpoint.root {
        outcome.fault("checkpoint");
    }
    Ok(())
}
