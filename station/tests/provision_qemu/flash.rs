//! What lies in an nRF51822's flash, read by the tables in the agent's documentation and by nothing of the agent's own code.

use sha2::{Digest as _, Sha256};

/// The first byte of the key page.
pub(crate) const KEY: usize = 0x3_a800;
/// The first byte of the seal page.
pub(crate) const SEAL: usize = 0x3_ac00;
/// The first bytes of the record areas.
pub(crate) const RECORDS: [usize; 2] = [0x3_b000, 0x3_b800];
/// Bytes a record area.
pub(crate) const RECORD_LENGTH: usize = 0x800;
/// Bytes a page.
pub(crate) const PAGE_LENGTH: usize = 0x400;

const COMMITTED: &[u8] = b"done";
const MAGIC: &[u8] = b"KLNE";

/// A committed key.
pub(crate) struct Key {
    /// The private scalar.
    pub(crate) private: Vec<u8>,
    /// SPKI DER.
    pub(crate) public: Vec<u8>,
}

/// A committed record.
pub(crate) struct Record {
    pub(crate) sequence: u32,
    /// SPKI DER.
    pub(crate) cloud_key: Vec<u8>,
    pub(crate) cloud_address: String,
}

/// The device key, if one is committed.
pub(crate) fn key(flash: &[u8]) -> Option<Key> {
    let area = &flash[KEY..KEY + PAGE_LENGTH];
    if &area[48..52] != COMMITTED {
        return None;
    }
    let (private, public) = (half_word(area, 12), half_word(area, 14));
    assert_eq!((private, public), (32, 91), "the lengths of a P-256 key");
    let end = 52 + private + public.next_multiple_of(4);
    assert_intact(area, 16, 52..end);
    Some(Key {
        private: area[52..52 + private].to_vec(),
        public: area[52 + private..52 + private + public].to_vec(),
    })
}

/// The committed records, in the order of their areas.
pub(crate) fn records(flash: &[u8]) -> Vec<Record> {
    RECORDS
        .iter()
        .filter_map(|start| record(&flash[*start..start + RECORD_LENGTH]))
        .collect()
}

/// The record that counts.
pub(crate) fn newest_record(flash: &[u8]) -> Option<Record> {
    records(flash)
        .into_iter()
        .max_by_key(|record| record.sequence)
}

fn record(area: &[u8]) -> Option<Record> {
    if &area[168..172] != COMMITTED {
        return None;
    }
    let [key, address, credentials] = [16, 18, 20].map(|at| half_word(area, at));
    let address_start = 172 + key.next_multiple_of(4);
    let end = address_start + address.next_multiple_of(4) + credentials.next_multiple_of(4);
    assert_intact(area, 136, 172..end);
    let address = area[address_start..address_start + address].to_vec();
    Some(Record {
        sequence: u32::from_le_bytes(*area[8..].first_chunk().unwrap()),
        cloud_key: area[172..172 + key].to_vec(),
        cloud_address: String::from_utf8(address).unwrap(),
    })
}

/// A committed area has its magic word and its digest, and nothing behind what it says that it holds.
fn assert_intact(area: &[u8], digest_at: usize, body: std::ops::Range<usize>) {
    assert_eq!(&area[..4], MAGIC);
    let end = body.end;
    let digest = Sha256::new()
        .chain_update(&area[..digest_at])
        .chain_update(&area[body])
        .finalize();
    assert_eq!(&area[digest_at..digest_at + 32], digest.as_slice());
    assert!(area[end..].iter().all(|byte| *byte == 0xff));
}

/// How often these bytes occur.
pub(crate) fn count(flash: &[u8], bytes: &[u8]) -> usize {
    flash
        .windows(bytes.len())
        .filter(|window| window == &bytes)
        .count()
}

fn half_word(area: &[u8], at: usize) -> usize {
    usize::from(u16::from_le_bytes(*area[at..].first_chunk().unwrap()))
}
