//! Files that no memory holds. Each test is a process of its own, so that the peak is this test's.

use std::fs;
use std::io::{BufReader, Read};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keyline_protocol::message::Point;
use keyline_protocol::spki;
use keyline_station::fleet::{FleetReader, ReaderOptions, RefusalCode};
use p256::elliptic_curve::sec1::ToSec1Point as _;

use crate::fixture::device;

/// How long the file is; `KEYLINE_FLEET_BYTES` asks for another length, `make soak` for a gigabyte.
fn length() -> u64 {
    std::env::var("KEYLINE_FLEET_BYTES").map_or(64 << 20, |bytes| bytes.parse().unwrap())
}

/// The most memory since it was last reset, in KiB (proc(5): `status`, `clear_refs`).
fn peak_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM:"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn reset_peak() -> u64 {
    fs::write("/proc/self/clear_refs", "5").unwrap();
    peak_kib()
}

/// A file that is made while it is read.
struct Made<F> {
    next: F,
    rest: Vec<u8>,
    given: usize,
}

impl<F: FnMut() -> Option<Vec<u8>>> Read for Made<F> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.given == self.rest.len() {
            self.rest = (self.next)().unwrap_or_default();
            self.given = 0;
        }
        let count = buffer.len().min(self.rest.len() - self.given);
        buffer[..count].copy_from_slice(&self.rest[self.given..self.given + count]);
        self.given += count;
        Ok(count)
    }
}

fn made(next: impl FnMut() -> Option<Vec<u8>>) -> BufReader<impl Read> {
    BufReader::new(Made {
        next,
        rest: Vec::new(),
        given: 0,
    })
}

#[test]
fn a_huge_fleet_is_read_in_little_memory() {
    let length = length();
    let (mut bytes, mut number) = (0, 0);
    // Every key is the one before it and the base point: new ones for the price of an addition.
    let mut point = p256::ProjectivePoint::GENERATOR;
    let file = made(|| {
        if bytes >= length {
            return None;
        }
        if bytes == 0 {
            bytes += 1;
            return Some(b"device_id,public_key\n".to_vec());
        }
        point += p256::ProjectivePoint::GENERATOR;
        let encoded = point.to_affine().to_sec1_point(false);
        let encoded = encoded.as_bytes();
        let key = spki::p256(&Point {
            x: encoded[1..33].try_into().unwrap(),
            y: encoded[33..].try_into().unwrap(),
        });
        number += 1;
        let row = format!("{},{}\n", device(number), STANDARD.encode(key)).into_bytes();
        bytes += row.len() as u64;
        Some(row)
    });
    let before = reset_peak();
    let mut reader = FleetReader::open(file, ReaderOptions::default()).unwrap();
    let mut good = 0;
    for row in &mut reader {
        row.unwrap().unwrap();
        good += 1;
    }
    let taken = peak_kib() - before;
    let rows = reader.rows();
    assert!(reader.offset() >= length);
    assert_eq!(good, rows);
    drop(reader);
    assert_eq!(good, number);
    assert!(taken < 96 * 1024, "reading {length} bytes took {taken} KiB");
}

#[test]
fn one_line_of_a_whole_file_is_refused_in_hardly_any_memory() {
    let length = length();
    let mut bytes = 0;
    let mut first = true;
    let file = made(|| {
        if std::mem::take(&mut first) {
            return Some(b"device_id,public_key\n".to_vec());
        }
        (bytes < length).then(|| {
            bytes += 1 << 16;
            vec![b'x'; 1 << 16]
        })
    });
    let before = reset_peak();
    let reader = FleetReader::open(file, ReaderOptions::default()).unwrap();
    let rows: Vec<_> = reader.map(Result::unwrap).collect();
    let taken = peak_kib() - before;
    assert_eq!(rows.len(), 1);
    let refused = rows.into_iter().next().unwrap().unwrap_err();
    assert_eq!((refused.line, refused.code), (2, RefusalCode::RowTooLong));
    assert!(taken < 4 * 1024, "reading {length} bytes took {taken} KiB");
}
