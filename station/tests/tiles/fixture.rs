//! A journal with leaves in it and the directory in which it is published, and a foreign reader of that directory.

use std::path::{Path, PathBuf};

use futures_util::FutureExt as _;
use keyline_station::audit::{
    Checkpoint, CheckpointSigner, CheckpointSigners, FileSigner, TileContent, TileId, VerifierKey,
    parse_bundle,
};
use keyline_station::journal::{Journal, JournalReader};
use keyline_station::record::Change;
use keyline_station::tiles::{
    LogReader, Publisher, PublisherStatus, Recomputed, TileDirectory, TilesError, recompute,
};
use tempfile::TempDir;
use tlog_tiles::{Error, HashReader, Tile, TileHashReader, TileReader};

pub(crate) const ORIGIN: &str = "factory.example/station-7";

/// A station's journal and its tiles.
pub(crate) struct Log {
    pub(crate) home: TempDir,
    pub(crate) journal: Journal,
}

impl Log {
    pub(crate) async fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        FileSigner::generate(&home.path().join("audit.pem")).unwrap();
        let journal = open_journal(home.path()).await;
        Self { home, journal }
    }

    /// A log of so many leaves, published.
    pub(crate) async fn published(size: u64) -> Self {
        let log = Self::new().await;
        log.grow(size).await;
        log.publish().await;
        log
    }

    /// Does something to a copy of the station for each of these, all at the same time.
    pub(crate) async fn copy_to_all<T, F>(
        self,
        tasks: &mut tokio::task::JoinSet<()>,
        each: impl IntoIterator<Item = T>,
        act: impl Fn(Self, T) -> F,
    ) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let Self { home, journal } = self;
        journal.close().await.unwrap();
        for item in each {
            let copy = tempfile::tempdir().unwrap();
            let copied = std::process::Command::new("cp")
                .arg("-a")
                .arg(home.path().join("."))
                .arg(copy.path())
                .status();
            assert!(copied.unwrap().success());
            let journal = open_journal(copy.path()).await;
            tasks.spawn(act(
                Self {
                    home: copy,
                    journal,
                },
                item,
            ));
        }
        let journal = open_journal(home.path()).await;
        Self { home, journal }
    }

    pub(crate) fn directory(&self) -> TileDirectory {
        TileDirectory::new(self.home.path().join("tlog"))
    }

    pub(crate) fn file(&self, path: &str) -> PathBuf {
        self.directory().path().join(path)
    }

    pub(crate) fn key(&self) -> VerifierKey {
        self.journal.verifier_keys()[0].clone()
    }

    /// Appends so many leaves.
    pub(crate) async fn grow(&self, leaves: u64) {
        grow(&self.journal, leaves).await;
    }

    pub(crate) fn start(&self) -> Publisher {
        Publisher::start(&self.journal, self.directory(), 0)
    }

    /// Publishes everything, with as many publishers as it takes.
    pub(crate) async fn publish(&self) {
        let size = self.size();
        for _ in 0..100 {
            let status = self.start().close().await;
            assert_eq!(status.failure, None);
            if status.published == size {
                return;
            }
        }
        panic!("not published in a hundred rounds");
    }

    /// Lets a publisher look through everything that is on disk.
    pub(crate) async fn publish_and_check(&self) {
        let publisher = self.start();
        let mut status = publisher.status();
        let size = self.size();
        let whole = |status: &PublisherStatus| status.checked && status.published == size;
        let whole = status.wait_for(whole);
        let whole = tokio::time::timeout(std::time::Duration::from_mins(5), whole);
        whole.await.expect("it comes to an end").unwrap();
        assert_eq!(publisher.close().await.failure, None);
    }

    /// How many leaves the journal has.
    pub(crate) fn size(&self) -> u64 {
        self.head().size
    }

    pub(crate) fn head(&self) -> Checkpoint {
        Checkpoint::verify(&self.journal.checkpoint(), &self.key()).unwrap()
    }

    pub(crate) fn reader(&self) -> LogReader {
        let journal: JournalReader = (*self.journal).clone();
        LogReader::new(self.directory(), journal)
    }

    pub(crate) fn recompute(&self) -> Recomputed {
        recompute(&self.directory(), &[self.key()], 2).unwrap()
    }

    /// The whole invariant: what is published is the journal's log, to us and to a foreign reader.
    pub(crate) fn assert_published(&self) {
        let found = self.recompute();
        assert_eq!(found.checkpoint, self.head());
        assert_eq!((found.faults, &found.named), (0, &Vec::new()));
        let foreign = Foreign::open(self.directory().path());
        foreign.check(&self.key());
        assert!(!self.file("unfinished").exists());
    }
}

pub(crate) async fn open_journal(home: &Path) -> Journal {
    let signer = FileSigner::open(&home.join("audit.pem")).unwrap();
    let signer = CheckpointSigner::File(signer);
    Journal::open(&home.join("journal.db"), signer, ORIGIN)
        .await
        .unwrap()
}

