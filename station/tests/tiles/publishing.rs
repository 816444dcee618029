//! What is published, to a reader that nobody here wrote.

use keyline_station::tiles::TilesError;

use crate::fixture::{Foreign, Log};

#[tokio::test]
async fn a_foreign_reader_takes_every_size_up_to_600() {
    let log = Log::new().await;
    log.publish().await;
    log.assert_published();
    for size in 1..=600 {
        log.grow(1).await;
        log.publish().await;
        let foreign = Foreign::open(log.directory().path());
        assert_eq!(foreign.size, size);
        foreign.check(&log.key());
    }
    log.assert_published();
    assert!(!log.file("tile/0/000.p").exists());
    assert!(log.file("tile/0/002.p/1").exists(), "for older checkpoints");
}

#[tokio::test]
async fn a_tree_of_three_levels_is_published_by_one_publisher_while_it_grows() {
    let log = Log::new().await;
    let publisher = log.start();
    for _ in 0..7 {
        log.grow(10_000).await;
    }
    let mut status = publisher.status();
    let whole = status.wait_for(|status| status.published == 70_000);
    assert_eq!(whole.await.unwrap().failure, None);
    publisher.close().await;
    log.assert_published();
    // The specification's example.
    let count = |path| std::fs::read_dir(log.file(path)).unwrap().count();
    assert_eq!(count("tile/0"), 273 + 1);
    assert_eq!(count("tile/entries"), 273 + 1);
    for file in [
        "tile/0/273.p/112",
        "tile/entries/273.p/112",
        "tile/1/000",
        "tile/1/001.p/17",
        "tile/2/000.p/1",
    ] {
        assert!(log.file(file).exists(), "{file}");
    }
    assert_eq!(log.recompute().checkpoint.size, 70_000);
}

#[tokio::test]
async fn any_step_of_growth_is_published() {
    for steps in [
        &[255, 1, 1][..],
        &[256, 256],
        &[257, 600],
        &[1, 65_535, 1],
        &[65_536, 300, 256],
    ] {
        let log = Log::new().await;
        for step in steps {
            log.grow(*step).await;
            log.publish().await;
            log.assert_published();
        }
    }
}

#[tokio::test]
async fn what_could_not_be_published_in_one_round_is_by_the_next_publishers() {
    let log = Log::new().await;
    log.grow(40_000).await;
    let first = log.start().close().await;
    assert!((1..40_000).contains(&first.published), "{first:?}");
    // What is there of it verifies.
    let foreign = Foreign::open(log.directory().path());
    assert_eq!(foreign.size, first.published);
    foreign.check(&log.key());
    log.publish().await;
    log.assert_published();
}

#[tokio::test]
async fn a_copy_without_a_journal_gives_proofs_or_says_what_is_missing() {
    let log = Log::published(1_000).await;
    let copy = keyline_station::tiles::LogReader::published(log.directory(), vec![log.key()]);
    assert_eq!(copy.head().await.unwrap(), log.head());
    let proof = copy.inclusion(300, 1_000).await.unwrap();
    assert_eq!(proof, log.reader().inclusion(300, 1_000).await.unwrap());
    std::fs::remove_file(log.file("tile/0/002")).unwrap();
    let refused = copy.inclusion(600, 1_000).await.unwrap_err();
    assert!(matches!(refused, TilesError::NoTile { .. }), "{refused}");
    assert!(refused.to_string().contains("tile/0/002"), "{refused}");
}
