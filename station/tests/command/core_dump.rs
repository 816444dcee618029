//! Private keys that the station made are in no core dump, nowhere in memory but in their cells, and nowhere at all after use.
//!
//! A child process fills the pool and tells its parent the keys under a mask, so that the parent can search the child's memory and core
//! without the child holding the keys anywhere else.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use keyline_protocol::identity::Algorithm;
use keyline_station::key_pool::KeyPool;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Every byte of a key is written in this disguise.
const MASK: u8 = 0x5a;

/// So many keys wait in the child's pool, and as many are known to the parent.
const LEVELS: [(Algorithm, usize); 3] = [
    (Algorithm::P256, 64),
    (Algorithm::Rsa2048, 4),
    (Algorithm::Rsa3072, 1),
];

/// Stands in the child's memory once it is ready, so that a search that finds nothing is known to have searched.
const MARKER: &str = "this-text-stands-in-the-memory-of-the-child";

/// The child: run by the tests below, never by itself.
#[test]
#[ignore = "the other tests of this file run it as a child"]
fn child() {
    let Some(file) = std::env::var_os("KEYLINE_CORE_DUMP_TEST") else {
        return;
    };
    let limit = getrlimit(Resource::Core);
    setrlimit(
        Resource::Core,
        Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        },
    )
    .unwrap();
    let marker = format!("{}{}", "this-text-stands-in-the-memory", "-of-the-child");
    let pool = KeyPool::new(2).unwrap();
    assert!(
        pool.locked(),
        "this test needs 2 MiB of lockable memory (ulimit -l)"
    );
    let mut known = Vec::new();
    for (algorithm, level) in LEVELS {
        pool.keep(algorithm, level).unwrap();
        pool.wait_full(algorithm).unwrap();
        known.extend((0..level).map(|_| pool.take(algorithm).unwrap()));
        pool.wait_full(algorithm).unwrap();
    }
    let mut disguised = Vec::new();
    for key in &known {
        disguised.extend(u32::try_from(key.private().len()).unwrap().to_be_bytes());
        disguised.extend(key.private().iter().map(|byte| byte ^ MASK));
    }
    std::fs::write(file, disguised).unwrap();
    let mut input = std::io::stdin().lock();
    let mut wait = |said: &str| {
        println!("{said}");
        let mut line = String::new();
        input.read_line(&mut line).unwrap();
        line
    };
    if wait("full").trim() == "abort" {
        std::process::abort();
    }
    drop(known);
    drop(pool);
    wait("dropped");
    std::hint::black_box(&marker);
}

/// A running child.
struct Subject {
    process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    directory: tempfile::TempDir,
}

