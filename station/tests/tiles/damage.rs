//! Whatever happens to the files: proofs stay right, and the next publisher makes everything anew.

use std::fs;
use std::path::{Path, PathBuf};

use keyline_station::audit::{leaf_hash, verify_inclusion};
use keyline_station::record::Change;
use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::fixture::{Log, open_journal};

/// Two levels of full tiles need 65,536 leaves.
const SIZE: u64 = 66_000;

fn flip(path: &Path, bit: usize) {
    let mut bytes = fs::read(path).unwrap();
    let place = bit % (bytes.len() * 8);
    bytes[place / 8] ^= 1 << (place % 8);
    fs::write(path, bytes).unwrap();
}

fn truncate(path: &Path) {
    let bytes = fs::read(path).unwrap();
    fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
}

/// Proofs through every tile of the log's way from leaf to root.
async fn assert_proves(log: &Log) {
    let reader = log.reader();
    let head = log.head();
    for index in [0, 255, 256, 5_000, 65_535, 65_536, head.size - 1] {
        let index = index.min(head.size - 1);
        let path = reader.inclusion(index, head.size).await.unwrap();
        let hash = leaf_hash(&log.journal.leaves(index, 1).await.unwrap()[0]);
        verify_inclusion(&hash, index, head.size, &head.root, &path).unwrap();
    }
}

async fn assert_heals(log: &Log, what: &str) {
    let found = log.recompute();
    assert!(found.faults > 0, "{what} is seen");
    assert_proves(log).await;
    log.publish_and_check().await;
    log.assert_published();
    assert_proves(log).await;
}

const FILES: [&str; 9] = [
    "tile/0/000",
    "tile/0/255",
    "tile/0/256",
    "tile/0/257.p/208",
    "tile/1/000",
    "tile/1/001.p/1",
    "tile/2/000.p/1",
    "tile/entries/007",
    "tile/entries/257.p/208",
];

/// Each file in a copy of the station of its own, so that the waits fall together.
#[tokio::test]
async fn any_file_that_is_changed_cut_short_or_missing_is_made_anew() {
    let log = Log::published(SIZE).await;
    let mut files = tokio::task::JoinSet::new();
    let log = log.copy_to_all(&mut files, FILES, |log, file| async move {
        let path = log.file(file);
        let bit = usize::from(path.to_string_lossy().bytes().fold(0_u8, u8::wrapping_add));
        flip(&path, bit);
        assert_heals(&log, &format!("a flipped bit in {file}")).await;
        truncate(&path);
        assert_heals(&log, &format!("a truncated {file}")).await;
        fs::write(&path, []).unwrap();
        assert_heals(&log, &format!("an empty {file}")).await;
        fs::remove_file(&path).unwrap();
        assert_heals(&log, &format!("a missing {file}")).await;
    });
    let log = log.await;
    files.join_all().await;
    log.assert_published();
}

#[tokio::test]
async fn all_edges_at_once_are_made_anew() {
    let log = Log::published(SIZE).await;
    for file in FILES {
        flip(&log.file(file), 3);
    }
    assert_heals(&log, "much").await;
    for file in [
        "tile/0/257.p",
        "tile/1/001.p",
        "tile/2/000.p",
        "tile/entries/257.p",
    ] {
        fs::remove_dir_all(log.file(file)).unwrap();
    }
    assert_heals(&log, "no edge").await;
}

#[tokio::test]
async fn partial_tiles_that_were_left_over_go_and_wrong_ones_are_mended() {
    let log = Log::published(300).await;
    log.grow(20).await;
    log.publish().await;
    let left_over = [
        ("tile/0/000.p/12", None),
        ("tile/entries/000.p/255", None),
        ("tile/0/001.p/200", None),
        ("tile/1/000.p/7", None),
        ("tile/0/001.p/nonsense", None),
        ("tile/0/001.p/44", Some(44 * 32)),
        ("tile/0/001.p/1", Some(32)),
    ];
    for (file, _) in left_over {
        fs::create_dir_all(log.file(file).parent().unwrap()).unwrap();
        fs::write(log.file(file), b"left over").unwrap();
    }
    let narrow = fs::read(log.file("tile/entries/001.p/44")).unwrap();
    flip(&log.file("tile/entries/001.p/44"), 99);
    fs::write(log.file("unfinished"), b"half a tile").unwrap();
    log.publish_and_check().await;
    log.assert_published();
    for (file, length) in left_over {
        let found = fs::read(log.file(file)).ok().map(|bytes| bytes.len());
        assert_eq!(found, length, "{file}");
    }
    assert_eq!(fs::read(log.file("tile/entries/001.p/44")).unwrap(), narrow);
}

