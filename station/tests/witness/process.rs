//! The real `keyline witness serve` process, and HTTP spoken byte by byte.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use keyline_station::audit::{Checkpoint, Cosignature, Hash, SignedNote, VerifierKey, WitnessKey};
use keyline_station::witness::AddCheckpoint;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::log::Log;

/// The witness's name in these tests.
pub(crate) const NAME: &str = "witness.example/w1";

/// A witness's directory; removed with this value.
pub(crate) struct Store {
    directory: tempfile::TempDir,
}

/// A command that ended.
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) lines: Vec<Value>,
}

impl Ran {
    pub(crate) fn error_code(&self) -> &str {
        let error = self.lines.iter().find(|line| line["event"] == "error");
        error.unwrap()["error"]["code"].as_str().unwrap()
    }

    pub(crate) fn witness(&self) -> &Value {
        assert_eq!(self.code, 0, "{:?}", self.lines);
        let found = self.lines.iter().find(|line| line["event"] == "witness");
        found.unwrap()
    }
}

fn keyline(arguments: &[&str]) -> Ran {
    let output = Command::new(env!("CARGO_BIN_EXE_keyline"))
        .arg("--json")
        .args(arguments)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    Ran {
        code: output.status.code().unwrap_or(-1),
        lines: text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect(),
    }
}

impl Store {
    /// A directory without a witness.
    pub(crate) fn bare() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
        }
    }

    /// A witness that trusts these keys.
    pub(crate) fn new(keys: &[&VerifierKey]) -> Self {
        let store = Self::bare();
        store.run("init", &["--name", NAME]).witness();
        for key in keys {
            store.run("trust", &[&key.to_string()]).witness();
        }
        store
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.directory.path().join("store")
    }

    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn run(&self, command: &str, more: &[&str]) -> Ran {
        let path = self.path().display().to_string();
        keyline(&[&["witness", command, "--store", &path], more].concat())
    }

    pub(crate) fn key(&self) -> WitnessKey {
        let shown = self.run("show", &[]);
        WitnessKey::parse(shown.witness()["key"].as_str().unwrap()).unwrap()
    }

    /// Serves; the directory goes with the witness.
    pub(crate) fn serve_and_keep(self) -> Witness {
        let mut witness = self.serve();
        witness.directory = Some(self.directory);
        witness
    }

    pub(crate) fn serve(&self) -> Witness {
        let command = Command::new(env!("CARGO_BIN_EXE_keyline"));
        self.serve_as(command).expect("it serves")
    }

    /// Serves behind a command such as `strace`; `None` where it ended before it served.
    pub(crate) fn serve_as(&self, mut command: Command) -> Option<Witness> {
        let mut child = command
            .args(["--json", "witness", "serve", "--listen", "127.0.0.1:0"])
            .arg("--store")
            .arg(self.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let first = lines
            .next()
            .map(|line| serde_json::from_str::<Value>(&line.unwrap()).unwrap());
        let Some(first) = first.filter(|first| first["event"] == "notice") else {
            child.wait().unwrap();
            return None;
        };
        let message = first["message"].as_str().unwrap();
        let address = message.split("http://").nth(1).unwrap();
        let address = address.split_whitespace().next().unwrap().to_owned();
        let key = message.split("key ").nth(1).unwrap().trim();
        Some(Witness {
            key: WitnessKey::parse(key).unwrap(),
            address,
            child,
            store: self.path(),
            lines,
            directory: None,
        })
    }

    /// The files of evidence, sorted by name.
    pub(crate) fn evidence(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.path().join("evidence")).unwrap();
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        paths
    }
}

/// A witness that serves. It is killed with this value.
pub(crate) struct Witness {
    pub(crate) key: WitnessKey,
    pub(crate) address: String,
    child: Child,
    store: PathBuf,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
    directory: Option<tempfile::TempDir>,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// The size that a conflict names.
    pub(crate) fn conflict(&self) -> u64 {
        assert_eq!(self.status, 409, "{self:?}");
        assert_eq!(self.header("content-type"), Some("text/x.tlog.size"));
        let size = self.body.strip_suffix('\n').unwrap().parse().unwrap();
        assert_eq!(self.body, format!("{size}\n"));
        size
    }
}

/// Sends these bytes to a server and reads until it closes.
pub(crate) fn exchange(address: &str, request: &[u8]) -> std::io::Result<Reply> {
    let mut stream = TcpStream::connect(address)?;
    // A server that has seen enough may close before all was written: what it says counts.
    let written = stream.write_all(request);
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    if answer.is_empty() {
        written?;
        read?;
    }
    let answer = String::from_utf8(answer).unwrap();
    let broken = || std::io::Error::other(format!("no whole answer: {answer:?}"));
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(broken)?;
    let reply = Reply {
        status: head[9..12].parse().unwrap(),
        head: head.to_owned(),
        body: body.to_owned(),
    };
    let length = reply.header("content-length");
    if length.is_some_and(|length| length != body.len().to_string())
        && !request.starts_with(b"HEAD")
    {
        return Err(broken());
    }
    Ok(reply)
}

