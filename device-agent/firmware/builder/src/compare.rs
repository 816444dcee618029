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
    /// Another compiler or linker built it, and some byte differs: that says nothing.
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
    use super::difference;

    #[test]
    fn one_byte_and_a_missing_byte_are_found() {
        assert_eq!(difference("x", b"same", b"same"), None);
        assert_eq!(
            difference("x", b"same", b"sane").as_deref(),
            Some("x: expected 4 bytes, got 4; 1 differ")
        );
        assert_eq!(
            difference("x", b"same", b"sam").as_deref(),
            Some("x: expected 4 bytes, got 3; 0 differ")
        );
    }
}
