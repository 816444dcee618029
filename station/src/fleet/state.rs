//! How far an import is: a small file that is replaced as a whole after each batch.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write as _};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::error::FleetError;
use super::import::ImportCounts;
use super::reader::FleetFormat;
use crate::record::Name;

/// The version of the state file.
const VERSION: u32 = 1;

/// How far an import is, and what it is an import of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct State {
    pub(super) version: u32,
    /// The file's length in bytes.
    pub(super) file_length: u64,
    /// How the file is written.
    pub(super) format: FleetFormat,
    /// The product of rows that name none.
    pub(super) product: Option<Name>,
    /// The bytes that were read.
    pub(super) offset: u64,
    /// The lines that were read.
    pub(super) line: u64,
    /// SHA-256 of the bytes that were read.
    #[serde(with = "hex::serde")]
    pub(super) sha256: [u8; 32],
    /// What became of the rows.
    pub(super) counts: ImportCounts,
    /// The report's length in bytes.
    pub(super) report_length: Option<u64>,
    /// There is nothing left to do.
    pub(super) finished: bool,
}

impl State {
    /// Before the first row.
    pub(super) const fn begin(
        file_length: u64,
        format: FleetFormat,
        product: Option<Name>,
    ) -> Self {
        Self {
            version: VERSION,
            file_length,
            format,
            product,
            offset: 0,
            line: 0,
            sha256: [0; 32],
            counts: ImportCounts::NONE,
            report_length: None,
            finished: false,
        }
    }

    /// Reads a state file; `None` where there is none.
    pub(super) fn read(path: &Path) -> Result<Option<Self>, FleetError> {
        let content = match fs::read(path) {
            Ok(content) => content,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(source) => {
                return Err(FleetError::Path {
                    path: path.to_owned(),
                    doing: "read",
                    source,
                });
            }
        };
        let no_state = |got: &str| FleetError::NoState {
            path: path.to_owned(),
            got: got.to_owned(),
        };
        let state: Self =
            serde_json::from_slice(&content).map_err(|_| no_state("a file that is none"))?;
        if state.version != VERSION {
            return Err(no_state("one of another version"));
        }
        Ok(Some(state))
    }

    /// Replaces the state file; on disk when it returns.
    pub(super) fn write(&self, path: &Path) -> Result<(), FleetError> {
        self.replace(path).map_err(|source| FleetError::Path {
            path: path.to_owned(),
            doing: "written",
            source,
        })
    }

    fn replace(&self, path: &Path) -> io::Result<()> {
        let directory = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let mut file = tempfile::NamedTempFile::new_in(directory)?;
        serde_json::to_writer(&mut file, self)?;
        file.write_all(b"\n")?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        File::open(directory)?.sync_all()
    }
}