pub(crate) fn post_to(address: &str, body: &str) -> std::io::Result<Reply> {
    let request = format!(
        "POST /add-checkpoint HTTP/1.1\r\nhost: w\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    exchange(address, request.as_bytes())
}

/// The body that moves a log on.
pub(crate) fn body(old_size: u64, proof: &[Hash], note: &str) -> String {
    AddCheckpoint {
        old_size,
        proof: proof.to_vec(),
        note: note.to_owned(),
    }
    .to_string()
}

/// The body that moves a log from one true size to another.
pub(crate) fn step(log: &Log, old: u64, new: u64) -> String {
    body(old, &log.proof(old, new), &log.note(new))
}

pub(crate) fn origin_path(origin: &str) -> String {
    format!("/{}/checkpoint", hex::encode(Sha256::digest(origin)))
}

impl Witness {
    pub(crate) fn post(&self, body: &str) -> Reply {
        post_to(&self.address, body).unwrap()
    }

    pub(crate) fn request(&self, method: &str, path: &str) -> Reply {
        let request = format!("{method} {path} HTTP/1.1\r\nhost: w\r\nconnection: close\r\n\r\n");
        exchange(&self.address, request.as_bytes()).unwrap()
    }

    /// Moves a log on, and checks the cosignature.
    pub(crate) fn good(&self, log: &Log, old: u64, new: u64) -> Cosignature {
        let reply = self.post(&step(log, old, new));
        assert_eq!(reply.status, 200, "{old} to {new}: {reply:?}");
        self.cosignature(&log.checkpoint(new).text(), &reply)
    }

    /// The cosignature in an answer: one line, by this witness, over this text.
    pub(crate) fn cosignature(&self, text: &str, reply: &Reply) -> Cosignature {
        assert_eq!(reply.body.lines().count(), 1, "{reply:?}");
        assert!(reply.body.starts_with('\u{2014}') && reply.body.ends_with('\n'));
        let note = SignedNote::parse(&format!("{text}\n{}", reply.body)).unwrap();
        let cosignature = self.key.verify(&note).unwrap();
        assert!(cosignature.time_s > 1_767_225_600, "{cosignature:?}");
        cosignature
    }

    /// The status and words of a refusal.
    pub(crate) fn refused(&self, body: &str, status: u16) -> String {
        let reply = self.post(body);
        assert_eq!(reply.status, status, "{reply:?}\n{body}");
        assert!(!reply.body.contains(NAME), "{reply:?}");
        reply.body
    }

    /// What monitors get: signed by the log and cosigned; `None` where nothing was ever cosigned.
    pub(crate) fn latest(&self, log: &Log) -> Option<Checkpoint> {
        let reply = self.request("GET", &origin_path(log.origin()));
        if reply.status == 404 {
            return None;
        }
        Some(self.latest_in(log, &reply))
    }

    /// The checkpoint that a monitor was shown.
    pub(crate) fn latest_in(&self, log: &Log, reply: &Reply) -> Checkpoint {
        assert_eq!(reply.status, 200, "{reply:?}");
        self.key
            .verify(&SignedNote::parse(&reply.body).unwrap())
            .unwrap();
        Checkpoint::verify(&reply.body, &log.key.key).unwrap()
    }

    /// Sends a signal to the process that owns the store, which may be a child of `strace`.
    fn signal(&self, signal: rustix::process::Signal) {
        let id = std::fs::read_to_string(self.store.join("keyline.lock")).unwrap();
        let id = rustix::process::Pid::from_raw(id.trim().parse().unwrap()).unwrap();
        // It may have ended by itself.
        let _ = rustix::process::kill_process(id, signal);
    }

    /// Ends it at once, as a power cut does to a process.
    pub(crate) fn kill(mut self) {
        self.signal(rustix::process::Signal::KILL);
        self.child.wait().unwrap();
    }

    /// Asks it to stop, and gives the exit code and the last event.
    pub(crate) fn stop(mut self) -> (i32, Value) {
        self.signal(rustix::process::Signal::TERM);
        let last = self.lines.by_ref().last().unwrap().unwrap();
        let code = self.child.wait().unwrap().code().unwrap();
        (code, serde_json::from_str(&last).unwrap())
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.signal(rustix::process::Signal::KILL);
            let _ = self.child.wait();
        }
    }
}
