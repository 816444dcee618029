//! Compares builds, byte by byte.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use crate::BuildError;
use crate::compile::Built;
use crate::manifest::Manifest;

/// What a comparison found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Every byte is the same.
    Reproduced,
    /// Another compiler or linker built it and some byte differs, or there is none to build it: that says nothing.
    NotComparable(String),
    /// What differs.
    Different(Vec<String>),
}

/// Compares a build with the images in `directory`, of which `committed` is the manifest.
pub(crate) fn with_committed(
    committed: &Manifest,
    directory: &Path,
    built: &Built,
) -> Result<Outcome, BuildError> {
    let mut differences = Vec::new();
    for (entry, image) in built.manifest.images.iter().zip(&built.images) {
        let path = directory.join(&entry.file);
        let bytes = fs::read(&path).map_err(BuildError::file(&path))?;
        differences.extend(difference(&entry.file, &bytes, image));
    }
    if differences.is_empty() && committed.images != built.manifest.images {
        differences.push("the manifest does not describe the images".to_owned());
    }
    let (ours, theirs) = (&built.manifest.compiler, &committed.compiler);
    Ok(if differences.is_empty() {
        Outcome::Reproduced
    } else if ours != theirs {
        Outcome::NotComparable(format!(
            "the committed images were built by {theirs:?}, these by {ours:?}"
        ))
    } else {
        Outcome::Different(differences)
    })
}

/// Compares two builds by the same compiler.
pub(crate) fn two_builds(one: &Built, other: &Built) -> Outcome {
    let differences: Vec<String> = one
        .manifest
        .images
        .iter()
        .zip(one.images.iter().zip(&other.images))
        .filter_map(|(entry, (one, other))| difference(&entry.file, one, other))
        .collect();
    if differences.is_empty() {
        Outcome::Reproduced
    } else {
        Outcome::Different(differences)
    }
}

/// Says where two images differ, if they do.
fn difference(name: &str, expected: &[u8], got: &[u8]) -> Option<String> {
    let places = expected
        .iter()
        .zip(got)
        .filter(|(one, other)| one != other)
        .count();
    if expected == got {
        return None;
    }
    Some(format!(
        "{name}: expected {} bytes, got {}; {places} differ",
        expected.len(),
        got.len()
    ))
}

/// A copy, in a new directory, of what the images are built from; `firmware` is the firmware's own directory.
pub(crate) fn copy_of_the_tree(firmware: &Path) -> Result<TempDir, BuildError> {
    let root = firmware
        .ancestors()
        .nth(2)
        .map(Path::to_owned)
        .unwrap_or_default();
    let copy = tempfile::tempdir().map_err(BuildError::file(&std::env::temp_dir()))?;
    let manifest = "Cargo.toml";
    fs::copy(root.join(manifest), copy.path().join(manifest))
        .map_err(BuildError::file(&root.join(manifest)))?;
    for directory in ["protocol", "agent", "firmware"] {
        let within = Path::new("device-agent").join(directory);
        copy_directory(&root.join(&within), &copy.path().join(&within))?;
    }
    Ok(copy)
}

fn copy_directory(from: &Path, to: &Path) -> Result<(), BuildError> {
    fs::create_dir_all(to).map_err(BuildError::file(to))?;
    for entry in fs::read_dir(from).map_err(BuildError::file(from))? {
        let entry = entry.map_err(BuildError::file(from))?;
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        if entry.file_name() == "target" || entry.file_name() == "fuzz" {
            continue;
        }
        if path.is_dir() {
            copy_directory(&path, &target)?;
        } else {
            fs::copy(&path, &target).map_err(BuildError::file(&path))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chips::Resident;
    use crate::manifest::{Compiler, Description};

    fn built_by(compiler: &str, bytes: &[u8]) -> Built {
        let description = Description {
            platform: "nrf51822".to_owned(),
            file: "nrf51822.bin".to_owned(),
            target: "thumbv6m-none-eabi".to_owned(),
            resident: Resident::Flash,
            load_address: 0,
            length: 4,
            sha256: hex::encode(bytes),
            vector_table: 0,
            stack_top: 8,
            entry: 1,
            stack_bottom: 0,
            rtt_control_block: 8,
            ram_bytes: 0,
            signs: Vec::new(),
            layout: "nrf51822-v1".to_owned(),
        };
        let compiler = Compiler {
            version: compiler.to_owned(),
            commit: compiler.to_owned(),
            date: String::new(),
            linker: None,
        };
        Built {
            manifest: Manifest::new(compiler, vec![description]),
            images: vec![bytes.to_vec()],
        }
    }

    #[test]
    fn a_difference_counts_only_between_equal_compilers() -> Result<(), BuildError> {
        let directory = tempfile::tempdir().map_err(BuildError::file(Path::new("temporary")))?;
        built_by("pinned", b"same").write(directory.path())?;
        let committed = Manifest::read(directory.path())?;
        let compare = |built: &Built| with_committed(&committed, directory.path(), built);

        assert_eq!(compare(&built_by("pinned", b"same"))?, Outcome::Reproduced);
        assert_eq!(compare(&built_by("another", b"same"))?, Outcome::Reproduced);
        assert!(matches!(
            compare(&built_by("another", b"sane"))?,
            Outcome::NotComparable(_)
        ));
        assert_eq!(
            compare(&built_by("pinned", b"sane"))?,
            Outcome::Different(vec![
                "nrf51822.bin: expected 4 bytes, got 4; 1 differ".to_owned()
            ])
        );
        Ok(())
    }

    #[test]
    fn a_missing_byte_is_a_difference() {
        assert_eq!(
            two_builds(&built_by("pinned", b"same"), &built_by("pinned", b"sam")),
            Outcome::Different(vec![
                "nrf51822.bin: expected 4 bytes, got 3; 0 differ".to_owned()
            ])
        );
    }
}