fn all_files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(all_files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

#[tokio::test]
async fn damage_all_over_the_place() {
    let log = Log::published(3_000).await;
    let mut seeds = tokio::task::JoinSet::new();
    let log = log.copy_to_all(&mut seeds, 0..30_u64, |log, seed| async move {
        let mut random = SmallRng::seed_from_u64(seed);
        for _ in 0..3 {
            let files = all_files(log.directory().path());
            for _ in 0..random.random_range(1..6) {
                let path = &files[random.random_range(0..files.len())];
                match random.random_range(0..4) {
                    _ if !path.exists() => {}
                    0 => fs::remove_file(path).unwrap(),
                    1 => truncate(path),
                    2 => fs::write(path, "x".repeat(random.random_range(0..20_000))).unwrap(),
                    _ if fs::metadata(path).unwrap().len() > 0 => {
                        flip(path, random.random_range(0..1_000_000));
                    }
                    _ => {}
                }
            }
            println!("seed {seed}");
            assert_proves(&log).await;
            log.publish_and_check().await;
            log.assert_published();
            log.grow(random.random_range(0..300)).await;
        }
    });
    let _log = log.await;
    seeds.join_all().await;
}

#[tokio::test]
async fn a_checkpoint_of_another_log_or_none_begins_anew() {
    let log = Log::published(1_000).await;
    let stranger = Log::published(2_000).await;
    let bad = [
        stranger.journal.checkpoint().to_string(),
        String::new(),
        "nonsense\n".to_owned(),
        log.journal.checkpoint().replace("1000", "1001"),
        "\n".repeat(100_000),
    ];
    for note in bad {
        fs::write(log.file("checkpoint"), &note).unwrap();
        log.publish_and_check().await;
        log.assert_published();
        assert_proves(&log).await;
    }
    fs::remove_file(log.file("checkpoint")).unwrap();
    log.publish_and_check().await;
    log.assert_published();
    // A whole directory of another, larger log.
    fs::remove_dir_all(log.directory().path()).unwrap();
    fs::rename(stranger.directory().path(), log.directory().path()).unwrap();
    assert_proves(&log).await;
    log.publish_and_check().await;
    log.assert_published();
    assert!(!log.file("tile/0/006").exists());
    // A signature that was changed, under the right root.
    let note = fs::read_to_string(log.file("checkpoint")).unwrap();
    let changed = format!(
        "{}AAAA{}\n",
        &note[..note.len() - 9],
        &note[note.len() - 5..note.len() - 1]
    );
    assert_ne!(note, changed);
    fs::write(log.file("checkpoint"), changed).unwrap();
    log.publish_and_check().await;
    log.assert_published();
}

#[tokio::test]
async fn a_directory_that_is_removed_while_the_station_runs_comes_back() {
    let log = Log::new().await;
    log.grow(20_000).await;
    let publisher = log.start();
    let mut status = publisher.status();
    for round in 1..=3 {
        let size = log.size();
        let whole = status.wait_for(|status| status.published == size);
        assert_eq!(whole.await.unwrap().failure, None);
        log.assert_published();
        fs::remove_dir_all(log.directory().path()).unwrap();
        log.grow(round).await;
        assert_proves(&log).await;
    }
    let size = log.size();
    status
        .wait_for(|status| status.published == size)
        .await
        .unwrap();
    publisher.close().await;
    log.assert_published();
}

/// What this key signed and the journal does not have is kept for whoever has to find out, and nobody is stopped.
#[tokio::test]
async fn a_journal_that_was_set_back_does_not_overwrite_what_it_signed() {
    let log = Log::published(400).await;
    let saved = log.home.path().join("saved.db");
    let journal = log.home.path().join("journal.db");
    let key = log.key();
    let Log {
        home,
        journal: open,
    } = log;
    open.close().await.unwrap();
    fs::copy(&journal, &saved).unwrap();
    let log = Log {
        journal: open_journal(home.path()).await,
        home,
    };
    log.grow(100).await;
    log.publish().await;
    let published = fs::read_to_string(log.file("checkpoint")).unwrap();
    let Log {
        home,
        journal: open,
    } = log;
    open.close().await.unwrap();
    fs::copy(&saved, &journal).unwrap();
    let log = Log {
        journal: open_journal(home.path()).await,
        home,
    };
    assert_eq!((log.size(), log.key()), (400, key));
    for _ in 0..4 {
        let status = log.start().close().await;
        let (why, next) = status.failure.expect("it is told");
        assert!(why.contains("checkpoint of 500 leaves"), "{why}");
        assert!(next.contains("Keep both"), "{next}");
        assert_eq!(
            fs::read_to_string(log.file("checkpoint")).unwrap(),
            published
        );
        // The line goes on, and grows past the size that was published.
        log.journal.commit(vec![Change::Stopped; 50]).await.unwrap();
    }
    assert_proves(&log).await;
}

#[tokio::test]
async fn entries_that_were_changed_are_never_published() {
    use sqlx::{ConnectOptions as _, Connection as _};
    let log = Log::published(300).await;
    log.grow(100).await;
    let path = log.home.path().join("journal.db");
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path);
    let mut connection = options.connect().await.unwrap();
    sqlx::raw_sql("UPDATE entry SET leaf = zeroblob(20) WHERE leaf_index = 350")
        .execute(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
    let published = fs::read_to_string(log.file("checkpoint")).unwrap();
    let status = log.start().close().await;
    let (why, _) = status.failure.expect("it is told");
    assert!(why.contains("do not lead to the signed root"), "{why}");
    assert_eq!(
        fs::read_to_string(log.file("checkpoint")).unwrap(),
        published
    );
    assert_eq!(log.recompute().faults, 0, "what was published stays right");
    let refused = log.reader().inclusion(5, 400).await.unwrap_err();
    assert!(refused.to_string().contains("do not lead"), "{refused}");
}
