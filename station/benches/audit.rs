//! The audit log: durable appends, publishing, reading a whole log again, proofs, and what a leaf takes on disk.
//!
//! `cargo bench --bench audit [-- [appends] [verification] [proofs] [--leaves N] [--units N]]`
//!
//! Appends and publishing are measured on a real journal of `--units`; reading again and proofs on a published log of `--leaves`,
//! which is made once and kept under `target/`.

mod common;

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use common::{COMMITTERS, Outcome, commit_units, device, open_journal};
use futures_util::FutureExt as _;
use keyline_station::audit::{
    Checkpoint, CheckpointSigner, FileSigner, Hash, HashTile, Leaf, TILE_WIDTH, TileContent,
    TileId, VerifierKey, leaf_hash, push_entry, tree_root,
};
use keyline_station::record::RunId;
use keyline_station::tiles::{LogReader, Publisher, TileDirectory, recompute};
use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};

const ORIGIN: &str = "bench.example/log";

/// How many proofs are timed.
const PROOFS: u64 = 5_000;

fn argument(name: &str, default: u64) -> u64 {
    let mut arguments = std::env::args().skip_while(|argument| argument != name);
    let value = arguments.nth(1).and_then(|value| value.parse().ok());
    value.unwrap_or(default)
}

fn main() -> Outcome {
    let leaves = argument("--leaves", 1_000_000);
    let units = u32::try_from(argument("--units", 6_400))?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let parts = ["appends", "verification", "proofs"];
    let named = |part: &str| std::env::args().any(|argument| argument == part);
    let all = !parts.into_iter().any(named);
    runtime.block_on(async {
        if all || named("appends") {
            appends(units).await?;
        }
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("tlog-{leaves}"));
        let log = Made::open_or_make(&directory, leaves)?;
        if all || named("verification") {
            verification(&log)?;
        }
        if all || named("proofs") {
            proofs(&log).await?;
        }
        Ok(())
    })
}

#[allow(clippy::print_stdout, reason = "a benchmark reports")]
fn report(text: &str) {
    println!("{text}");
}

#[allow(clippy::cast_precision_loss, reason = "figures for people")]
fn rate(count: u64, seconds: f64) -> f64 {
    count as f64 / seconds
}

/// Appends one by one and from 64 slots, the second while a publisher works; then what is left to publish, and the sizes.
async fn appends(units: u32) -> Outcome {
    let home = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let journal = open_journal(home.path()).await?;
    let (changes, seconds) = commit_units(&journal, units.div_ceil(32), 1).await?;
    let single = rate(changes.into(), seconds);
    report(&format!("appends, one at a time: {single:.0} leaves/s"));
    journal.close().await?;

    for publishing in [false, true] {
        let home = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
        let journal = open_journal(home.path()).await?;
        let directory = TileDirectory::new(home.path().join("tlog"));
        let publisher = publishing.then(|| Publisher::start(&journal, directory.clone(), 0));
        let (changes, seconds) = commit_units(&journal, units, COMMITTERS).await?;
        let many = rate(changes.into(), seconds);
        let beside = if publishing {
            ", publishing beside"
        } else {
            ""
        };
        report(&format!("appends, 64 slots{beside}: {many:.0} leaves/s"));
        let size = Checkpoint::verify_any(&journal.checkpoint(), &journal.verifier_keys())?.size;
        if let Some(publisher) = publisher {
            publisher.close().await;
        } else {
            let begin = Instant::now();
            let mut published = 0;
            while published < size {
                let status = Publisher::start(&journal, directory.clone(), 0)
                    .close()
                    .await;
                published = status.published;
            }
            let publishing = rate(size, begin.elapsed().as_secs_f64());
            report(&format!(
                "publishing from the journal: {publishing:.0} leaves/s"
            ));
        }
        journal.close().await?;
        if publishing {
            let journal = fs::metadata(home.path().join("journal.db"))?.len();
            let journal = rate(journal, rate(size, 1.0));
            report(&format!("disk: journal {journal:.0} bytes a leaf"));
            report_tiles(&home.path().join("tlog"), size)?;
        }
    }
    Ok(())
}

fn report_tiles(directory: &Path, size: u64) -> Outcome {
    let (entries, entry_blocks) = disk(&directory.join("tile/entries"))?;
    let (all, blocks) = disk(directory)?;
    let leaves = rate(size, 1.0);
    report(&format!(
        "disk: tiles {:.0} bytes a leaf (hashes {:.0}, entries {:.0}); in whole blocks {:.0} ({:.0}, {:.0})",
        rate(all, leaves),
        rate(all - entries, leaves),
        rate(entries, leaves),
        rate(blocks, leaves),
        rate(blocks - entry_blocks, leaves),
        rate(entry_blocks, leaves),
    ));
    Ok(())
}

