//! A station's log as it lies on disk, read by plain SQL from a copy: looking at it heals nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use keyline_station::audit::{Checkpoint, Frontier, Hash, Leaf, VerifierKey, leaf_hash};
use keyline_station::journal::JournalReader;
use keyline_station::tiles::{TILE_DIRECTORY, TileDirectory, recompute};
use sqlx::{ConnectOptions as _, Connection as _};

use crate::station::Station;

/// The leaves, the root at each size, and the checkpoints.
pub(crate) struct StoredLog {
    leaves: Vec<Vec<u8>>,
    roots: Vec<Hash>,
    checkpoints: BTreeSet<u64>,
}

/// How many leaves of each kind a run has.
#[derive(Default)]
pub(crate) struct RunLeaves {
    pub(crate) intended: usize,
    /// The indexes of the `run-ended` leaves.
    pub(crate) ended: Vec<u64>,
}

type Rows = (Vec<(i64, Vec<u8>)>, Vec<(i64, String)>, (i64, String));

async fn rows(journal: &Path) -> Rows {
    let mut connection = sqlx::sqlite::SqliteConnectOptions::new()
        .filename(journal)
        .connect()
        .await
        .unwrap();
    let leaves = sqlx::query_as("SELECT leaf_index, leaf FROM entry ORDER BY leaf_index")
        .fetch_all(&mut connection)
        .await
        .unwrap();
    let notes = sqlx::query_as("SELECT tree_size, note FROM checkpoint ORDER BY tree_size")
        .fetch_all(&mut connection)
        .await
        .unwrap();
    let head = sqlx::query_as("SELECT tree_size, note FROM tree_head")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
    (leaves, notes, head)
}

impl StoredLog {
    /// Reads the log and checks what must hold of it at any moment: indexes 0, 1, 2 and so on, every checkpoint signed and true, the head
    /// over all leaves.
    pub(crate) fn read(home: &Path, key: &VerifierKey) -> Self {
        let copy = tempfile::tempdir().unwrap();
        for file in ["journal.sqlite", "journal.sqlite-wal"] {
            if home.join(file).exists() {
                std::fs::copy(home.join(file), copy.path().join(file)).unwrap();
            }
        }
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let (rows, notes, head) = runtime.block_on(rows(&copy.path().join("journal.sqlite")));
        let mut frontier = Frontier::default();
        let mut roots = vec![frontier.root()];
        let mut leaves = Vec::with_capacity(rows.len());
        for (expected, (index, leaf)) in rows.into_iter().enumerate() {
            assert_eq!(
                usize::try_from(index),
                Ok(expected),
                "an index is used once"
            );
            frontier.append(leaf_hash(&leaf));
            roots.push(frontier.root());
            leaves.push(leaf);
        }
        let mut checkpoints = BTreeSet::new();
        for (size, note) in notes.iter().chain([&head]) {
            let checkpoint = Checkpoint::verify(note, key).unwrap();
            assert_eq!(i64::try_from(checkpoint.size), Ok(*size));
            let place = usize::try_from(*size).unwrap();
            assert!(
                place < roots.len(),
                "a checkpoint over leaves that are gone"
            );
            assert_eq!(checkpoint.root, roots[place], "the root at {size} leaves");
            checkpoints.insert(checkpoint.size);
        }
        assert_eq!(usize::try_from(head.0), Ok(leaves.len()), "the head");
        Self {
            leaves,
            roots,
            checkpoints,
        }
    }

    pub(crate) fn size(&self) -> u64 {
        self.leaves.len() as u64
    }

    /// The root over so many leaves; `None` where there are fewer.
    pub(crate) fn root(&self, size: u64) -> Option<Hash> {
        self.roots.get(usize::try_from(size).unwrap()).copied()
    }

    /// Whether a stored checkpoint covers this leaf.
    pub(crate) fn covers(&self, index: u64) -> bool {
        self.checkpoints.last().is_some_and(|size| *size > index)
    }

    /// What the last leaf tells of.
    pub(crate) fn last_kind(&self) -> &str {
        Leaf::decode(self.leaves.last().unwrap()).unwrap().kind
    }

    /// By run's id, as events write it.
    pub(crate) fn runs(&self) -> BTreeMap<String, RunLeaves> {
        let mut runs: BTreeMap<String, RunLeaves> = BTreeMap::new();
        for (index, leaf) in (0..).zip(&self.leaves) {
            let leaf = Leaf::decode(leaf).unwrap();
            let Some(run) = leaf.run else { continue };
            let of_run = runs.entry(run.to_string()).or_default();
            match leaf.kind {
                "step-intended" => of_run.intended += 1,
                "run-ended" => of_run.ended.push(index),
                _ => {}
            }
        }
        runs
    }
}

/// The key that a station's log began with.
pub(crate) fn log_key(station: &Station) -> VerifierKey {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let keys = runtime.block_on(async {
        let reader = JournalReader::open(&station.home().join("journal.sqlite"))
            .await
            .unwrap();
        reader.log_keys().await.unwrap()
    });
    keys[0].key.clone()
}

/// `keyline audit verify --deep` finds nothing wrong.
pub(crate) fn assert_deep(station: &Station, point: &str) {
    let deep = station.run(&["audit", "verify", "--deep"]);
    assert_eq!(deep.code, 0, "{point}: {:#?} {}", deep.lines, deep.words);
    let verdict = deep.all("verdict");
    assert_eq!(verdict[0]["holds"], true, "{point}: {verdict:?}");
}

/// The published tree is right, tile by tile, and covers the whole log.
pub(crate) fn assert_published(station: &Station, key: &VerifierKey, size: u64) {
    let directory = TileDirectory::new(station.home().join(TILE_DIRECTORY));
    let published = recompute(&directory, std::slice::from_ref(key), 2).unwrap();
    assert_eq!(published.faults, 0, "{:?}", published.named);
    assert_eq!(published.checkpoint.size, size);
}
