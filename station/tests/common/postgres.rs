//! A PostgreSQL server of a test's own: a fresh cluster in a temporary directory, on loopback, gone when the value is dropped (or the
//! test process dies). Works as root, where the server runs as the system's user `postgres`, and as an ordinary user.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "shared by tests; each uses a part"
)]

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How long a server may take to start or to stop on a machine that others use too.
const PATIENCE: Duration = Duration::from_mins(1);

/// A port that was free may be taken by somebody else before the server has it.
const PORTS_TRIED_MAX: u32 = 5;

/// A running server.
pub struct Postgres {
    process: Child,
    address: SocketAddr,
    directory: TempDir,
}

impl Postgres {
    /// Makes a cluster and starts its server.
    pub fn start() -> Self {
        let directory = TempDir::new().unwrap();
        let data = directory.path().join("data");
        std::fs::create_dir(&data).unwrap();
        if is_root() {
            let (user, group) = (id_of_postgres("-u"), id_of_postgres("-g"));
            for path in [directory.path(), &data] {
                std::os::unix::fs::chown(path, Some(user), Some(group)).unwrap();
            }
        }
        let made = as_server_user(directory.path(), "initdb")
            .args(["--no-sync", "--auth=trust", "--username=postgres"])
            .args(["--encoding=UTF8", "--no-locale", "--pgdata"])
            .arg(&data)
            .output()
            .unwrap();
        assert!(made.status.success(), "initdb: {}", words(&made));
        for _ in 0..PORTS_TRIED_MAX {
            let address = free_address();
            let mut process = serve(directory.path(), &data, address);
            if is_ready(&mut process, address) {
                return Self {
                    process,
                    address,
                    directory,
                };
            }
        }
        let log = std::fs::read_to_string(directory.path().join("log")).unwrap_or_default();
        panic!("PostgreSQL did not start: {log}");
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address of its database, as a registry's.
    pub fn url(&self) -> String {
        url_at(self.address)
    }
}

/// The address of the same database behind something that forwards to it.
pub fn url_at(address: SocketAddr) -> String {
    format!("postgres://postgres@{address}/postgres")
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // SIGINT: fast shutdown. Whether it works does not matter to the test; what is left is killed.
        if let Some(process) = rustix::process::Pid::from_raw(self.process.id().cast_signed()) {
            let _ = rustix::process::kill_process(process, rustix::process::Signal::INT);
        }
        let asked = Instant::now();
        while asked.elapsed() < PATIENCE && matches!(self.process.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn serve(directory: &Path, data: &Path, address: SocketAddr) -> Child {
    let log = std::fs::File::create(directory.join("log")).unwrap();
    as_server_user(directory, "postgres")
        .arg("-D")
        .arg(data)
        // Nothing of a test outlives the machine: no fsync.
        .arg("-F")
        .args(["-h", &address.ip().to_string()])
        .args(["-p", &address.port().to_string()])
        .args(["-c", "unix_socket_directories="])
        .args(["-c", "shared_buffers=32MB"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap()
}

fn is_ready(process: &mut Child, address: SocketAddr) -> bool {
    let asked = Instant::now();
    while asked.elapsed() < PATIENCE && matches!(process.try_wait(), Ok(None)) {
        let ready = Command::new(program("pg_isready"))
            .args(["--quiet", "-h", &address.ip().to_string()])
            .args(["-p", &address.port().to_string()])
            .status()
            .unwrap();
        if ready.success() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let _ = process.kill();
    let _ = process.wait();
    false
}

/// A program of the server, under a user that it accepts, which ends with this process whatever happens to that.
fn as_server_user(directory: &Path, name: &str) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "INT"]);
    if is_root() {
        let (user, group) = (id_of_postgres("-u"), id_of_postgres("-g"));
        command.arg(format!("--reuid={user}"));
        command.arg(format!("--regid={group}"));
        command.arg("--clear-groups");
    }
    command.arg("--").arg(program(name)).current_dir(directory);
    command
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// The user's or group's number, by `id -u` or `id -g`.
fn id_of_postgres(which: &str) -> u32 {
    let output = Command::new("id")
        .args([which, "postgres"])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let number = text.trim().parse();
    number.expect(
        "PostgreSQL refuses root: these tests need its user (Debian: apt-get install postgresql)",
    )
}

/// On Debian the server's programs are not on the path; the newest version is taken.
fn program(name: &str) -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql");
    let versions = versions.into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = versions
        .map(|version| version.path().join("bin").join(name))
        .filter(|path| path.exists())
        .collect();
    found.sort();
    found.pop().unwrap_or_else(|| PathBuf::from(name))
}

fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

fn words(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}