/// The bytes of all files below a directory, and of the blocks that they take.
fn disk(directory: &Path) -> Outcome<(u64, u64)> {
    let (mut bytes, mut blocks) = (0, 0);
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        if metadata.is_dir() {
            let below = disk(&entry.path())?;
            (bytes, blocks) = (bytes + below.0, blocks + below.1);
        } else {
            (bytes, blocks) = (bytes + metadata.len(), blocks + metadata.blocks() * 512);
        }
    }
    Ok((bytes, blocks))
}

/// A published log that was made in bulk.
struct Made {
    path: PathBuf,
    key: VerifierKey,
    size: u64,
}

impl Made {
    fn open_or_make(path: &Path, size: u64) -> Outcome<Self> {
        let key_file = path.join("audit.pem");
        if !path.join("checkpoint").exists() {
            let begin = Instant::now();
            let _ = fs::remove_dir_all(path);
            fs::create_dir_all(path)?;
            let signer = CheckpointSigner::File(FileSigner::generate(&key_file)?);
            let root = Making::new(path).all(size)?;
            let key = signer.verifier_key(ORIGIN)?;
            let checkpoint = Checkpoint {
                origin: ORIGIN.to_owned(),
                size,
                root,
            };
            let note = checkpoint
                .sign(&key, &signer)
                .now_or_never()
                .ok_or("a key in a file is never out of reach")??
                .to_string();
            fs::write(path.join("checkpoint"), note)?;
            let seconds = begin.elapsed().as_secs_f64();
            report(&format!("made a log of {size} leaves in {seconds:.0} s"));
        }
        let signer = CheckpointSigner::File(FileSigner::open(&key_file)?);
        Ok(Self {
            path: path.to_owned(),
            key: signer.verifier_key(ORIGIN)?,
            size,
        })
    }

    fn directory(&self) -> TileDirectory {
        TileDirectory::new(&self.path)
    }
}

/// Makes tiles of leaves that look like those of a line, the plain way.
struct Making<'a> {
    path: &'a Path,
    levels: Vec<Vec<Hash>>,
    counts: Vec<u64>,
    bundle: Vec<u8>,
}

impl<'a> Making<'a> {
    fn new(path: &'a Path) -> Self {
        Self {
            path,
            levels: vec![Vec::new(); 8],
            counts: vec![0; 8],
            bundle: Vec::new(),
        }
    }

    fn all(mut self, size: u64) -> Outcome<Hash> {
        let mut random = SmallRng::seed_from_u64(1);
        for index in 0..size {
            let leaf = Leaf {
                kind: "step-done",
                wall_ms: 1_790_000_000_000 + index,
                monotonic_ms: index,
                boot_id: [7; 16],
                run: Some(RunId::from_bytes(random.random())),
                device_id: Some(device(u32::try_from(index % 1_000_000)?)),
                commitment: random.random(),
            };
            let leaf = leaf.encode();
            push_entry(&mut self.bundle, &leaf)?;
            self.push(0, leaf_hash(&leaf))?;
        }
        self.finish(size)
    }

    fn push(&mut self, level: u8, hash: Hash) -> Outcome {
        let row = &mut self.levels[usize::from(level)];
        row.push(hash);
        self.counts[usize::from(level)] += 1;
        if row.len() < usize::from(TILE_WIDTH) {
            return Ok(());
        }
        let tile = HashTile::new(std::mem::take(row))?;
        let index = self.counts[usize::from(level)] / u64::from(TILE_WIDTH) - 1;
        self.write(TileId::full(level, index), &tile.to_bytes())?;
        if level == 0 {
            let bundle = std::mem::take(&mut self.bundle);
            self.write(TileId::bundle(index), &bundle)?;
        }
        self.push(level + 1, tile.root().ok_or("a full tile has a root")?)
    }

    fn finish(self, size: u64) -> Outcome<Hash> {
        let mut tiles = Vec::new();
        for (level, row) in (0..).zip(&self.levels) {
            let index = self.counts[usize::from(level)] / u64::from(TILE_WIDTH);
            let width = u16::try_from(row.len())?;
            if width > 0 {
                let id = TileId::new(TileContent::Hashes(level), index, width)?;
                self.write(id, row.as_flattened())?;
            }
            if width > 0 && level == 0 {
                let id = TileId::new(TileContent::Entries, index, width)?;
                self.write(id, &self.bundle)?;
            }
            tiles.push(HashTile::new(row.clone()).ok());
        }
        let subtree = |height: u32, n: u64| {
            let tile = tiles[height as usize / 8].as_ref();
            let place = n & ((1 << (8 - height % 8)) - 1);
            tile.and_then(|tile| tile.subtree(height % 8, place))
                .ok_or("the right edge has all subtrees")
        };
        Ok(tree_root(subtree, size)?)
    }

