//! Proofs, for the station and for any process beside it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::directory::TileDirectory;
use super::edge::full_count;
use super::error::TilesError;
use super::trunk::{Trunk, View};
use crate::audit::{
    AuditError, Checkpoint, Hash, TILE_HEIGHT, TlogProof, VerifierKey, consistency_proof,
    inclusion_proof, tree_root, verify_consistency, verify_inclusion,
};
use crate::journal::JournalReader;

/// The keys that sign a journal's log, or have signed it.
pub(super) async fn keys_of(journal: &JournalReader) -> Result<Vec<VerifierKey>, TilesError> {
    let keys = journal.log_keys().await?;
    Ok(keys.into_iter().map(|key| key.key).collect())
}

/// What proofs are made of: the roots of complete subtrees, by their level and number.
type Subtrees = HashMap<(u32, u64), Hash>;

/// Gives proofs. It writes nothing, so that it may work beside the owner of the home while the log grows.
///
/// Every proof was verified against a signed checkpoint before it is given out. What is not published yet, and tiles that turn out
/// wrong, are read from the journal.
#[derive(Debug)]
pub struct LogReader {
    trunk: Trunk,
    /// Of a published log alone; a journal says itself which keys sign or have signed.
    keys: Vec<VerifierKey>,
    /// The largest tree that was verified.
    view: Mutex<Option<Arc<View>>>,
}

/// What a proof is about, once every hash for it is there.
struct Pieces {
    path: Vec<Hash>,
    /// The leaf of an inclusion proof, the old root of a consistency proof.
    subject: Hash,
    root: Hash,
    /// That the tree of the proof is a prefix of the signed one.
    link: Vec<Hash>,
}

impl LogReader {
    /// Reads the log of a journal, with the help of its published tiles. Which keys are the log's the journal says.
    #[must_use]
    pub fn new(directory: TileDirectory, journal: JournalReader) -> Self {
        Self {
            trunk: Trunk::new(directory, Some(journal)),
            keys: Vec::new(),
            view: Mutex::default(),
        }
    }

    /// Reads a published log alone, for instance a copy on an auditor's machine. Damage then is an error.
    #[must_use]
    pub fn published(directory: TileDirectory, keys: Vec<VerifierKey>) -> Self {
        Self {
            trunk: Trunk::new(directory, None),
            keys,
            view: Mutex::default(),
        }
    }

    /// The latest signed checkpoint, after holding the tree against it.
    ///
    /// # Errors
    /// [`TilesError`] where it does not verify or the log can't be read.
    pub async fn head(&self) -> Result<Checkpoint, TilesError> {
        Ok(self.latest().await?.checkpoint.clone())
    }

    /// The root of the tree of the first `size` leaves.
    ///
    /// # Errors
    /// [`TilesError`] where the log has fewer or can't be read.
    pub async fn root(&self, size: u64) -> Result<Hash, TilesError> {
        let view = self.view_of(size).await?;
        let head = view.size();
        let pieces = self
            .pieces(&view, |subtree| {
                Ok(Pieces {
                    path: Vec::new(),
                    subject: [0; 32],
                    root: tree_root(&mut *subtree, size)?,
                    link: consistency_proof(&mut *subtree, size, head)?,
                })
            })
            .await?;
        verify_link(&view, size, &pieces)?;
        Ok(pieces.root)
    }

    /// The inclusion proof of leaf `index` in the tree of the first `size` leaves, from the leaf up.
    ///
    /// # Errors
    /// [`TilesError`] where there is no such leaf or the log can't be read.
    pub async fn inclusion(&self, index: u64, size: u64) -> Result<Vec<Hash>, TilesError> {
        Ok(self.included(index, size).await?.path)
    }

    async fn included(&self, index: u64, size: u64) -> Result<Pieces, TilesError> {
        let view = self.view_of(size).await?;
        let head = view.size();
        let pieces = self
            .pieces(&view, |subtree| {
                Ok(Pieces {
                    path: inclusion_proof(&mut *subtree, index, size)?,
                    subject: subtree(0, index)?,
                    root: tree_root(&mut *subtree, size)?,
                    link: consistency_proof(&mut *subtree, size, head)?,
                })
            })
            .await?;
        verify_link(&view, size, &pieces)?;
        let Pieces {
            path,
            subject,
            root,
            ..
        } = &pieces;
        verify_inclusion(subject, index, size, root, path)?;
        Ok(pieces)
    }

    /// The proof that the tree of the first `old` leaves is a prefix of that of the first `new` ones; empty where `old` is 0 or `new`.
    ///
    /// # Errors
    /// [`TilesError`] where the sizes are in no order, the log has fewer leaves or it can't be read.
    pub async fn consistency(&self, old: u64, new: u64) -> Result<Vec<Hash>, TilesError> {
        let view = self.view_of(new).await?;
        let head = view.size();
        let pieces = self
            .pieces(&view, |subtree| {
                Ok(Pieces {
                    path: consistency_proof(&mut *subtree, old, new)?,
                    subject: tree_root(&mut *subtree, old)?,
                    root: tree_root(&mut *subtree, new)?,
                    link: consistency_proof(&mut *subtree, new, head)?,
                })
            })
            .await?;
        verify_link(&view, new, &pieces)?;
        verify_consistency(old, &pieces.subject, new, &pieces.root, &pieces.path)?;
        Ok(pieces.path)
    }