/// The key of a station's log.
pub(crate) fn verifier_key(home: &Path) -> VerifierKey {
    let config = keyline_station::home::read_config(home).unwrap();
    let signers = signers(home, &config.audit);
    let keys = signers.verifier_keys(&config.station.name).unwrap();
    keys[0].clone()
}

fn signers(home: &Path, config: &keyline_station::home::AuditConfig) -> CheckpointSigners {
    let opened = keyline_station::app::open_signers(home, config);
    opened.now_or_never().unwrap().unwrap()
}

/// Reads again what a station has published.
pub(crate) fn published(home: &Path) -> Result<Recomputed, TilesError> {
    recompute(
        &TileDirectory::new(home.join("tlog")),
        &[verifier_key(home)],
        2,
    )
}

/// Gives a station's log so many more leaves, none of them published.
pub(crate) fn grow_home(home: &Path, leaves: u64) {
    let config = keyline_station::home::read_config(home).unwrap();
    let signer = signers(home, &config.audit);
    let path = home.join(&config.journal.path);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let journal = Journal::open(&path, signer, &config.station.name).await;
        let journal = journal.unwrap();
        grow(&journal, leaves).await;
        journal.close().await.unwrap();
    });
}

/// Appends so many leaves, each commit as large as may be.
async fn grow(journal: &Journal, leaves: u64) {
    let mut left = usize::try_from(leaves).unwrap();
    while left > 0 {
        let count = left.min(256);
        let changes = vec![Change::Stopped; count];
        journal.commit(changes).await.unwrap();
        left -= count;
    }
}

/// `tlog_tiles`, a port of Go's `x/mod/sumdb/tlog`, as a reader of the directory. It checks every tile against the root.
pub(crate) struct Foreign {
    path: PathBuf,
    pub(crate) size: u64,
    pub(crate) root: tlog_tiles::Hash,
}

impl TileReader for Foreign {
    fn height(&self) -> u8 {
        8
    }

    fn read_tiles(&self, tiles: &[Tile]) -> Result<Vec<Vec<u8>>, Error> {
        let read = |tile: &Tile| {
            // Their paths have the height in them.
            let path = tile.path().replacen("tile/8/", "tile/", 1);
            std::fs::read(self.path.join(&path)).map_err(|_| Error::InvalidTile)
        };
        tiles.iter().map(read).collect()
    }

    fn save_tiles(&self, _: &[Tile], _: &[Vec<u8>]) {}
}

impl Foreign {
    pub(crate) fn open(path: &Path) -> Self {
        let note = std::fs::read(path.join("checkpoint")).unwrap();
        let note = signed_note::Note::from_bytes(&note).unwrap();
        let checkpoint = tlog_tiles::Checkpoint::from_bytes(note.text()).unwrap();
        Self {
            path: path.to_owned(),
            size: checkpoint.size(),
            root: *checkpoint.hash(),
        }
    }

    /// Checks the signature, the root, some leaves with their entries and some earlier trees.
    pub(crate) fn check(&self, key: &VerifierKey) {
        let note = std::fs::read(self.path.join("checkpoint")).unwrap();
        let note = signed_note::Note::from_bytes(&note).unwrap();
        let verifier = signed_note::StandardVerifier::new(&key.to_string()).unwrap();
        let verifiers = signed_note::VerifierList::new(vec![Box::new(verifier)]);
        note.verify(&verifiers).unwrap();
        if self.size == 0 {
            return;
        }
        let hashes = TileHashReader::new(self.size, self.root, self);
        assert_eq!(
            tlog_tiles::tree_hash(self.size, &hashes).unwrap().0,
            self.root.0
        );
        let last = self.size - 1;
        for index in [0, last / 3, last / 2, last & !255, last] {
            let proof = tlog_tiles::prove_record(self.size, index, &hashes).unwrap();
            let leaf = tlog_tiles::record_hash(&self.entry(index));
            tlog_tiles::check_record(&proof, self.size, self.root, index, leaf).unwrap();
        }
        for old in [1, self.size / 2, last].into_iter().filter(|old| *old > 0) {
            let proof = tlog_tiles::prove_tree(self.size, old, &hashes).unwrap();
            let old_root = tlog_tiles::tree_hash(old, &hashes).unwrap();
            tlog_tiles::check_tree(&proof, self.size, self.root, old, old_root).unwrap();
        }
        hashes.read_hashes(&[]).unwrap();
    }

    /// The bytes of a leaf, from its bundle.
    pub(crate) fn entry(&self, index: u64) -> Vec<u8> {
        let bundle = index / 256;
        let width = u16::try_from((self.size - bundle * 256).min(256)).unwrap();
        let id = TileId::new(TileContent::Entries, bundle, width).unwrap();
        let bytes = std::fs::read(self.path.join(id.to_string())).unwrap();
        let entries = parse_bundle(width, &bytes).unwrap();
        entries[usize::try_from(index % 256).unwrap()].to_vec()
    }
}
