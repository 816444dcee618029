//! Keys that were read, and whether a device or key stood in the file before.
//!
//! Remembering ten million rows takes a gigabyte. What is remembered is two generations of rows, the older one dropped when the newer
//! one is full: a repeated device or key is found where it stands at most [`DUPLICATE_ROWS_MIN`] rows behind the first, in at most some
//! 80 MiB. One that is further away is the registry's to refuse, which knows every key that ever was.

use std::collections::HashMap;

use keyline_protocol::identity::fingerprint;
use sha2::{Digest as _, Sha256};

use super::refusal::{Refusal, RefusalCode};
use crate::record::{AlgorithmName, DeviceIdText};

/// A device's key that was read and is in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportedKey {
    /// The line that its row begins on, from 1.
    pub line: u64,
    /// The device.
    pub device_id: DeviceIdText,
    /// The key's algorithm.
    pub algorithm: AlgorithmName,
    /// SPKI DER, in its only encoding.
    pub public_key: Vec<u8>,
    /// The product's name: the row's own, else the one that was given for the whole file.
    pub product: Option<String>,
    /// The device's serial.
    pub serial: Option<String>,
}

/// How many rows back a repeated device or key is surely found: a generation, which fills a hash table of 2^19 places to 7/8.
pub const DUPLICATE_ROWS_MIN: u64 = (1 << 19) / 8 * 7;

/// The devices and keys of the latest rows.
#[derive(Default)]
pub(super) struct Seen {
    newer: Generation,
    older: Generation,
}

#[derive(Default)]
struct Generation {
    rows: u64,
    devices: HashMap<[u8; 12], u64>,
    /// By the first half of the fingerprint: that two keys share it takes 2^64 attempts of somebody who wants his own row refused.
    keys: HashMap<[u8; 16], u64>,
    /// By the first half of the SHA-256 of product and serial.
    serials: HashMap<[u8; 16], u64>,
}

impl Seen {
    /// Remembers a row, or says which earlier one has its device or key.
    pub(super) fn add(&mut self, key: &ImportedKey) -> Result<(), Refusal> {
        let device = *key.device_id.0.as_bytes();
        let half = first_half(fingerprint(&key.public_key));
        let generations = [&self.newer, &self.older];
        if let Some(line) = generations
            .iter()
            .find_map(|seen| seen.devices.get(&device))
        {
            return Err(Refusal::new(
                RefusalCode::DuplicateDevice,
                format!("expected each device once, got one that stands on line {line} already"),
                "Keep the row that is right; the first one was taken.",
            ));
        }
        if let Some(line) = generations.iter().find_map(|seen| seen.keys.get(&half)) {
            return Err(Refusal::new(
                RefusalCode::DuplicateKey,
                format!("expected a key of its own for each device, got the key of line {line}"),
                "Devices with one key can't be told apart: give this one a key of its own.",
            ));
        }
        let serial = label_digest(key);
        let earlier = |digest| generations.iter().find_map(|seen| seen.serials.get(digest));
        if let Some(line) = serial.as_ref().and_then(earlier) {
            return Err(Refusal::new(
                RefusalCode::DuplicateSerial,
                format!(
                    "expected each serial of a product once, got one that stands on line {line} already"
                ),
                "Keep the row whose device carries this label; the first one was taken.",
            ));
        }
        if self.newer.rows == DUPLICATE_ROWS_MIN {
            self.older = std::mem::take(&mut self.newer);
        }
        self.newer.rows += 1;
        self.newer.devices.insert(device, key.line);
        self.newer.keys.insert(half, key.line);
        if let Some(serial) = serial {
            self.newer.serials.insert(serial, key.line);
        }
        Ok(())
    }
}

fn first_half(digest: [u8; 32]) -> [u8; 16] {
    let mut half = [0; 16];
    for (to, from) in half.iter_mut().zip(digest) {
        *to = from;
    }
    half
}

/// No product's name has the byte between the two.
fn label_digest(key: &ImportedKey) -> Option<[u8; 16]> {
    let (product, serial) = (key.product.as_ref()?, key.serial.as_ref()?);
    let digest = Sha256::new()
        .chain_update(product)
        .chain_update([0])
        .chain_update(serial);
    Some(first_half(digest.finalize().into()))
}
