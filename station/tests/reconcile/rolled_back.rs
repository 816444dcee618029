//! Logs that were cut short, with and without the tables that follow from them.

use keyline_station::audit::{Checkpoint, Frontier, leaf_hash};
use keyline_station::reconcile::{Code, KnownCheckpoint};
use sqlx::{ConnectOptions as _, Connection as _};

use crate::common::unit;
use crate::forged::notes;
use crate::story::{Station, begun, closed, restarted, show, told};
use crate::verify::{Asked, verify};

/// Cuts the log at an old checkpoint, with the tree head of that time.
async fn truncate(station: &Station, size: i64) {
    let mut connection = sqlx::sqlite::SqliteConnectOptions::new()
        .filename(station.path("journal.db"))
        .foreign_keys(false)
        .connect()
        .await
        .unwrap();
    let leaves: Vec<Vec<u8>> =
        sqlx::query_scalar("SELECT leaf FROM entry WHERE leaf_index < ?1 ORDER BY leaf_index")
            .bind(size)
            .fetch_all(&mut connection)
            .await
            .unwrap();
    let mut frontier = Frontier::default();
    for leaf in leaves {
        frontier.append(leaf_hash(&leaf));
    }
    for sql in [
        "DELETE FROM entry WHERE leaf_index >= ?1",
        "DELETE FROM checkpoint WHERE tree_size > ?1",
        "UPDATE tree_head SET tree_size = ?1, note = (SELECT note FROM checkpoint WHERE tree_size = ?1)",
    ] {
        sqlx::query(sql)
            .bind(size)
            .execute(&mut connection)
            .await
            .unwrap();
    }
    sqlx::query("UPDATE tree_head SET frontier = ?1")
        .bind(frontier.to_bytes())
        .execute(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_cut_at_an_old_checkpoint_is_missed_by_tables_witnesses_and_registry() {
    let station = tokio::task::spawn_blocking(told).await.unwrap();
    let all = notes(&station).await;
    let (size, _) = all[all.len() / 2];
    truncate(&station, size).await;
    let found = verify(&station).await;
    assert!(found.all(Code::RootDiffers).is_empty(), "whole in itself");
    assert!(
        found.all(Code::TreeHeadDiffers).is_empty(),
        "{:#?}",
        found.violations()
    );
    found.expect(Code::LogRolledBack, "leaves were shown there");
    found.expect(Code::RowAdded, "unit ");
    found.expect(Code::RowChanged, "run ");
    found.expect(Code::ClaimNotInLog, "the log says nothing of this key");

    // With nothing but a checkpoint that somebody has kept.
    let mut asked = Asked::everything(&station);
    asked.with_registry = false;
    let (last, note) = all.last().unwrap();
    asked.known.push(KnownCheckpoint {
        source: "kept.note".to_owned(),
        note: note.clone(),
        cosigned: false,
    });
    let found = asked.verify(&station).await;
    let rolled_back = found.expect(
        Code::LogRolledBack,
        &format!("{last} leaves were shown there"),
    );
    assert_eq!(rolled_back.place, "kept.note");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_restored_from_an_old_copy_is_found_by_what_the_registry_has_seen() {
    let (old, station) = tokio::task::spawn_blocking(|| {
        let bench = begun();
        bench.run(&unit(keyline_protocol::identity::Platform::Nrf51822, 1));
        let bench = restarted(bench);
        let old = tempfile::tempdir().unwrap();
        // A hot copy, as a backup makes one.
        bench.runtime.block_on(async {
            let mut connection = sqlx::sqlite::SqliteConnectOptions::new()
                .filename(bench.home.path().join("journal.db"))
                .connect()
                .await
                .unwrap();
            let copy = old.path().join("journal.db").display().to_string();
            sqlx::query("VACUUM INTO ?1")
                .bind(copy)
                .execute(&mut connection)
                .await
                .unwrap();
        });
        for number in 2..5 {
            bench.run(&unit(
                keyline_protocol::identity::Platform::Nrf51822,
                number,
            ));
        }
        let note = bench.journal.checkpoint();
        bench
            .runtime
            .block_on(show(&bench.registry, &note, bench.station));
        (old, closed(bench))
    })
    .await
    .unwrap();
    let found = verify(&station).await;
    assert!(found.violations().is_empty(), "{:#?}", found.violations());
    for file in ["journal.db-wal", "journal.db-shm"] {
        let _ = std::fs::remove_file(station.path(file));
    }
    std::fs::copy(old.path().join("journal.db"), station.path("journal.db")).unwrap();
    let found = verify(&station).await;
    found.expect(Code::LogRolledBack, "are gone");
    assert_eq!(
        found.all(Code::ClaimNotInLog).len(),
        3,
        "{:#?}",
        found.violations()
    );
    assert_eq!(found.all(Code::PinNotInLog).len(), 3);
    assert!(
        found.all(Code::RowAdded).is_empty(),
        "the old copy is whole in itself"
    );

    // It goes on from there: what the registry has seen is another future.
    let registry = station.registry().await;
    let journal = keyline_station::journal::Journal::open(
        &station.path("journal.db"),
        station.signer(),
        crate::story::ORIGIN,
    )
    .await
    .unwrap();
    for _ in 0..200 {
        journal
            .commit(vec![keyline_station::record::Change::Stopped])
            .await
            .unwrap();
    }
    let note = journal.checkpoint();
    journal.close().await.unwrap();
    let text = keyline_station::audit::SignedNote::parse(&note)
        .unwrap()
        .text;
    assert!(Checkpoint::parse(&text).unwrap().size > 200);
    registry.close().await;
    let found = verify(&station).await;
    found.expect(Code::LogForked, "its past is another one");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_stations_with_one_origin_are_told_apart() {
    let (first, second) = tokio::task::spawn_blocking(|| {
        let build = |number| {
            let bench = begun();
            bench.run(&unit(
                keyline_protocol::identity::Platform::Nrf51822,
                number,
            ));
            closed(bench)
        };
        (build(1), build(2))
    })
    .await
    .unwrap();
    let registry = first.registry().await;
    first.show_checkpoint(&registry).await;
    let journal = keyline_station::journal::Journal::open(
        &second.path("journal.db"),
        second.signer(),
        crate::story::ORIGIN,
    )
    .await
    .unwrap();
    let note = journal.checkpoint();
    journal.close().await.unwrap();
    let text = keyline_station::audit::SignedNote::parse(&note)
        .unwrap()
        .text;
    let checkpoint = Checkpoint::parse(&text).unwrap();
    let refused = registry
        .enter_checkpoint(keyline_station::registry::LogCheckpoint {
            origin: checkpoint.origin,
            station: second.id,
            size: checkpoint.size,
            root: checkpoint.root,
            note: note.to_string(),
        })
        .await;
    assert!(refused.is_err());
    registry.close().await;
    // The second one's registry is the first one's.
    std::fs::copy(first.path("registry.db"), second.path("registry.db")).unwrap();
    let found = verify(&second).await;
    found.expect(
        Code::OriginOfAnother,
        &format!("that of station {}", first.id),
    );
    let found = verify(&first).await;
    assert!(found.violations().is_empty(), "{:#?}", found.violations());
    found.expect(Code::LogAlarm, "origin-of-another");
}