    fn write(&self, id: TileId, bytes: &[u8]) -> Outcome {
        let path = self.path.join(id.to_string());
        if fs::write(&path, bytes).is_err() {
            fs::create_dir_all(path.parent().ok_or("a tile has a directory")?)?;
            fs::write(&path, bytes)?;
        }
        Ok(())
    }
}

/// Reads the whole log again, beside what openssl makes of messages as long as a leaf. It tells rates of one core's time; so the ratio
/// of the core's time is the one that another load on the machine leaves alone.
fn verification(log: &Made) -> Outcome {
    for threads in [1, 2] {
        let (begin, begin_cpu) = (Instant::now(), cpu_seconds()?);
        let found = recompute(&log.directory(), std::slice::from_ref(&log.key), threads)?;
        let (seconds, cpu) = (begin.elapsed().as_secs_f64(), cpu_seconds()? - begin_cpu);
        if found.faults > 0 {
            return Err(format!("the log has faults: {:?}", found.named).into());
        }
        let bytes = rate(found.bytes, seconds) / 1e6;
        let per_core = rate(found.bytes, cpu) / 1e6;
        let length = found.bytes / log.size;
        report(&format!(
            "verification of {} leaves of {length} bytes, {threads} threads: {:.0} leaves/s, {bytes:.0} MB/s of entries, {per_core:.0} MB a core's second",
            log.size,
            rate(log.size, seconds),
        ));
        for length in [length, 144] {
            let openssl = openssl_mb_per_second(length)?;
            report(&format!(
                "  openssl speed sha256 of {length} bytes: {openssl:.0} MB a core's second; ratio {:.2} by the clock, {:.2} by the core's time",
                bytes / openssl,
                per_core / openssl
            ));
        }
    }
    report_tiles(&log.path, log.size)
}

/// The time that all cores have spent on this process (proc(5): `stat`, fields 14 and 15).
#[allow(clippy::cast_precision_loss, reason = "figures for people")]
fn cpu_seconds() -> Outcome<f64> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let (_, after_name) = stat.rsplit_once(')').ok_or("no process name")?;
    let fields = after_name.split_whitespace().skip(11).take(2);
    let ticks: u64 = fields.map(str::parse::<u64>).sum::<Result<_, _>>()?;
    Ok(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
}

/// What `openssl speed` says, in MB/s.
fn openssl_mb_per_second(length: u64) -> Outcome<f64> {
    let length = length.to_string();
    let output = Command::new("openssl")
        .args(["speed", "-seconds", "1", "-bytes", &length, "sha256"])
        .output()?;
    let text = String::from_utf8(output.stdout)?;
    let line = text.lines().find(|line| line.starts_with("sha256"));
    let figure = line.and_then(|line| line.split_whitespace().nth(1));
    let kilobytes: f64 = figure
        .and_then(|figure| figure.strip_suffix('k'))
        .ok_or("openssl speed told nothing")?
        .parse()?;
    Ok(kilobytes / 1e3)
}

/// The milliseconds below which half and 99 of a hundred stay.
fn percentiles(mut seconds: Vec<f64>) -> (f64, f64) {
    seconds.sort_by(f64::total_cmp);
    let at = |percent: usize| seconds[(seconds.len() - 1) * percent / 100] * 1e3;
    (at(50), at(99))
}

/// Proofs of leaves and sizes all over the log, so that no tile of leaves is met twice in a row.
async fn proofs(log: &Made) -> Outcome {
    let mut random = SmallRng::seed_from_u64(2);
    let begin = Instant::now();
    let reader = LogReader::published(log.directory(), vec![log.key.clone()]);
    reader.inclusion(0, log.size).await?;
    let first = begin.elapsed().as_secs_f64() * 1e3;
    let (mut inclusion, mut consistency) = (Vec::new(), Vec::new());
    for _ in 0..PROOFS {
        let index = random.random_range(0..log.size);
        let begin = Instant::now();
        reader.inclusion(index, log.size).await?;
        inclusion.push(begin.elapsed().as_secs_f64());
        let old = random.random_range(1..log.size);
        let begin = Instant::now();
        reader.consistency(old, log.size).await?;
        consistency.push(begin.elapsed().as_secs_f64());
    }
    for (what, seconds) in [("inclusion", inclusion), ("consistency", consistency)] {
        let (p50, p99) = percentiles(seconds);
        report(&format!(
            "{what} proof at {} leaves, verified: p50 {p50:.3} ms, p99 {p99:.3} ms",
            log.size
        ));
    }
    report(&format!("the first proof of a process: {first:.3} ms"));
    Ok(())
}
