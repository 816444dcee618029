//! Every command of `docs/AUDITING.md` runs as it stands there, from top to bottom, in a fresh directory.

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

/// Where the document has its witness listen.
const PORT: &str = "127.0.0.1:7380";

/// The blocks of a document that are for a shell.
fn shell_blocks(text: &str) -> String {
    let mut script = String::new();
    let mut within = false;
    for line in text.lines() {
        match line {
            "```sh" => within = true,
            "```" => within = false,
            line if within => {
                script.push_str(line);
                script.push('\n');
            }
            _ => {}
        }
    }
    script
}

#[test]
fn the_commands_of_the_auditors_manual_run_as_pasted() {
    let manual = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/AUDITING.md");
    let script = shell_blocks(&std::fs::read_to_string(manual).unwrap());
    assert!(
        script.matches(PORT).count() >= 2,
        "a witness is served and named"
    );
    // Tests run side by side: each has a port of its own.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr();
    let script = script.replace(PORT, &port.unwrap().to_string());
    // Whoever pastes it waits for the witness to listen; a script is faster.
    let script = script.replace(
        " &\n",
        " &\nWITNESS=$!; trap 'kill $WITNESS' EXIT; sleep 1\n",
    );
    let binary = Path::new(env!("CARGO_BIN_EXE_keyline"));
    let path = std::env::var("PATH").unwrap();
    let path = format!("{}:{path}", binary.parent().unwrap().display());
    let directory = tempfile::tempdir().unwrap();
    let output = Command::new("bash")
        .args(["-euxo", "pipefail", "-c", &script])
        .env("PATH", path)
        .env_remove("XDG_STATE_HOME")
        .current_dir(directory.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(said.matches("✓ HOLDS").count() >= 8, "{said}");
    assert!(!said.contains("DOES NOT HOLD"), "{said}");
}
