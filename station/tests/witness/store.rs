//! The store as a library: clocks, damage, private files.

use std::os::unix::fs::PermissionsExt as _;

use keyline_station::witness::{AddCheckpoint, Refusal, WitnessStore, WitnessStoreError};

use crate::log::{Log, LogKey};

/// The first second of 2026 in milliseconds since 1970.
const NEW_YEAR_MS: u64 = 1_767_225_600_000;

fn request(log: &Log, old: u64, new: u64) -> AddCheckpoint {
    AddCheckpoint {
        old_size: old,
        proof: log.proof(old, new),
        note: log.note(new),
    }
}

fn store_of(log: &Log) -> (tempfile::TempDir, WitnessStore) {
    let directory = tempfile::tempdir().unwrap();
    let mut store = WitnessStore::init(&directory.path().join("store"), "w").unwrap();
    assert!(store.trust(&log.key.key).unwrap());
    (directory, store)
}

#[test]
fn a_clock_before_2026_cosigns_nothing_and_moves_nothing() {
    let log = Log::new("log.example/1", 9);
    let (_directory, store) = store_of(&log);
    let first = request(&log, 0, 5);
    for now_ms in [0, 1, NEW_YEAR_MS - 1] {
        let refused = store.add_checkpoint(&first, now_ms);
        assert!(matches!(refused, Err(Refusal::Clock { .. })), "{refused:?}");
    }
    let line = store.add_checkpoint(&first, NEW_YEAR_MS).unwrap();
    assert_eq!(line.signature[..8], (NEW_YEAR_MS / 1_000).to_be_bytes());
    // What is wrong with a tree is said whatever the clock says.
    let stale = store.add_checkpoint(&first, 0);
    assert!(matches!(stale, Err(Refusal::Conflict { size: 5 })));
    let refused = store.add_checkpoint(&request(&log, 5, 9), 0);
    assert!(matches!(refused, Err(Refusal::Clock { .. })));
    let again = store.add_checkpoint(&first, NEW_YEAR_MS);
    assert!(matches!(again, Err(Refusal::Conflict { size: 5 })));
}

#[test]
fn a_store_that_was_changed_is_not_served_from() {
    let log = Log::new("log.example/1", 9);
    let (directory, store) = store_of(&log);
    store
        .add_checkpoint(&request(&log, 0, 9), NEW_YEAR_MS)
        .unwrap();
    drop(store);
    let path = directory.path().join("store");
    let file = std::fs::read_dir(path.join("logs")).unwrap().next();
    let file = file.unwrap().unwrap().path();
    let good = std::fs::read_to_string(&file).unwrap();
    let other_key = LogKey::new("log.example/1").key.to_string();
    let own_key = log.key.key.to_string();
    for bad in [
        String::new(),
        good.replace("\n9\n", "\n8\n"),
        good.replace("origin = \"log.example/1\"", "origin = \"log.example/2\""),
        good.replace(&own_key, &other_key),
        good.replace(&own_key, "no key"),
        good.replace(&format!("[\"{own_key}\"]"), "[]"),
        good.replace("keys =", "key ="),
        good[..good.len() / 2].to_owned(),
        good.replace('\u{2014}', "-"),
        format!("{good}more = 1\n"),
        "x".repeat(600_000),
    ] {
        assert_ne!(bad, good);
        std::fs::write(&file, &bad).unwrap();
        let refused = WitnessStore::open(&path);
        assert!(
            matches!(
                refused,
                Err(WitnessStoreError::Damaged { .. } | WitnessStoreError::DamagedCheckpoint { .. })
            ),
            "{bad}"
        );
        assert!(WitnessStore::view(&path).is_err());
    }
    // Every flipped bit of it is found, or it is still the same.
    let bytes = good.as_bytes();
    for position in (0..bytes.len()).step_by(3) {
        let mut bad = bytes.to_vec();
        bad[position] ^= 1;
        std::fs::write(&file, &bad).unwrap();
        if let Ok(view) = WitnessStore::view(&path) {
            let latest = view.logs[0].latest.unwrap();
            assert_eq!((latest.0, latest.1), (9, log.root(9)), "byte {position}");
        }
    }
    std::fs::write(&file, &good).unwrap();
    let store = WitnessStore::open(&path).unwrap();
    // A file that is gone while it is served is an error, not a fresh start.
    std::fs::remove_file(&file).unwrap();
    let refused = store.add_checkpoint(&request(&log, 0, 3), NEW_YEAR_MS);
    assert!(matches!(refused, Err(Refusal::Store(_))), "{refused:?}");
    std::fs::write(&file, &good).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let refused = store.add_checkpoint(&request(&log, 0, 3), NEW_YEAR_MS);
    assert!(matches!(refused, Err(Refusal::Conflict { size: 9 })));
}

#[test]
fn a_store_is_private_and_made_once() {
    let log = Log::new("log.example/1", 9);
    let (directory, store) = store_of(&log);
    let path = directory.path().join("store");
    let key = store.key().clone();
    store
        .add_checkpoint(&request(&log, 0, 9), NEW_YEAR_MS)
        .unwrap();
    drop(store);
    let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(&path), 0o700);
    for file in ["config.toml", "key.pem", "keyline.lock"] {
        assert_eq!(mode(&path.join(file)), 0o600, "{file}");
    }
    assert_eq!(mode(&path.join("logs")), 0o700);
    let file = std::fs::read_dir(path.join("logs")).unwrap().next();
    assert_eq!(mode(&file.unwrap().unwrap().path()), 0o600);
    let again = WitnessStore::init(&path, "w");
    assert!(matches!(again, Err(WitnessStoreError::Exists { .. })));
    let open_to_others = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(&path, open_to_others).unwrap();
    assert!(WitnessStore::open(&path).is_err());
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!(WitnessStore::open(&path).unwrap().key(), &key);
    // An `init` that was cut short goes on with the key that it made.
    std::fs::remove_file(path.join("config.toml")).unwrap();
    let opened = WitnessStore::open(&path);
    assert!(matches!(opened, Err(WitnessStoreError::Missing { .. })));
    assert_eq!(WitnessStore::init(&path, "w").unwrap().key(), &key);
    let other = directory.path().join("other");
    std::fs::create_dir(&other).unwrap();
    std::fs::set_permissions(&other, std::fs::Permissions::from_mode(0o700)).unwrap();
    std::fs::write(other.join("mine.txt"), "").unwrap();
    let foreign = WitnessStore::init(&other, "w");
    assert!(matches!(foreign, Err(WitnessStoreError::NotEmpty { .. })));
    for bad in ["", "a b", "a+b", "a\u{85}b", &"x".repeat(129)] {
        let place = directory.path().join("third");
        let refused = WitnessStore::init(&place, bad);
        assert!(matches!(refused, Err(WitnessStoreError::Key(_))), "{bad:?}");
        assert!(!place.exists());
    }
}

#[test]
fn keys_of_a_log_are_limited() {
    let log = Log::new("log.example/1", 9);
    let (_directory, mut store) = store_of(&log);
    assert!(!store.trust(&log.key.key).unwrap(), "it is trusted already");
    for _ in 1..16 {
        assert!(store.trust(&LogKey::new("log.example/1").key).unwrap());
    }
    let refused = store.trust(&LogKey::new("log.example/1").key);
    assert!(matches!(
        refused,
        Err(WitnessStoreError::TooMany { limit: 16, .. })
    ));
}