    /// The proof file of leaf `index` under `note`: a checkpoint of this log, with whatever cosignatures it has.
    ///
    /// # Errors
    /// [`TilesError`] where the note is not signed by the log's key, is not a tree of this log or does not cover the leaf.
    pub async fn tlog_proof(&self, index: u64, note: &str) -> Result<TlogProof, TilesError> {
        let checkpoint = self.verify(note).await?;
        let pieces = self.included(index, checkpoint.size).await?;
        if pieces.root != checkpoint.root {
            return Err(AuditError::ProofMismatch {
                what: "consistency",
            }
            .into());
        }
        Ok(TlogProof {
            extra: None,
            index,
            path: pieces.path,
            note: note.to_owned(),
        })
    }

    /// A verified tree of at least `size` leaves.
    pub(super) async fn view_of(&self, size: u64) -> Result<Arc<View>, TilesError> {
        let known = self.known().filter(|view| view.size() >= size);
        let view = match known {
            Some(view) => view,
            None => self.latest().await?,
        };
        if view.size() < size {
            return Err(AuditError::OutOfTree {
                what: "a size",
                limit: view.size(),
                got: size,
            }
            .into());
        }
        Ok(view)
    }

    /// A checkpoint of this log, signed by one of its keys.
    async fn verify(&self, note: &str) -> Result<Checkpoint, TilesError> {
        match &self.trunk.journal {
            Some(journal) => Ok(Checkpoint::verify_any(note, &keys_of(journal).await?)?),
            None => Ok(Checkpoint::verify_any(note, &self.keys)?),
        }
    }

    /// The tree under the latest signed checkpoint: the journal's, or where there is none the published one.
    async fn latest(&self) -> Result<Arc<View>, TilesError> {
        let note = match &self.trunk.journal {
            Some(journal) => journal.latest_checkpoint().await?,
            None => (self.trunk.directory.checkpoint()).ok_or_else(|| TilesError::NoTile {
                what: "a checkpoint".to_owned(),
            })?,
        };
        let checkpoint = self.verify(&note).await?;
        let known = self.known();
        if let Some(known) = known.as_ref().filter(|view| view.checkpoint == checkpoint) {
            return Ok(Arc::clone(known));
        }
        let edge = known.map(|view| view.edge.clone());
        let view = Arc::new(self.trunk.view(checkpoint, edge).await?);
        *self.view.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&view));
        Ok(view)
    }

    fn known(&self) -> Option<Arc<View>> {
        let view = self.view.lock().unwrap_or_else(PoisonError::into_inner);
        view.clone()
    }

    /// Makes a proof in two passes: the first finds out which subtrees it takes, the second has them.
    pub(super) async fn pieces<T>(
        &self,
        view: &View,
        make: impl Fn(&mut dyn FnMut(u32, u64) -> Result<Hash, TilesError>) -> Result<T, TilesError>,
    ) -> Result<T, TilesError> {
        let mut wanted = Vec::new();
        make(&mut |height, n| {
            wanted.push((height, n));
            Ok([0; 32])
        })?;
        let mut found = Subtrees::with_capacity(wanted.len());
        for (height, n) in wanted {
            if let std::collections::hash_map::Entry::Vacant(entry) = found.entry((height, n)) {
                entry.insert(self.subtree(view, height, n).await?);
            }
        }
        make(&mut |height, n| found.get(&(height, n)).copied().ok_or(TilesError::Ending))
    }

    /// The root of a complete subtree of the view.
    async fn subtree(&self, view: &View, height: u32, n: u64) -> Result<Hash, TilesError> {
        let outside = || AuditError::OutOfTree {
            what: "a subtree below the tree's size",
            limit: view.size(),
            got: n,
        };
        let level = u8::try_from(height / TILE_HEIGHT).map_err(|_| outside())?;
        let inside = height % TILE_HEIGHT;
        let (index, place) = (
            n >> (TILE_HEIGHT - inside),
            n & ((1 << (TILE_HEIGHT - inside)) - 1),
        );
        let hash = if index < full_count(view.size(), level) {
            let held = self.trunk.full_tile(view, level, index).await?;
            held.tile.subtree(inside, place)
        } else {
            let tile = view.partial(level);
            tile.and_then(|tile| tile.subtree(inside, place))
        };
        Ok(hash.ok_or_else(outside)?)
    }
}

/// Holds the root of the tree of `size` leaves against the signed checkpoint.
fn verify_link(view: &View, size: u64, pieces: &Pieces) -> Result<(), AuditError> {
    let Checkpoint {
        size: head, root, ..
    } = &view.checkpoint;
    verify_consistency(size, &pieces.root, *head, root, &pieces.link)
}
