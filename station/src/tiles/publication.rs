//! What is published, and how it grows by a round.

use super::check::Check;
use super::directory::TileDirectory;
use super::edge::{Edge, partial_bundle};
use super::error::TilesError;
use super::reader::keys_of;
use super::trunk::{Trunk, View, blocking, page, unverified};
use crate::audit::{
    AuditError, Checkpoint, HashTile, TILE_WIDTH, TileContent, TileId, empty_root, leaf_hash,
    push_entry,
};
use crate::journal::JournalReader;

/// How many leaves a round publishes at most, unless the journal signed no checkpoint in between: it bounds what is held in memory
/// and how long a station that closes has to wait.
pub(super) const ROUND_LEAVES_MAX: u64 = 16_384;

const MEBIBYTE: u64 = 1024 * 1024;

/// What is on disk and known to be right.
struct Stand {
    /// The checkpoint file; none before the first round.
    note: Option<String>,
    view: View,
    /// The partial entry bundle.
    entries: Vec<u8>,
}

/// The published log, as its only writer sees it.
pub(super) struct Publication {
    journal: JournalReader,
    directory: TileDirectory,
    origin: String,
    free_space_min: u64,
    trunk: Trunk,
    stand: Option<Stand>,
    check: Check,
}

/// How far a round came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Progress {
    /// The size of the published tree.
    pub(super) published: u64,
    /// More is waiting.
    pub(super) behind: bool,
}

impl Publication {
    /// Publishes `journal`'s log in `directory`, as long as so many bytes are left free on its disk.
    pub(super) fn new(
        journal: JournalReader,
        directory: TileDirectory,
        origin: &str,
        free_space_min: u64,
    ) -> Self {
        Self {
            trunk: Trunk::new(directory.clone(), Some(journal.clone())),
            journal,
            directory,
            origin: origin.to_owned(),
            free_space_min,
            stand: None,
            check: Check::default(),
        }
    }

    /// Brings what is published up to the checkpoint `latest`, or as near to it as one round may.
    ///
    /// A round that fails leaves what was published before; the next one looks at the disk anew.
    pub(super) async fn round(&mut self, latest: &str) -> Result<Progress, TilesError> {
        let found = self.look().await?;
        let stand = match self.stand.take().filter(|stand| stand.note == found) {
            Some(stand) => stand,
            None => self.take_up(found).await?,
        };
        let newest = unverified(latest)?;
        let published = stand.view.size();
        let stand = match self.target(&stand, &newest, latest).await? {
            Some(note) => self.advance(stand, note).await?,
            None => stand,
        };
        let progress = Progress {
            published: stand.view.size(),
            behind: stand.view.size() < newest.size,
        };
        if progress.published > published {
            tracing::debug!(
                tiles.published = progress.published,
                "the log was published"
            );
        }
        self.stand = Some(stand);
        Ok(progress)
    }

    /// Checks some of the tiles that were there before this process.
    pub(super) async fn check(&mut self) -> Result<(), TilesError> {
        let Some(stand) = &self.stand else {
            return Ok(());
        };
        self.check
            .step(&stand.view, &stand.entries, &self.trunk, &self.journal)
            .await
    }

    /// Whether all tiles that were there before are known to be right.
    pub(super) fn checked(&self) -> bool {
        self.stand.is_some() && self.check.is_done()
    }

    /// The published checkpoint, after a look at the disk's room.
    async fn look(&self) -> Result<Option<String>, TilesError> {
        let (directory, expected) = (self.directory.clone(), self.free_space_min);
        blocking(move || {
            let found = directory.free_space()?;
            if found < expected {
                return Err(TilesError::Space {
                    path: directory.path().to_owned(),
                    expected_mib: expected / MEBIBYTE,
                    found_mib: found / MEBIBYTE,
                });
            }
            Ok(directory.checkpoint())
        })
        .await?
    }

    /// Goes on from what is on disk, where that is this log; else begins anew.
    async fn take_up(&mut self, note: Option<String>) -> Result<Stand, TilesError> {
        self.trunk = Trunk::new(self.directory.clone(), Some(self.journal.clone()));
        self.check = Check::default();
        let Some((note, published)) = self.ours(note).await? else {
            let directory = self.directory.clone();
            blocking(move || directory.clear()).await??;
            return self.nothing();
        };
        let view = self.trunk.view(published, None).await?;
        let entries = self.last_entries(&view).await?;
        let files = partial_files(&view.edge, &entries);
        let (directory, written) = (self.directory.clone(), note.clone());
        blocking(move || {
            directory.tidy()?;
            for (tile, bytes) in files {
                directory.ensure(tile, &bytes)?;
            }
            if directory.checkpoint().as_ref() == Some(&written) {
                return Ok(());
            }
            directory.write_checkpoint(&written)
        })
        .await??;
        self.check = Check::of(view.size());
        Ok(Stand {
            note: Some(note),
            view,
            entries,
        })
    }

