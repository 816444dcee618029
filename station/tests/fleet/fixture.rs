//! Keys, rows and readers. Fixtures read as sentences: `refused(&csv(&[row(1, &p256(1))]))`.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Mutex;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keyline_protocol::message::Point;
use keyline_protocol::spki;
use keyline_station::fleet::{
    FileError, FleetReader, FleetSink, ImportCounts, ImportObserver, ImportProgress, Imported,
    ImportedKey, ReadRow, ReaderOptions, RefusalCode, RefusedRow,
};

/// The SPKI of a P-256 key that this number alone makes.
pub(crate) fn p256(number: u64) -> Vec<u8> {
    let mut scalar = [0x17; 32];
    scalar[24..].copy_from_slice(&(number + 1).to_be_bytes());
    let secret = p256::SecretKey::from_slice(&scalar).unwrap();
    let point = secret.public_key().to_sec1_bytes();
    spki::p256(&Point {
        x: point[1..33].try_into().unwrap(),
        y: point[33..].try_into().unwrap(),
    })
    .to_vec()
}

/// A device id of this number.
pub(crate) fn device(number: u64) -> String {
    format!("4b4c5122{number:016x}")
}

/// A row of CSV with a key as base64 DER.
pub(crate) fn row(number: u64, spki: &[u8]) -> String {
    format!("{},{}\n", device(number), STANDARD.encode(spki))
}

/// A file of these rows.
pub(crate) fn csv(rows: &[String]) -> String {
    format!("device_id,public_key\n{}", rows.concat())
}

/// A row of JSON Lines.
pub(crate) fn json(number: u64, members: &str) -> String {
    format!("{{\"device_id\":\"{}\",{members}}}\n", device(number))
}

/// A row whose key is this text, which may hold anything.
pub(crate) fn json_key(number: u64, text: &str) -> String {
    let text = serde_json::to_string(text).unwrap();
    json(number, &format!("\"public_key\":{text}"))
}

pub(crate) fn open(content: &[u8]) -> Result<FleetReader<&[u8]>, FileError> {
    FleetReader::open(content, ReaderOptions::default())
}

/// Every row of a file that can be read.
pub(crate) fn rows(content: &[u8]) -> Vec<ReadRow> {
    open(content).unwrap().map(Result::unwrap).collect()
}

/// The refused rows.
pub(crate) fn refused(content: &[u8]) -> Vec<RefusedRow> {
    rows(content).into_iter().filter_map(Result::err).collect()
}

/// How many rows are in order.
pub(crate) fn good(content: &[u8]) -> usize {
    rows(content).iter().filter(|row| row.is_ok()).count()
}

/// Puts a row between two good ones, and sees that it alone is refused: on its line, with this code and exactly these words.
pub(crate) fn refused_between(bad: &str, code: RefusalCode, message: &str) -> RefusedRow {
    let json = bad.starts_with('{');
    let between = |number| {
        if json {
            json_key(number, &STANDARD.encode(p256(number)))
        } else {
            row(number, &p256(number))
        }
    };
    let content = format!("{}{bad}{}", between(1_000_001), between(1_000_002));
    let (content, line) = if json {
        (content, 2)
    } else {
        (csv(&[content]), 3)
    };
    assert_eq!(
        good(content.as_bytes()),
        2,
        "{:?}",
        refused(content.as_bytes())
    );
    let mut refused = refused(content.as_bytes());
    assert_eq!(refused.len(), 1, "{refused:?}");
    let row = refused.pop().unwrap();
    assert_eq!(
        (row.line, row.code, row.message.as_str()),
        (line, code, message)
    );
    assert!(!row.next.is_empty(), "{row:?}");
    row
}

/// Keeps what it is given as a registry does: one key for a device, one device for a key.
#[derive(Default)]
pub(crate) struct Kept(pub(crate) Mutex<Tables>);

#[derive(Default)]
pub(crate) struct Tables {
    pub(crate) by_device: BTreeMap<String, ImportedKey>,
    pub(crate) batches: usize,
}

impl Kept {
    pub(crate) fn all(&self) -> BTreeMap<String, ImportedKey> {
        self.0.lock().unwrap().by_device.clone()
    }

    pub(crate) fn batches(&self) -> usize {
        self.0.lock().unwrap().batches
    }
}

impl FleetSink for Kept {
    type Error = Infallible;

    async fn import(
        &self,
        batch: Vec<ImportedKey>,
    ) -> Result<Vec<Result<Imported, RefusedRow>>, Infallible> {
        let mut tables = self.0.lock().unwrap();
        tables.batches += 1;
        Ok(batch.into_iter().map(|key| tables.take(key)).collect())
    }
}

impl Tables {
    fn take(&mut self, key: ImportedKey) -> Result<Imported, RefusedRow> {
        let refuse = |code, message: &str| {
            Err(RefusedRow {
                line: key.line,
                device_id: Some(key.device_id),
                code,
                message: message.to_owned(),
                next: "Look at the registry.".to_owned(),
            })
        };
        if key.product.as_deref() == Some("nothing") {
            return refuse(RefusalCode::UnknownProduct, "expected a product, got none");
        }
        let device = String::from(key.device_id);
        match self.by_device.get(&device) {
            Some(kept) if kept.public_key == key.public_key => {
                return Ok(Imported { already: true });
            }
            Some(_) => return refuse(RefusalCode::OtherKey, "expected the device's key"),
            None => {}
        }
        let reused = self
            .by_device
            .values()
            .any(|kept| kept.public_key == key.public_key);
        if reused {
            return refuse(RefusalCode::ReusedKey, "expected a new key, got a used one");
        }
        self.by_device.insert(device, key);
        Ok(Imported { already: false })
    }
}

/// Remembers what it was shown.
#[derive(Default)]
pub(crate) struct Watcher {
    pub(crate) refused: Vec<RefusedRow>,
    pub(crate) batches: Vec<ImportCounts>,
    pub(crate) taken: Vec<ImportProgress>,
}

impl ImportObserver for Watcher {
    fn taken(&mut self, progress: ImportProgress) {
        self.taken.push(progress);
    }

    fn refused(&mut self, row: &RefusedRow) {
        self.refused.push(row.clone());
    }

    fn batch(&mut self, counts: ImportCounts, offset: u64, file_length: u64) {
        assert!(offset <= file_length);
        self.batches.push(counts);
    }
}
