//! A cluster of `pg_auto_failover` on loopback: a monitor, and two nodes with synchronous replication. Gone with the test.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::postgres::{as_server_user, free_port, give_to_server};

/// How long anything here may take: far more than it does, so that a test can't hang.
pub(crate) const PATIENCE: Duration = Duration::from_mins(2);

/// Where Debian and Ubuntu keep the server's programs, by version.
const VERSIONS: &str = "/usr/lib/postgresql";

/// What the monitor waits for before it promotes the standby. Its own defaults take most of a minute.
const MONITOR_SETTINGS: &str = "
pgautofailover.node_considered_unhealthy_timeout = 4s
pgautofailover.primary_demote_timeout = 4s
pgautofailover.health_check_period = 1s
pgautofailover.health_check_timeout = 1s
pgautofailover.health_check_retry_delay = 500ms
pgautofailover.health_check_max_retries = 1
pgautofailover.startup_grace_period = 2s
";

/// A server of the cluster, and the process that keeps it.
struct Node {
    name: &'static str,
    port: u16,
    keeper: Option<Child>,
}

/// The cluster.
pub(crate) struct Cluster {
    directory: TempDir,
    bin: PathBuf,
    monitor: Node,
    nodes: [Node; 2],
}

impl Cluster {
    /// Starts it, and waits until the second node follows the first one. The processes end with the thread that calls this.
    pub(crate) fn start() -> Self {
        let bin = programs();
        let directory = tempfile::Builder::new()
            .prefix("keyline-failover-")
            .tempdir()
            .unwrap();
        give_to_server(directory.path());
        let node = |name| Node {
            name,
            port: free_port(),
            keeper: None,
        };
        let mut cluster = Self {
            monitor: node("monitor"),
            nodes: [node("first"), node("second")],
            directory,
            bin,
        };
        cluster.start_monitor();
        cluster.start_node(0);
        cluster.wait_for(&["single"]);
        cluster.start_node(1);
        cluster.wait_for(&["primary", "secondary"]);
        cluster
    }

    /// The address of a database for a role, with both nodes in it.
    pub(crate) fn url(&self, role: &str, database: &str) -> String {
        let [first, second] = self.ports();
        format!("postgres://{role}@127.0.0.1:{first},127.0.0.1:{second}/{database}")
    }

    /// Runs statements on one node as the one who made the cluster, and gives what the last one printed.
    pub(crate) fn sql(&self, node: usize, database: &str, sql: &str) -> String {
        let port = self.nodes[node].port;
        self.psql(port, &["-d", database, "-c", sql])
            .unwrap_or_else(|words| panic!("{}: {sql}: {words}", self.nodes[node].name))
    }

    /// Kills a node's keeper, its server and everything they started, all at once and without a word.
    pub(crate) fn kill_node(&mut self, node: usize) {
        let mut keeper = self.nodes[node].keeper.take().unwrap();
        let mut processes = vec![keeper.id()];
        processes.extend(descendants(keeper.id()));
        signal("KILL", &processes);
        keeper.wait().unwrap();
    }

    /// Starts a node, new or as it was left.
    pub(crate) fn start_node(&mut self, node: usize) {
        let Node { name, port, .. } = self.nodes[node];
        let data = self.directory.path().join(name);
        let mut command = self.autoctl(name);
        if data.exists() {
            command.arg("run").arg("--pgdata").arg(data);
        } else {
            let monitor = format!(
                "postgres://autoctl_node@localhost:{}/pg_auto_failover",
                self.monitor.port
            );
            command.args(["create", "postgres", "--pgdata"]).arg(data);
            command.args(["--pgport", &port.to_string(), "--name", name]);
            command.args(["--hostname", "localhost", "--auth", "trust", "--no-ssl"]);
            command.args(["--monitor", &monitor, "--run"]);
        }
        self.nodes[node].keeper = Some(command.spawn().unwrap());
    }