    /// The published checkpoint, if it is one of the journal's.
    async fn ours(&self, note: Option<String>) -> Result<Option<(String, Checkpoint)>, TilesError> {
        let Some((note, published)) = note.and_then(|note| {
            let checkpoint = unverified(&note).ok()?;
            Some((note, checkpoint))
        }) else {
            return Ok(None);
        };
        let keys = keys_of(&self.journal).await?;
        let signed = Checkpoint::verify_any(&note, &keys).is_ok();
        let stored = self.journal.checkpoint_of(published.size).await?;
        let known = stored.map(|stored| Ok((unverified(&stored)?, stored)));
        let known: Option<(Checkpoint, String)> = known.transpose().map_err(TilesError::Audit)?;
        match known {
            // More signatures than the journal has are welcome; a note that was changed is not.
            Some((known, _)) if signed && known == published => Ok(Some((note, published))),
            Some((known, stored)) if !signed && known.root == published.root => {
                Ok(Some((stored, known)))
            }
            _ if signed => Err(TilesError::Contradiction {
                published: published.size,
                journal: unverified(&self.journal.latest_checkpoint().await?)?.size,
            }),
            _ => Ok(None),
        }
    }

    fn nothing(&self) -> Result<Stand, TilesError> {
        let checkpoint = Checkpoint {
            origin: self.origin.clone(),
            size: 0,
            root: empty_root(),
        };
        let view = View::new(checkpoint, Edge::default()).ok_or(TilesError::Ending)?;
        Ok(Stand {
            note: None,
            view,
            entries: Vec::new(),
        })
    }

    /// The partial entry bundle, from the journal and held against the edge.
    async fn last_entries(&self, view: &View) -> Result<Vec<u8>, TilesError> {
        let width = view.size() % u64::from(TILE_WIDTH);
        let leaves = page(&self.journal, view.size() - width, view.size()).await?;
        let mut entries = Vec::new();
        let mut hashes = Vec::new();
        for leaf in leaves {
            push_entry(&mut entries, &leaf)?;
            hashes.push(leaf_hash(&leaf));
        }
        if hashes == view.edge.hashes(0) {
            return Ok(entries);
        }
        Err(TilesError::Damaged {
            what: "last entries".to_owned(),
            size: view.size(),
        })
    }

    /// The checkpoint that this round publishes.
    async fn target(
        &self,
        stand: &Stand,
        newest: &Checkpoint,
        note: &str,
    ) -> Result<Option<String>, TilesError> {
        let published = stand.view.size();
        if stand.note.is_some() && newest.size <= published {
            return Ok(None);
        }
        if newest.size - published <= ROUND_LEAVES_MAX {
            return Ok(Some(note.to_owned()));
        }
        let between = self.journal.next_checkpoint(published, ROUND_LEAVES_MAX);
        Ok(Some(between.await?.unwrap_or_else(|| note.to_owned())))
    }

    /// Makes and writes everything up to the checkpoint `note`. Nothing is written before its root has come out.
    async fn advance(&self, stand: Stand, note: String) -> Result<Stand, TilesError> {
        let checkpoint = unverified(&note)?;
        let mut batch = Batch {
            edge: stand.view.edge,
            entries: stand.entries,
            files: Vec::new(),
        };
        while batch.edge.size() < checkpoint.size {
            let leaves = page(&self.journal, batch.edge.size(), checkpoint.size).await?;
            batch = blocking(move || batch.append(&leaves)).await??;
        }
        let (edge, entries, mut files) = (batch.edge, batch.entries, batch.files);
        let damaged = TilesError::Damaged {
            what: "latest entries".to_owned(),
            size: checkpoint.size,
        };
        let view = View::new(checkpoint, edge).ok_or(damaged)?;
        let completed: Vec<_> = files.iter().map(|(tile, _)| *tile).collect();
        files.extend(partial_files(&view.edge, &entries));
        let (directory, written) = (self.directory.clone(), note.clone());
        blocking(move || {
            for (tile, bytes) in files {
                directory.write(tile, &bytes)?;
            }
            directory.write_checkpoint(&written)?;
            for tile in completed {
                directory.remove_partials(tile)?;
            }
            Ok::<_, TilesError>(())
        })
        .await??;
        Ok(Stand {
            note: Some(note),
            view,
            entries,
        })
    }
}

/// What a round makes before it writes.
struct Batch {
    edge: Edge,
    entries: Vec<u8>,
    /// The full tiles and bundles.
    files: Vec<(TileId, Vec<u8>)>,
}

impl Batch {
    fn append(mut self, leaves: &[Vec<u8>]) -> Result<Self, AuditError> {
        for leaf in leaves {
            push_entry(&mut self.entries, leaf)?;
            let (files, entries) = (&mut self.files, &mut self.entries);
            self.edge
                .append(leaf_hash(leaf), &mut |id, tile: HashTile| {
                    if id.content() == TileContent::Hashes(0) {
                        files.push((TileId::bundle(id.index()), std::mem::take(entries)));
                    }
                    files.push((id, tile.to_bytes()));
                    Ok::<_, AuditError>(())
                })?;
        }
        Ok(self)
    }
}

/// The files of the right edge.
fn partial_files(edge: &Edge, entries: &[u8]) -> Vec<(TileId, Vec<u8>)> {
    let hashes = edge.tiles().map(|(id, tile)| (id, tile.to_bytes()));
    let bundle = partial_bundle(edge.size()).map(|id| (id, entries.to_vec()));
    hashes.chain(bundle).collect()
}