impl Subject {
    fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "core_dump::child", "--ignored", "--nocapture"])
            .env("KEYLINE_CORE_DUMP_TEST", directory.path().join("keys"))
            .current_dir(directory.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let input = process.stdin.take().unwrap();
        let output = BufReader::new(process.stdout.take().unwrap());
        let mut subject = Self {
            process,
            input,
            output,
            directory,
        };
        subject.wait_for("full");
        subject
    }

    fn wait_for(&mut self, word: &str) {
        let mut line = String::new();
        while !line.trim_end().ends_with(word) {
            line.clear();
            assert_ne!(
                self.output.read_line(&mut line).unwrap(),
                0,
                "the child ended before it was {word}"
            );
        }
    }

    /// The distinctive pieces of each key, and what each belongs to.
    fn pieces(&self) -> Pieces {
        let disguised = std::fs::read(self.directory.path().join("keys")).unwrap();
        let mut pieces = Pieces::default();
        let mut rest = disguised.as_slice();
        let mut count = 0;
        while let Some((length, after)) = rest.split_first_chunk::<4>() {
            let (key, after) = after.split_at(u32::from_be_bytes(*length) as usize);
            let key: Vec<u8> = key.iter().map(|byte| byte ^ MASK).collect();
            match key.len() {
                32 => pieces.add_number(&key),
                _ => secret_integers(&key)
                    .iter()
                    .for_each(|number| pieces.add_number(number)),
            }
            rest = after;
            count += 1;
        }
        assert_eq!(count, LEVELS.iter().map(|(_, level)| level).sum::<usize>());
        pieces
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        // It has ended, or it is this test's own child and no longer needed.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// d, p and q of an `RSAPrivateKey` DER.
fn secret_integers(der: &[u8]) -> Vec<Vec<u8>> {
    let mut rest = &der[4..];
    let mut integers = Vec::new();
    while let Some((2, after)) = rest.split_first().map(|(tag, after)| (*tag, after)) {
        let (length, after) = match after[0] {
            0x82 => (
                usize::from(u16::from_be_bytes([after[1], after[2]])),
                &after[3..],
            ),
            0x81 => (usize::from(after[1]), &after[2..]),
            short => (usize::from(short), &after[1..]),
        };
        let (integer, after) = after.split_at(length);
        integers.push(
            integer
                .iter()
                .copied()
                .skip_while(|byte| *byte == 0)
                .collect(),
        );
        rest = after;
    }
    assert_eq!(integers.len(), 9, "version, n, e, d, p, q and three more");
    integers.drain(3..6).collect()
}

const PIECE: usize = 16;

/// Pieces of secrets, found by their first eight bytes.
#[derive(Default)]
struct Pieces {
    by_head: HashMap<u64, Vec<[u8; PIECE]>>,
    /// Whether any piece begins with these two bytes.
    heads: Vec<bool>,
    /// One piece a number, as it stands in a cell.
    expected: usize,
}

impl Pieces {
    /// Both ends of a number, as it is written and as arithmetic keeps it in memory.
    fn add_number(&mut self, number: &[u8]) {
        let reversed: Vec<u8> = number.iter().rev().copied().collect();
        for writing in [number, &reversed] {
            self.add(writing.first_chunk().unwrap());
            self.add(writing.last_chunk().unwrap());
        }
        self.expected += 2;
    }

    fn add(&mut self, piece: &[u8; PIECE]) {
        self.heads.resize(1 << 16, false);
        self.heads[usize::from(u16::from_be_bytes([piece[0], piece[1]]))] = true;
        self.by_head.entry(head(piece)).or_default().push(*piece);
    }

    /// How often any piece stands in these bytes.
    fn count(&self, bytes: &[u8]) -> usize {
        bytes
            .windows(PIECE)
            .filter(|window| {
                self.heads[usize::from(u16::from_be_bytes([window[0], window[1]]))]
                    && self
                        .by_head
                        .get(&head(window))
                        .is_some_and(|pieces| pieces.iter().any(|piece| piece == window))
            })
            .count()
    }
}

fn head(bytes: &[u8]) -> u64 {
    u64::from_be_bytes(*bytes.first_chunk().unwrap())
}

/// All memory of a process, one part a mapping.
fn memory(process: u32) -> Vec<Vec<u8>> {
    let maps = std::fs::read_to_string(format!("/proc/{process}/maps")).unwrap();
    let mut memory = std::fs::File::open(format!("/proc/{process}/mem")).unwrap();
    let mut parts = Vec::new();
    for line in maps.lines().filter(|line| line.contains(" rw")) {
        let (start, end) = line.split_once(' ').unwrap().0.split_once('-').unwrap();
        let (start, end) = (
            u64::from_str_radix(start, 16).unwrap(),
            u64::from_str_radix(end, 16).unwrap(),
        );
        let mut part = vec![0; usize::try_from(end - start).unwrap()];
        memory.seek(SeekFrom::Start(start)).unwrap();
        if memory.read_exact(&mut part).is_ok() {
            parts.push(part);
        }
    }
    assert!(
        parts.iter().any(|part| contains(part, MARKER)),
        "the search reaches the child's heap"
    );
    parts
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes
        .windows(text.len())
        .any(|window| window == text.as_bytes())
}

#[test]
fn a_key_stands_in_its_cell_only_and_nowhere_after_use() {
    let mut subject = Subject::start();
    let pieces = subject.pieces();
    let found: usize = memory(subject.process.id())
        .iter()
        .map(|part| pieces.count(part))
        .sum();
    assert_eq!(
        found, pieces.expected,
        "each secret number once, in its cell: no copy on any heap or stack"
    );
    writeln!(subject.input, "drop").unwrap();
    subject.wait_for("dropped");
    let found: usize = memory(subject.process.id())
        .iter()
        .map(|part| pieces.count(part))
        .sum();
    assert_eq!(found, 0, "every cell was wiped");
}

#[test]
fn a_core_dump_with_the_pool_full_holds_no_key() {
    let mut subject = Subject::start();
    let pieces = subject.pieces();
    let core = core_of(&mut subject);
    let core = std::fs::read(core).unwrap();
    assert!(contains(&core, MARKER), "the core holds the child's heap");
    assert_eq!(pieces.count(&core), 0);
}

/// The kernel's own core file where it writes one into the working directory; else one by gdb's `gcore`, which leaves out the same pages.
fn core_of(subject: &mut Subject) -> PathBuf {
    let pattern = std::fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap();
    let to_working_directory =
        !pattern.starts_with(['|', '/']) && getrlimit(Resource::Core).maximum != Some(0);
    let directory = subject.directory.path().to_owned();
    if to_working_directory {
        writeln!(subject.input, "abort").unwrap();
        assert!(
            subject.process.wait().unwrap().core_dumped(),
            "the kernel wrote a core"
        );
    } else {
        let output = Command::new("gcore")
            .arg("-o")
            .arg(directory.join("core"))
            .arg(subject.process.id().to_string())
            .output()
            .expect("this test needs gcore (Debian: apt-get install gdb)");
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    find_core(&directory)
}

fn find_core(directory: &Path) -> PathBuf {
    std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.file_name().unwrap().to_string_lossy().contains("core"))
        .expect("a core file")
}

#[test]
fn the_station_itself_is_never_dumped() {
    let station = crate::station::Station::with_order(1_000_000);
    let mut process = station
        .command(&["provision", "--order", "WO-1", "--count", "1000000"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(process.stdout.take().unwrap());
    output.read_line(&mut String::new()).unwrap();
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", process.id())).unwrap();
    let core = limits
        .lines()
        .find(|line| line.starts_with("Max core file size"))
        .unwrap();
    assert_eq!(
        core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(),
        ["0", "0"],
        "{core}"
    );
    rustix::process::kill_process(
        rustix::process::Pid::from_child(&process),
        rustix::process::Signal::ABORT,
    )
    .unwrap();
    drop(output);
    let status = process.wait().unwrap();
    assert_eq!(
        status.signal(),
        Some(rustix::process::Signal::ABORT.as_raw())
    );
    assert!(!status.core_dumped());
}
