//! The manifest: what an export consists of, signed by the log's key.
//!
//! A C2SP signed note with this text, one item a line, in this order:
//!
//! ```text
//! keyline export v1
//! origin station-1
//! time 2026-11-24T22:00:00.000Z
//! rows units
//! filter customer=acme from=2026-01-01T00:00:00.000Z
//! checkpoint 1234 47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=
//! file 2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae 4711 17 units.csv
//! ```
//!
//! `checkpoint` is the size and the root of the checkpoint that the data was read under; `file` is SHA-256, bytes, rows and name of a
//! data file. The first line has spaces, which the name of a log can't have, so a manifest is never taken for a checkpoint. SHA-256 of
//! the whole note is what the export's own leaf in the log carries.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::{Filter, Rows};
use crate::audit::{AuditError, Checkpoint};
use crate::export::column::rfc_3339;

/// The manifest's file name.
pub const MANIFEST_FILE: &str = "manifest.txt";

/// The checkpoint's file name.
pub const CHECKPOINT_FILE: &str = "checkpoint.txt";

/// The first line, and with it the version.
const FIRST_LINE: &str = "keyline export v1";

/// The most data files: each format once.
const FILES_MAX: usize = 16;

/// A data file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestFile {
    /// SHA-256 of its content.
    pub digest: [u8; 32],
    /// Its length in bytes.
    pub bytes: u64,
    /// Its rows, without a header.
    pub rows: u64,
    /// Its name in the directory.
    pub name: String,
}

/// What an export consists of. It says nothing until it stands in a note that was verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// The log's name.
    pub origin: String,
    /// When the export was made, as RFC 3339.
    pub time: String,
    /// `units` or `leaves`.
    pub rows: String,
    /// What was asked for.
    pub filter: String,
    /// How many leaves the checkpoint covers.
    pub size: u64,
    /// The root of the checkpoint's tree.
    pub root: [u8; 32],
    /// The data files.
    pub files: Vec<ManifestFile>,
}

impl Manifest {
    pub(super) fn new(
        checkpoint: &Checkpoint,
        made_at_ms: u64,
        rows: Rows,
        filter: &Filter,
        files: Vec<ManifestFile>,
    ) -> Self {
        Self {
            origin: checkpoint.origin.clone(),
            time: rfc_3339(made_at_ms),
            rows: rows.name().to_owned(),
            filter: filter.to_string(),
            size: checkpoint.size,
            root: checkpoint.root,
            files,
        }
    }

    /// The text that is signed.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = format!(
            "{FIRST_LINE}\norigin {}\ntime {}\nrows {}\nfilter {}\ncheckpoint {} {}\n",
            self.origin,
            self.time,
            self.rows,
            self.filter,
            self.size,
            BASE64.encode(self.root)
        );
        for file in &self.files {
            let digest = hex::encode(file.digest);
            let line = format!("file {digest} {} {} {}\n", file.bytes, file.rows, file.name);
            text.push_str(&line);
        }
        text
    }

    /// Reads what [`text`](Self::text) wrote, and nothing else.
    ///
    /// # Errors
    /// [`AuditError::Format`].
    pub fn parse(text: &str) -> Result<Self, AuditError> {
        let parsed = Self::read(text).filter(|manifest| manifest.text() == text);
        parsed
            .ok_or_else(|| AuditError::format("the manifest of a keyline export, version 1", text))
    }

    fn read(text: &str) -> Option<Self> {
        let mut lines = text.strip_suffix('\n')?.split('\n');
        if lines.next()? != FIRST_LINE {
            return None;
        }
        let mut item = |key| lines.next()?.strip_prefix(key)?.strip_prefix(' ');
        let origin = item("origin")?.to_owned();
        let time = item("time")?.to_owned();
        let rows = item("rows")?.to_owned();
        let filter = item("filter")?.to_owned();
        let (size, root) = item("checkpoint")?.split_once(' ')?;
        let (size, root) = (size.parse().ok()?, BASE64.decode(root).ok()?);
        let files: Option<Vec<_>> = lines.take(FILES_MAX + 1).map(read_file).collect();
        let files = files.filter(|files| files.len() <= FILES_MAX)?;
        Some(Self {
            origin,
            time,
            rows,
            filter,
            size,
            root: root.try_into().ok()?,
            files,
        })
    }
}

/// A name is a plain one: a manifest, however signed, leads nobody out of its directory.
fn read_file(line: &str) -> Option<ManifestFile> {
    let mut items = line.strip_prefix("file ")?.splitn(4, ' ');
    let mut digest = [0; 32];
    hex::decode_to_slice(items.next()?, &mut digest).ok()?;
    let bytes = items.next()?.parse().ok()?;
    let rows = items.next()?.parse().ok()?;
    let name = items.next()?;
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let taken = [MANIFEST_FILE, CHECKPOINT_FILE].contains(&name);
    (!name.is_empty() && !name.starts_with('.') && name.chars().all(plain) && !taken).then(|| {
        ManifestFile {
            digest,
            bytes,
            rows,
            name: name.to_owned(),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest() -> Manifest {
        Manifest {
            origin: "test.example/line-1".to_owned(),
            time: rfc_3339(1_700_000_000_123),
            rows: "units".to_owned(),
            filter: "customer=acme to=2023-11-14T22:13:20.123Z".to_owned(),
            size: 17,
            root: [7; 32],
            files: vec![ManifestFile {
                digest: [0xab; 32],
                bytes: 9,
                rows: 2,
                name: "units.csv".to_owned(),
            }],
        }
    }

    #[test]
    fn a_manifest_is_read_back_and_no_checkpoint() {
        let mut manifest = manifest();
        assert_eq!(Manifest::parse(&manifest.text()).unwrap(), manifest);
        assert!(Checkpoint::parse(&manifest.text()).is_err());
        manifest.files.clear();
        assert_eq!(Manifest::parse(&manifest.text()).unwrap(), manifest);
    }

    #[test]
    fn nothing_else_is_a_manifest() {
        let text = manifest().text();
        let changed = |from: &str, to: &str| {
            let changed = text.replace(from, to);
            assert_ne!(changed, text, "{from}");
            assert!(Manifest::parse(&changed).is_err(), "{changed}");
        };
        changed("v1", "v2");
        changed("origin ", "origin");
        changed("checkpoint 17", "checkpoint 017");
        changed("checkpoint 17", "checkpoint +17");
        changed("units.csv", "../units.csv");
        changed("units.csv", ".units.csv");
        changed("units.csv", "checkpoint.txt");
        changed("units.csv", "a b");
        changed("file ab", "file AB");
        changed(" 9 2 ", " 9 -2 ");
        changed("rows units\n", "");
        let line = text.lines().last().unwrap();
        let many = format!("{text}{}", format!("{line}\n").repeat(FILES_MAX));
        assert!(Manifest::parse(&many).is_err());
        assert!(Manifest::parse(text.trim_end()).is_err());
        assert!(Manifest::parse("").is_err());
    }
}
