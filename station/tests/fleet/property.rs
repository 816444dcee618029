//! Whatever stands in a file, the reader ends, and says of each row what became of it.

use std::io::BufReader;

use keyline_station::fleet::{DeviceKey, FleetFormat, FleetReader, ReaderOptions};
use proptest::prelude::*;

use crate::fixture::{csv, json_key, p256, row, rows};

/// Reads to the end by pieces of this length: (good, refused) rows.
fn read(content: &[u8], format: Option<FleetFormat>, piece: usize) -> (usize, usize) {
    let options = ReaderOptions {
        format,
        product: None,
    };
    let Ok(reader) = FleetReader::open(BufReader::with_capacity(piece, content), options) else {
        return (0, 0);
    };
    reader
        .filter_map(Result::ok)
        .fold((0, 0), |(good, refused), row| match row {
            Ok(_) => (good + 1, refused),
            Err(row) => {
                assert!(row.line >= 1 && !row.message.is_empty());
                (good, refused + 1)
            }
        })
}

proptest! {
    #[test]
    fn any_bytes_are_read_to_their_end(content: Vec<u8>, csv: bool, piece in 1_usize..64) {
        let format = if csv { FleetFormat::Csv } else { FleetFormat::Jsonl };
        read(&content, Some(format), piece);
        read(&content, None, piece);
        let headed = [b"device_id,public_key\n", content.as_slice()].concat();
        read(&headed, None, piece);
    }

    #[test]
    fn any_text_is_a_key_or_is_refused(text: String, der: Vec<u8>) {
        let _ = DeviceKey::parse(&text);
        let _ = DeviceKey::parse(&hex::encode(&der));
        let _ = DeviceKey::from_der(&der);
        let _ = DeviceKey::from_der(&[&p256(1)[..24], &der].concat());
    }

    #[test]
    fn a_damaged_file_is_read_the_same_by_any_pieces(
        json: bool,
        damages in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        piece in 1_usize..300,
    ) {
        let all = 1..12;
        let content = if json {
            all.map(|n| json_key(n, &hex::encode(p256(n)))).collect::<String>()
        } else {
            csv(&all.map(|n| row(n, &p256(n))).collect::<Vec<_>>())
        };
        let mut content = content.into_bytes();
        for (at, byte) in &damages {
            let at = at.index(content.len());
            content[at] = *byte;
        }
        let whole = read(&content, None, 1 << 16);
        prop_assert_eq!(whole, read(&content, None, piece));
        // Each damage costs one row at most, and its line once more where it made two lines of one.
        if damages.is_empty() {
            prop_assert_eq!(whole, (11, 0));
        }
    }

    #[test]
    fn good_rows_are_read_whatever_stands_between_them(
        between in prop::collection::vec("[^\r\n\"\u{0}{}]{1,80}", 0..8),
    ) {
        let mut content = Vec::new();
        for (number, text) in (0..).zip(&between) {
            content.push(row(number, &p256(number)));
            content.push(format!("{text}\n"));
        }
        let content = csv(&content);
        if !between.is_empty() {
            let good = rows(content.as_bytes()).iter().filter(|row| row.is_ok()).count();
            prop_assert_eq!(good, between.len());
        }
    }
}
