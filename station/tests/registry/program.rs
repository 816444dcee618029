//! `keyline registry`, as a script sees it.

use std::process::{Command, Stdio};

use serde_json::Value;

/// What a command said, event by event, and how it ended.
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) lines: Vec<Value>,
}

impl Ran {
    /// The one event of this name.
    pub(crate) fn only(&self, name: &str) -> &Value {
        let found: Vec<_> = self
            .lines
            .iter()
            .filter(|line| line["event"] == name)
            .collect();
        assert_eq!(found.len(), 1, "one {name}: {:#?}", self.lines);
        found[0]
    }
}

/// `keyline registry ACT --registry URL --json`
pub(crate) fn keyline(act: &str, url: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_keyline"));
    command
        .args(["registry", act, "--registry", url, "--json"])
        .stdin(Stdio::null())
        .stderr(Stdio::null());
    command
}

/// Runs a command.
pub(crate) fn ran(command: &mut Command) -> Ran {
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    Ran {
        code: output.status.code().unwrap(),
        lines: text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect(),
    }
}
