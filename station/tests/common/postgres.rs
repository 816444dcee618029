//! A real PostgreSQL of a test's own: on loopback, on a free port, gone with the test.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

/// Where Debian and Ubuntu keep the server's programs, by version.
const VERSIONS: &str = "/usr/lib/postgresql";

/// A running server. Its owner is the role `owner`, and whoever connects from this machine is whom he says he is.
pub struct Postgres {
    directory: TempDir,
    port: u16,
    server: Child,
    bin: PathBuf,
}

impl Postgres {
    /// Starts a server with a fresh cluster, in about half a second.
    pub fn start() -> Self {
        Self::start_with(&[], "host all all 127.0.0.1/32 trust\n")
    }

    /// Starts a server with further settings and its own `pg_hba.conf`.
    pub fn start_with(settings: &[String], hba: &str) -> Self {
        let bin = programs();
        let directory = tempfile::Builder::new()
            .prefix("keyline-postgres-")
            .tempdir()
            .unwrap();
        let data = directory.path().join("data");
        copy_template(&bin, directory.path(), &data);
        std::fs::write(data.join("pg_hba.conf"), hba).unwrap();
        let port = free_port();
        let mut command = as_server_user(&bin.join("postgres"));
        command.arg("-D").arg(&data);
        let socket = format!("unix_socket_directories={}", directory.path().display());
        for setting in [
            format!("port={port}"),
            "listen_addresses=127.0.0.1".to_owned(),
            "shared_buffers=32MB".to_owned(),
            "max_connections=60".to_owned(),
            // Nothing here has to survive the machine.
            "fsync=off".to_owned(),
            socket,
        ]
        .iter()
        .chain(settings)
        {
            command.arg("-c").arg(setting);
        }
        let mut server = command.stderr(Stdio::piped()).spawn().unwrap();
        wait_until_ready(&mut server);
        Self {
            directory,
            port,
            server,
            bin,
        }
    }

    /// The port on 127.0.0.1.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Where it listens.
    pub fn address(&self) -> std::net::SocketAddr {
        ([127, 0, 0, 1], self.port).into()
    }

    /// The directory of the server, which its user can read.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The address of a database for a role.
    pub fn url(&self, role: &str, database: &str) -> String {
        format!("postgres://{role}@127.0.0.1:{}/{database}", self.port)
    }

    /// Runs statements as a role and gives what the last one printed, or the server's words.
    pub fn sql(&self, role: &str, database: &str, sql: &str) -> Result<String, String> {
        let output = Command::new(self.bin.join("psql"))
            .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"])
            .args(["-h", "127.0.0.1", "-p", &self.port.to_string()])
            .args(["-U", role, "-d", database, "-c", sql])
            .output()
            .unwrap();
        if output.status.success() {
            Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
        } else {
            Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
        }
    }

    /// One of the server's own programs, with the way to this server.
    pub fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.bin.join(name));
        command
            .env("PGHOST", "127.0.0.1")
            .env("PGPORT", self.port.to_string())
            .env("PGUSER", "owner");
        command
    }

    /// Makes an empty database.
    pub fn create_database(&self, name: &str) {
        let made = self.sql("owner", "postgres", &format!("CREATE DATABASE {name}"));
        made.unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // At once: the data goes with it.
        let _ = Command::new("kill")
            .args(["-QUIT", &self.server.id().to_string()])
            .status();
        let _ = self.server.wait();
    }
}

/// A free port of this machine. Somebody could take it before the server does; then the start says so.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// The programs of the newest version that is installed.
pub fn programs() -> PathBuf {
    let versions = std::fs::read_dir(VERSIONS).unwrap_or_else(|error| {
        panic!("expected PostgreSQL below {VERSIONS}: {error}; install the package postgresql")
    });
    let newest = versions
        .filter_map(|entry| entry.unwrap().file_name().to_str()?.parse::<u32>().ok())
        .max()
        .expect("a version of PostgreSQL");
    Path::new(VERSIONS).join(newest.to_string()).join("bin")
}

/// A program of the server, as a user who is not root: PostgreSQL refuses root. It ends with the thread that starts it.
pub fn as_server_user(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "QUIT"]);
    if is_root() {
        command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]);
    }
    command.arg("--").arg(program).env("LC_ALL", "C");
    command
}

/// Gives a file or directory to the user as whom servers run.
pub fn give_to_server(path: &Path) {
    if is_root() {
        let (user, group) = server_ids();
        chown(path, Some(user), Some(group)).unwrap();
    }
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata("/proc/self").unwrap().uid() == 0
}

fn server_ids() -> (u32, u32) {
    let users = std::fs::read_to_string("/etc/passwd").unwrap();
    let line = users
        .lines()
        .find(|line| line.starts_with("postgres:"))
        .expect("the user postgres, as whom servers run where tests run as root");
    let fields: Vec<_> = line.split(':').collect();
    (fields[2].parse().unwrap(), fields[3].parse().unwrap())
}

/// A cluster takes a second to make and a moment to copy: it is made once for all tests.
fn copy_template(bin: &Path, directory: &Path, data: &Path) {
    give_to_server(directory);
    let version = bin.parent().unwrap().file_name().unwrap().to_str().unwrap();
    let name = format!("keyline-postgres-template-{version}-{}", is_root());
    let place = std::env::temp_dir().join(name);
    std::fs::create_dir_all(&place).unwrap();
    give_to_server(&place);
    let lock = std::fs::File::create(place.join("lock")).unwrap();
    lock.lock().unwrap();
    let template = place.join("data");
    if !template.join("complete").exists() {
        let _ = std::fs::remove_dir_all(&template);
        let status = as_server_user(&bin.join("initdb"))
            .args([
                "--username=owner",
                "--auth=trust",
                "--encoding=UTF8",
                "--locale=C.UTF-8",
                "--no-sync",
                "-D",
            ])
            .arg(&template)
            .stdout(Stdio::null())
            .status()
            .unwrap();
        assert!(status.success(), "initdb: {status}");
        std::fs::write(template.join("complete"), "").unwrap();
    }
    drop(lock);
    let status = as_server_user(Path::new("/bin/cp"))
        .arg("-r")
        .arg("--preserve=mode")
        .arg(&template)
        .arg(data)
        .status()
        .unwrap();
    assert!(status.success(), "cp: {status}");
}

/// Reads what the server says until it takes connections; afterwards its words go nowhere, but never fill a pipe.
fn wait_until_ready(server: &mut Child) {
    let mut lines = BufReader::new(server.stderr.take().unwrap()).lines();
    let mut said = Vec::new();
    loop {
        match lines.next() {
            Some(Ok(line)) if line.contains("ready to accept connections") => break,
            Some(Ok(line)) => said.push(line),
            _ => panic!("PostgreSQL did not start: {said:#?}"),
        }
    }
    std::thread::spawn(move || lines.for_each(drop));
}
