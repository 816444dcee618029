//! No P-256 key comes twice: neither from the station's generator nor from the units' own.

use std::collections::HashMap;

use keyline_protocol::identity::{Algorithm, fingerprint};
use keyline_station::key_pool::{Library, generate};
use keyline_station::secret::Arena;

use crate::number_from;

/// The first pair of equal keys, by their numbers.
fn repeated(keys: impl IntoIterator<Item = Vec<u8>>) -> Option<(usize, usize)> {
    let mut seen = HashMap::new();
    keys.into_iter().enumerate().find_map(|(number, key)| {
        seen.insert(fingerprint(&key), number)
            .map(|first| (first, number))
    })
}

/// `KEYLINE_KEYS` asks for more keys; `make soak` for a million.
#[test]
fn the_stations_keys_are_all_different() {
    let count = number_from("KEYLINE_KEYS", 2_000);
    let arena = Arena::new(32, 1).unwrap();
    for library in Library::ALL {
        // The library that the station does not use is the slower one by far.
        let count = if library == Library::fastest(Algorithm::P256) {
            count
        } else {
            count / 20
        };
        let keys = (0..count).map(|_| {
            let key = generate(Algorithm::P256, library, &arena).unwrap();
            key.spki().to_vec()
        });
        assert_eq!(repeated(keys), None, "{library:?}");
    }
}

#[test]
fn a_planted_duplicate_is_found() {
    let arena = Arena::new(32, 1).unwrap();
    let mut keys: Vec<_> = (0..50)
        .map(|_| {
            let key = generate(Algorithm::P256, Library::AwsLc, &arena).unwrap();
            key.spki().to_vec()
        })
        .collect();
    assert_eq!(repeated(keys.clone()), None);
    keys[41] = keys[7].clone();
    assert_eq!(repeated(keys), Some((7, 41)));
}
