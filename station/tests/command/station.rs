//! A home in a temporary directory, and the `keyline` command on it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

/// A station's home that is removed with this value.
pub(crate) struct Station {
    directory: tempfile::TempDir,
}

/// What a command left behind.
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) lines: Vec<Value>,
    pub(crate) words: String,
}

impl Ran {
    /// The last line, which must be the summary and agree with the exit code.
    pub(crate) fn summary(&self) -> &Value {
        let last = self
            .lines
            .last()
            .unwrap_or_else(|| panic!("no line at all: {}", self.words));
        assert_eq!(last["event"], "summary", "{:?}", self.lines);
        assert_eq!(last["exit_code"], self.code, "{:?}", self.lines);
        for field in ["units", "passed", "failed", "held", "weak", "elapsed_ms"] {
            assert!(last[field].is_u64(), "{field}: {last}");
        }
        last
    }

    pub(crate) fn all(&self, event: &str) -> Vec<&Value> {
        self.lines
            .iter()
            .filter(|line| line["event"] == event)
            .collect()
    }

    /// The only error: its code.
    pub(crate) fn error_code(&self) -> &str {
        let errors = self.all("error");
        assert_eq!(errors.len(), 1, "told once: {:?}", self.lines);
        let error = &errors[0]["error"];
        assert!(!error["next"].as_str().unwrap().is_empty(), "{error}");
        error["code"].as_str().unwrap()
    }

    pub(crate) fn error_message(&self) -> &str {
        self.all("error")[0]["error"]["message"].as_str().unwrap()
    }

    /// Nothing went wrong.
    pub(crate) fn good(self) -> Self {
        assert_eq!(self.code, 0, "{:?} {}", self.lines, self.words);
        self.summary();
        self
    }

    /// It was refused with this exit code and error code.
    pub(crate) fn refused(self, code: i32, error: &str) -> Self {
        assert_eq!(self.code, code, "{:?} {}", self.lines, self.words);
        assert_eq!(self.error_code(), error, "{:?}", self.lines);
        self.summary();
        self
    }
}

pub(crate) fn keyline() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_keyline"));
    command.env_remove("XDG_STATE_HOME");
    command
}

pub(crate) fn ran(output: &Output) -> Ran {
    let out = String::from_utf8(output.stdout.clone()).unwrap();
    let lines: Vec<Value> = out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    for (index, line) in lines.iter().enumerate() {
        assert_eq!(line["schema"], 1);
        assert_eq!(line["seq"], index as u64 + 1, "numbered without a gap");
    }
    Ran {
        code: output.status.code().unwrap_or(-1),
        lines,
        words: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

pub(crate) fn openssl(directory: &Path, arguments: &[&str]) {
    let output = Command::new("openssl")
        .args(arguments)
        .current_dir(directory)
        .output()
        .expect("these tests need openssl (Debian: apt-get install openssl)");
    assert!(
        output.status.success(),
        "openssl {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

impl Station {
    /// A directory without a home.
    pub(crate) fn bare() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
        }
    }

    /// A home with two simulated slots.
    pub(crate) fn new() -> Self {
        let station = Self::bare();
        station
            .run(&["init", "--slot", "1=sim", "--slot", "2=sim"])
            .good();
        station
    }

    /// And with the product `sensor` and the order `WO-1` for `quantity` units.
    pub(crate) fn with_order(quantity: u32) -> Self {
        let station = Self::new();
        station.order_sensors(quantity);
        station
    }

    /// The product `sensor` and the order `WO-1` for `quantity` units.
    pub(crate) fn order_sensors(&self, quantity: u32) {
        self.add_product("sensor", &[]).good();
        self.add_order("WO-1", quantity).good();
    }

    /// An order of the product `sensor` for `quantity` units.
    pub(crate) fn add_order(&self, name: &str, quantity: u32) -> Ran {
        let quantity = quantity.to_string();
        let order = ["order", "add", "--name", name, "--product", "sensor"];
        self.run(&[&order[..], &["--quantity", &quantity]].concat())
    }

    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.directory().join("home")
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = keyline();
        command
            .arg("--json")
            .arg("--home")
            .arg(self.home())
            .args(arguments)
            .current_dir(self.directory());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        ran(&self.command(arguments).output().unwrap())
    }

    /// The file of a P-256 public key, made once.
    pub(crate) fn cloud_key(&self) -> String {
        let path = self.directory().join("cloud.pem");
        if !path.exists() {
            openssl(
                self.directory(),
                &[
                    "genpkey",
                    "-algorithm",
                    "EC",
                    "-pkeyopt",
                    "ec_paramgen_curve:P-256",
                    "-out",
                    "cloud.private",
                ],
            );
            openssl(
                self.directory(),
                &[
                    "pkey",
                    "-in",
                    "cloud.private",
                    "-pubout",
                    "-out",
                    "cloud.pem",
                ],
            );
        }
        path.display().to_string()
    }

    pub(crate) fn add_product(&self, name: &str, more: &[&str]) -> Ran {
        let key = self.cloud_key();
        let mut arguments = vec![
            "product",
            "add",
            "--name",
            name,
            "--cloud-key",
            &key,
            "--cloud-address",
            "cloud.example.com:8883",
        ];
        if !more.contains(&"--platform") {
            arguments.extend(["--platform", "nrf51822"]);
        }
        arguments.extend(more);
        self.run(&arguments)
    }
}