    /// Waits until the monitor says that the nodes have these states, in any order.
    pub(crate) fn wait_for(&self, wanted: &[&str]) {
        const STATES: &str = "SELECT string_agg(reportedstate::text, ' ' ORDER BY reportedstate::text) FROM pgautofailover.node";
        let begun = Instant::now();
        loop {
            let states = self.psql(
                self.monitor.port,
                &["-U", "autoctl_node", "-d", "pg_auto_failover", "-c", STATES],
            );
            if states.as_deref() == Ok(&wanted.join(" ")) {
                return;
            }
            assert!(
                begun.elapsed() < PATIENCE,
                "expected the states {wanted:?}, the monitor says {states:?}\n{}",
                self.said()
            );
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// What every process has said, for a test that fails.
    pub(crate) fn said(&self) -> String {
        let mut words = String::new();
        for node in [&self.monitor, &self.nodes[0], &self.nodes[1]] {
            let text = std::fs::read_to_string(self.log(node.name)).unwrap_or_default();
            let lines: Vec<_> = text.lines().collect();
            let last = &lines[lines.len().saturating_sub(30)..];
            words += &["---", node.name, &last.join("\n"), ""].join("\n");
        }
        words
    }

    fn ports(&self) -> [u16; 2] {
        [self.nodes[0].port, self.nodes[1].port]
    }

    fn log(&self, name: &str) -> PathBuf {
        self.directory.path().join(format!("{name}.log"))
    }

    fn start_monitor(&mut self) {
        let data = self.directory.path().join("monitor");
        let mut create = self.autoctl("monitor");
        create.args(["create", "monitor", "--pgdata"]).arg(&data);
        create.args(["--pgport", &self.monitor.port.to_string()]);
        create.args(["--hostname", "localhost", "--auth", "trust", "--no-ssl"]);
        let status = create.status().unwrap();
        assert!(status.success(), "the monitor: {status}\n{}", self.said());
        let settings = data.join("postgresql.conf");
        let text = std::fs::read_to_string(&settings).unwrap();
        std::fs::write(&settings, text + MONITOR_SETTINGS).unwrap();
        let mut run = self.autoctl("monitor");
        run.arg("run").arg("--pgdata").arg(&data);
        self.monitor.keeper = Some(run.spawn().unwrap());
    }

    /// `pg_autoctl` with everything that it leaves behind in the cluster's directory.
    fn autoctl(&self, name: &str) -> Command {
        let directory = self.directory.path();
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.log(name))
            .unwrap();
        let mut command = as_server_user(Path::new("pg_autoctl"));
        let mut path = OsString::from(&self.bin);
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap_or_default());
        command
            .env("PATH", path)
            .env("HOME", directory)
            .env("XDG_CONFIG_HOME", directory.join("config"))
            .env("XDG_DATA_HOME", directory.join("data"))
            .env("XDG_RUNTIME_DIR", directory)
            // Where the server makes its socket, and where the keeper looks for it.
            .env("PG_REGRESS_SOCK_DIR", directory)
            .env("PGHOST", directory)
            .current_dir(directory)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        command
    }

    fn psql(&self, port: u16, arguments: &[&str]) -> Result<String, String> {
        let output = as_server_user(&self.bin.join("psql"))
            .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"])
            .args(["-h", "127.0.0.1", "-p", &port.to_string()])
            .args(arguments)
            .env("HOME", self.directory.path())
            .current_dir(self.directory.path())
            .output()
            .unwrap();
        if output.status.success() {
            Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
        } else {
            Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let [first, second] = &mut self.nodes;
        // The keepers first: the monitor must promote nobody meanwhile.
        let mut keepers: Vec<_> = [first, second, &mut self.monitor]
            .into_iter()
            .filter_map(|node| node.keeper.take())
            .collect();
        let mut processes: Vec<_> = keepers.iter().map(Child::id).collect();
        for keeper in &keepers {
            processes.extend(descendants(keeper.id()));
        }
        signal("KILL", &processes);
        for keeper in &mut keepers {
            let _ = keeper.wait();
        }
        // A server's own processes end when they see that it is gone.
        let begun = Instant::now();
        while processes.iter().any(|id| is_there(*id)) && begun.elapsed() < Duration::from_secs(5) {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// The programs of the newest version that `pg_auto_failover` is installed for.
fn programs() -> PathBuf {
    const INSTALL: &str = "install the packages pg-auto-failover-cli and postgresql-VERSION-auto-failover (scripts/install-tools.sh test)";
    let found = Command::new("pg_autoctl").arg("version").output();
    assert!(
        found.is_ok_and(|output| output.status.success()),
        "expected the program pg_autoctl, found none: {INSTALL}"
    );
    let versions = std::fs::read_dir(VERSIONS)
        .unwrap_or_else(|error| panic!("expected PostgreSQL below {VERSIONS}: {error}: {INSTALL}"));
    versions
        .map(|entry| entry.unwrap().path())
        .filter(|version| version.join("lib/pgautofailover.so").exists())
        .max_by_key(|version| {
            let name = version.file_name().and_then(|name| name.to_str());
            name.and_then(|name| name.parse::<u32>().ok())
        })
        .unwrap_or_else(|| {
            panic!("expected lib/pgautofailover.so below {VERSIONS}, found none: {INSTALL}")
        })
        .join("bin")
}

/// Everything that a process has started, and what those have.
fn descendants(process: u32) -> Vec<u32> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let id = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok());
        if let Some((id, parent)) = id.and_then(|id| Some((id, parent_of(id)?))) {
            children.entry(parent).or_default().push(id);
        }
    }
    let mut found = children.remove(&process).unwrap_or_default();
    let mut next = 0;
    while let Some(id) = found.get(next) {
        found.extend(children.remove(id).unwrap_or_default());
        next += 1;
    }
    found
}

/// The fourth field of `/proc/ID/stat`; the second one, a name in brackets, may hold anything.
fn parent_of(process: u32) -> Option<u32> {
    let text = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let (_, rest) = text.rsplit_once(')')?;
    rest.split_whitespace().nth(1)?.parse().ok()
}

fn is_there(process: u32) -> bool {
    Path::new(&format!("/proc/{process}")).exists()
}

/// Sends a signal to processes, in one call. One that has ended meanwhile is no failure.
fn signal(name: &str, processes: &[u32]) {
    let ids: Vec<_> = processes.iter().map(u32::to_string).collect();
    let _ = Command::new("kill")
        .arg(format!("-{name}"))
        .args(ids)
        .stderr(Stdio::null())
        .status();
}
