//! The report of refused rows: appended durably, batch by batch.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::error::FleetError;
use super::reader::FleetFormat;
use super::refusal::RefusedRow;

const COLUMNS: [&str; 5] = ["line", "device_id", "code", "message", "next"];

/// A report that is being written.
pub(super) struct Report {
    path: PathBuf,
    file: File,
    format: FleetFormat,
    length: u64,
}

impl Report {
    /// Begins a new report: CSV where the name says so, else JSON Lines.
    pub(super) fn begin(path: &Path) -> Result<Self, FleetError> {
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(path)
            .map_err(|source| match source.kind() {
                ErrorKind::AlreadyExists => FleetError::Occupied {
                    path: path.to_owned(),
                },
                _ => written(path)(source),
            })?;
        let mut report = Self::new(path, file);
        if report.format == FleetFormat::Csv {
            let header = csv_record(&COLUMNS.map(str::to_owned)).map_err(written(path))?;
            report.append_bytes(&header)?;
        }
        Ok(report)
    }

    /// Goes on with a report that was this long when its rows were last accounted for. What was written since is written again.
    pub(super) fn resume(path: &Path, length: u64) -> Result<Self, FleetError> {
        let file = OpenOptions::new()
            .write(true)
            .open(path)
            .map_err(written(path))?;
        let got = file.metadata().map_err(written(path))?.len();
        if got < length {
            return Err(FleetError::Changed {
                what: format!("the report {} of {length} bytes", path.display()),
                got: format!("{got} bytes"),
            });
        }
        let mut report = Self::new(path, file);
        report
            .file
            .set_len(length)
            .and_then(|()| report.file.seek(SeekFrom::Start(length)))
            .map_err(written(path))?;
        report.length = length;
        Ok(report)
    }

    fn new(path: &Path, file: File) -> Self {
        Self {
            path: path.to_owned(),
            file,
            format: FleetFormat::of_path(path).unwrap_or(FleetFormat::Jsonl),
            length: 0,
        }
    }

    /// Its length in bytes.
    pub(super) const fn length(&self) -> u64 {
        self.length
    }

    /// Appends rows; on disk when it returns.
    pub(super) fn append(&mut self, rows: &[RefusedRow]) -> Result<(), FleetError> {
        let mut bytes = Vec::new();
        for row in rows {
            let row = match self.format {
                FleetFormat::Csv => csv_record(&[
                    row.line.to_string(),
                    row.device_id.map_or_else(String::new, String::from),
                    row.code.name().to_owned(),
                    row.message.clone(),
                    row.next.clone(),
                ]),
                FleetFormat::Jsonl => json_line(row),
            };
            bytes.extend(row.map_err(written(&self.path))?);
        }
        self.append_bytes(&bytes)
    }

    fn append_bytes(&mut self, bytes: &[u8]) -> Result<(), FleetError> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.file
            .write_all(bytes)
            .and_then(|()| self.file.sync_data())
            .map_err(written(&self.path))?;
        self.length += bytes.len() as u64;
        Ok(())
    }
}

fn written(path: &Path) -> impl Fn(io::Error) -> FleetError + use<> {
    let path = path.to_owned();
    move |source| FleetError::Path {
        path: path.clone(),
        doing: "written",
        source,
    }
}

fn csv_record(fields: &[String]) -> io::Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(fields)?;
    writer.into_inner().map_err(csv::IntoInnerError::into_error)
}

fn json_line(row: &RefusedRow) -> io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(row)?;
    line.push(b'\n');
    Ok(line)
}
