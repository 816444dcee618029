//! The Python of the tests, with the packages of `station/tests/requirements.txt`. It is made before the tests run, once: tests are
//! processes side by side and would trip over each other's installation.

use std::path::Path;
use std::process::Command;

/// A command of that Python.
///
/// # Panics
/// Where it is missing.
pub(crate) fn python() -> Command {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = manifest.join("../target/python/bin/python");
    assert!(
        python.exists(),
        "{} is missing: run scripts/python-packages.sh",
        python.display()
    );
    Command::new(python)
}
