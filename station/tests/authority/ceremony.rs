//! The commands of docs/CEREMONY.md are run as they stand there, in their order.

use std::path::Path;
use std::process::Command;

use crate::station::{Station, keyline};

/// Every block of commands in the document.
fn blocks() -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/CEREMONY.md");
    let text = std::fs::read_to_string(path).unwrap();
    let blocks = text.split("```sh\n").skip(1);
    blocks
        .map(|rest| rest.split("```").next().unwrap().to_owned())
        .collect()
}

#[test]
fn the_document_s_commands_do_what_it_says() {
    let place = Station::bare();
    let binary = Path::new(keyline().get_program())
        .parent()
        .unwrap()
        .to_owned();
    let path = format!("{}:{}", binary.display(), std::env::var("PATH").unwrap());
    let blocks = blocks();
    assert!(blocks.len() >= 9, "{}", blocks.len());
    for block in blocks {
        let output = Command::new("bash")
            .args(["-euo", "pipefail", "-c", &block])
            .env("PATH", &path)
            .env_remove("XDG_STATE_HOME")
            .current_dir(place.directory())
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{block}\n{}\n{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    let home = place.directory().join("line-7");
    let deep = keyline()
        .args(["--home"])
        .arg(&home)
        .args(["audit", "verify", "--deep"])
        .output()
        .unwrap();
    assert!(
        deep.status.success(),
        "{}{}",
        String::from_utf8_lossy(&deep.stdout),
        String::from_utf8_lossy(&deep.stderr)
    );
}
