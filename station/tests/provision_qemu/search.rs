//! Looks for the bytes of a secret wherever they could have been left: raw, turned around, as hexadecimal digits, as base64.

use std::collections::HashMap;
use std::io::{BufReader, Read};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// So many bytes of a disguise are enough to know it by.
const PIECE_LENGTH: usize = 16;

/// How much is read at once.
const CHUNK_LENGTH: usize = 1 << 20;

/// A number of 32 bytes in every disguise.
pub(crate) struct Needle {
    /// Pieces by their first two bytes.
    by_head: HashMap<u16, Vec<[u8; PIECE_LENGTH]>>,
    /// Whether a piece begins with these two bytes.
    heads: Vec<bool>,
}

impl Needle {
    /// Everything that shows this number, or either half of it.
    pub(crate) fn new(number: &[u8]) -> Self {
        assert_eq!(number.len(), 32);
        let mut needle = Self {
            by_head: HashMap::new(),
            heads: vec![false; 1 << 16],
        };
        // Arithmetic keeps a number with its lowest byte first.
        let reversed: Vec<u8> = number.iter().rev().copied().collect();
        for order in [number, &reversed] {
            needle.add(&order[..PIECE_LENGTH]);
            needle.add(&order[PIECE_LENGTH..]);
            for digits in [hex::encode(order), hex::encode_upper(order)] {
                needle.add(&digits.as_bytes()[..PIECE_LENGTH]);
                needle.add(&digits.as_bytes()[64 - PIECE_LENGTH..]);
            }
            // Inside a longer text the number may begin at any of three places in a group.
            for skipped in 0..3 {
                for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
                    let text = engine.encode(&order[skipped..skipped + 12]);
                    needle.add(text.as_bytes());
                }
            }
        }
        needle
    }

    fn add(&mut self, piece: &[u8]) {
        let piece: [u8; PIECE_LENGTH] = piece.try_into().unwrap();
        let head = u16::from_be_bytes([piece[0], piece[1]]);
        self.heads[usize::from(head)] = true;
        self.by_head.entry(head).or_default().push(piece);
    }

    /// How often any piece stands in these bytes.
    pub(crate) fn count(&self, bytes: &[u8]) -> usize {
        bytes
            .windows(PIECE_LENGTH)
            .filter(|window| {
                let head = u16::from_be_bytes([window[0], window[1]]);
                self.heads[usize::from(head)]
                    && self.by_head[&head].iter().any(|piece| piece == window)
            })
            .count()
    }

    /// How often in what a reader gives, piece by piece.
    pub(crate) fn count_in(&self, mut reader: impl Read) -> usize {
        let mut buffer = vec![0; CHUNK_LENGTH];
        let (mut kept, mut found) = (0, 0);
        loop {
            let read = reader.read(&mut buffer[kept..]).unwrap();
            if read == 0 {
                return found;
            }
            let filled = kept + read;
            found += self.count(&buffer[..filled]);
            // What stands across two pieces is seen in the next one, and once.
            kept = filled.min(PIECE_LENGTH - 1);
            buffer.copy_within(filled - kept..filled, 0);
        }
    }
}

/// How often in each file of a directory and of all below it: name and count.
pub(crate) fn in_files(directory: &Path, needle: &Needle) -> Vec<(String, usize)> {
    let mut counts = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        let kind = entry.file_type().unwrap();
        let name = entry.file_name().to_string_lossy().into_owned();
        if kind.is_dir() {
            let below = in_files(&entry.path(), needle);
            counts.extend(
                below
                    .into_iter()
                    .map(|(file, count)| (format!("{name}/{file}"), count)),
            );
        } else if kind.is_file() {
            let file = BufReader::new(std::fs::File::open(entry.path()).unwrap());
            counts.push((name, needle.count_in(file)));
        }
    }
    counts
}

#[test]
fn a_number_is_found_in_every_disguise_and_nowhere_else() {
    let number: Vec<u8> = (0..32_u8)
        .map(|byte| byte.wrapping_mul(37) ^ 0x5a)
        .collect();
    let needle = Needle::new(&number);
    let reversed: Vec<u8> = number.iter().rev().copied().collect();
    let long = [&b"in the middle"[..], &number, b"of a text"].concat();
    let disguises = [
        number.clone(),
        reversed,
        number[16..].to_vec(),
        hex::encode(&number).into_bytes(),
        hex::encode_upper(&number).into_bytes(),
        STANDARD_NO_PAD.encode(&number).into_bytes(),
        URL_SAFE_NO_PAD.encode(&long).into_bytes(),
        STANDARD_NO_PAD.encode(&long[1..]).into_bytes(),
        STANDARD_NO_PAD.encode(&long[2..]).into_bytes(),
    ];
    for disguise in disguises {
        let mut hay = vec![b'.'; CHUNK_LENGTH - 7];
        hay.extend(&disguise);
        assert!(
            needle.count_in(hay.as_slice()) > 0,
            "{}",
            String::from_utf8_lossy(&disguise)
        );
    }
    let other: Vec<u8> = number.iter().map(|byte| byte ^ 1).collect();
    assert_eq!(needle.count_in(other.as_slice()), 0);
}
