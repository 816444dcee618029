//! A fleet as a file: CSV or JSON Lines, in a form that an import takes.

use std::error::Error;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::pin::pin;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::{Stream, StreamExt as _};
use serde::{Deserialize, Serialize};
use x509_cert::der::pem::{self, LineEnding};

use super::error::FleetError;
use super::member::Member;
use super::reader::FleetFormat;
use crate::record::{AlgorithmName, DeviceIdText};

/// How a public key is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyForm {
    /// SPKI DER in base64: one line.
    #[default]
    Base64,
    /// SPKI PEM: several lines, in quotes.
    Pem,
}

/// A key as the registry knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportedKey {
    /// The device.
    pub device_id: DeviceIdText,
    /// SHA-256 of the public key.
    pub fingerprint: [u8; 32],
    /// The key's algorithm.
    pub algorithm: AlgorithmName,
    /// `pending`, `active`, `superseded` or `revoked`.
    pub state: String,
    /// SPKI DER.
    pub public_key: Vec<u8>,
    /// The product's name.
    pub product: Option<String>,
    /// The device's serial.
    pub serial: Option<String>,
    /// When it became active, in milliseconds since 1970.
    pub pinned_at_ms: Option<u64>,
    /// When it was taken back, in milliseconds since 1970.
    pub revoked_at_ms: Option<u64>,
}

/// An exported row, in the order of its columns.
#[derive(Serialize)]
struct Row<'a> {
    device_id: String,
    fingerprint: String,
    algorithm: &'static str,
    state: &'a str,
    public_key: String,
    product: Option<&'a str>,
    serial: Option<&'a str>,
    pinned_at_ms: Option<u64>,
    revoked_at_ms: Option<u64>,
}

const COLUMNS: [Member; 9] = [
    Member::DeviceId,
    Member::Fingerprint,
    Member::Algorithm,
    Member::State,
    Member::PublicKey,
    Member::Product,
    Member::Serial,
    Member::PinnedAt,
    Member::RevokedAt,
];

/// Writes keys, one at a time.
pub struct FleetWriter<W: Write> {
    rows: Rows<W>,
    form: KeyForm,
}

enum Rows<W: Write> {
    Csv(Box<csv::Writer<W>>),
    Jsonl(W),
}

impl<W: Write> FleetWriter<W> {
    /// Begins a file; CSV has its header then.
    ///
    /// # Errors
    /// What the system says.
    pub fn begin(writer: W, format: FleetFormat, form: KeyForm) -> io::Result<Self> {
        let rows = match format {
            FleetFormat::Csv => {
                let mut writer = csv::WriterBuilder::new()
                    .has_headers(false)
                    .terminator(csv::Terminator::CRLF)
                    .from_writer(writer);
                writer.write_record(COLUMNS.map(Member::name))?;
                Rows::Csv(Box::new(writer))
            }
            FleetFormat::Jsonl => Rows::Jsonl(writer),
        };
        Ok(Self { rows, form })
    }

    /// Writes a key.
    ///
    /// # Errors
    /// What the system says.
    pub fn write(&mut self, key: &ExportedKey) -> io::Result<()> {
        let public_key = match self.form {
            KeyForm::Base64 => STANDARD.encode(&key.public_key),
            KeyForm::Pem => pem::encode_string("PUBLIC KEY", LineEnding::LF, &key.public_key)
                .map_err(io::Error::other)?,
        };
        let row = Row {
            device_id: key.device_id.into(),
            fingerprint: hex::encode(key.fingerprint),
            algorithm: key.algorithm.0.name(),
            state: &key.state,
            public_key,
            product: key.product.as_deref(),
            serial: key.serial.as_deref(),
            pinned_at_ms: key.pinned_at_ms,
            revoked_at_ms: key.revoked_at_ms,
        };
        match &mut self.rows {
            Rows::Csv(writer) => writer.serialize(row)?,
            Rows::Jsonl(writer) => {
                serde_json::to_writer(&mut *writer, &row)?;
                writer.write_all(b"\n")?;
            }
        }
        Ok(())
    }

    /// Ends the file.
    ///
    /// # Errors
    /// What the system says.
    pub fn finish(self) -> io::Result<W> {
        match self.rows {
            Rows::Csv(writer) => writer.into_inner().map_err(csv::IntoInnerError::into_error),
            Rows::Jsonl(mut writer) => {
                writer.flush()?;
                Ok(writer)
            }
        }
    }
}

/// Writes keys to a new file, which appears whole or not at all, and gives their number.
///
/// # Errors
/// [`FleetError::Occupied`] where something is there, [`FleetError::Source`] where the keys end in an error, [`FleetError::Path`].
pub async fn export_file<E: Error + Send + Sync + 'static>(
    path: &Path,
    format: FleetFormat,
    form: KeyForm,
    keys: impl Stream<Item = Result<ExportedKey, E>>,
) -> Result<u64, FleetError> {
    let failed = |source| FleetError::Path {
        path: path.to_owned(),
        doing: "written",
        source,
    };
    if path.exists() {
        return Err(occupied(path));
    }
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let file = tempfile::NamedTempFile::new_in(directory).map_err(failed)?;
    let mut writer = FleetWriter::begin(BufWriter::new(file), format, form).map_err(failed)?;
    let mut keys = pin!(keys);
    let mut count = 0;
    while let Some(key) = keys.next().await {
        let key = key.map_err(|source| FleetError::Source {
            source: Box::new(source),
        })?;
        writer.write(&key).map_err(failed)?;
        count += 1;
    }
    let file = writer
        .finish()
        .and_then(|buffered| {
            buffered
                .into_inner()
                .map_err(io::IntoInnerError::into_error)
        })
        .map_err(failed)?;
    file.as_file().sync_all().map_err(failed)?;
    file.persist_noclobber(path)
        .map_err(|error| match error.error.kind() {
            io::ErrorKind::AlreadyExists => occupied(path),
            _ => failed(error.error),
        })?;
    File::open(directory)
        .and_then(|directory| directory.sync_all())
        .map_err(failed)?;
    Ok(count)
}

fn occupied(path: &Path) -> FleetError {
    FleetError::Occupied {
        path: path.to_owned(),
    }
}
