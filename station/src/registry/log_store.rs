//! What a batch reads and writes of the logs. Everything here runs inside the batch's transaction.

use std::collections::BTreeSet;

use sqlx::AnyConnection;

use super::bulk::Bulk;
use super::known::{Known, KnownLog, Writes};
use super::request::{Act, Request};
use super::store::{StoreError, hash, signed, unsigned};
use crate::record::{RunId, StationId};

/// Sixteen bytes.
pub(super) fn station_id(bytes: &[u8]) -> Result<StationId, StoreError> {
    let bytes = bytes.try_into().map_err(|_| {
        StoreError::Damaged("a station id", "16 bytes", format!("{} bytes", bytes.len()))
    })?;
    Ok(StationId::from_bytes(bytes))
}

/// Reads what is known of the logs that the requests name. Few do, so each is asked for by itself.
pub(super) async fn read(
    connection: &mut AnyConnection,
    known: &mut Known,
    requests: &[Request],
) -> Result<(), StoreError> {
    let shown = requests.iter().filter_map(|request| match &request.act {
        Act::Checkpoint(shown) => Some((shown.origin.as_str(), shown.size)),
        _ => None,
    });
    for (origin, size) in shown.collect::<BTreeSet<_>>() {
        if !known.logs.contains_key(origin) {
            read_log(connection, known, origin).await?;
        }
        let root: Option<Vec<u8>> = sqlx::query_scalar(
            "SELECT root FROM log_checkpoint WHERE origin = $1 AND tree_size = $2",
        )
        .bind(origin)
        .bind(signed(size))
        .fetch_optional(&mut *connection)
        .await?;
        if let Some(root) = root {
            let at = (origin.to_owned(), size);
            known.roots.insert(at, hash(&root)?);
        }
    }
    Ok(())
}

async fn read_log(
    connection: &mut AnyConnection,
    known: &mut Known,
    origin: &str,
) -> Result<(), StoreError> {
    let station: Option<Vec<u8>> = sqlx::query_scalar("SELECT station FROM log WHERE origin = $1")
        .bind(origin)
        .fetch_optional(&mut *connection)
        .await?;
    let Some(station) = station else {
        return Ok(());
    };
    let latest: Option<(i64, Vec<u8>)> = sqlx::query_as(
        "SELECT tree_size, root FROM log_checkpoint WHERE origin = $1 ORDER BY tree_size DESC LIMIT 1",
    )
    .bind(origin)
    .fetch_optional(connection)
    .await?;
    let (size, root) = match latest {
        Some((size, root)) => (unsigned(size)?, hash(&root)?),
        None => (0, crate::audit::empty_root()),
    };
    let log = KnownLog {
        station: station_id(&station)?,
        size,
        root,
    };
    known.logs.insert(origin.to_owned(), log);
    Ok(())
}

static LOGS: Bulk = Bulk::new(
    "INSERT INTO log (origin, station, first_shown_ms) VALUES",
    3,
    "",
);

static CHECKPOINTS: Bulk = Bulk::new(
    "INSERT INTO log_checkpoint (origin, tree_size, previous_size, root, note, at_ms) VALUES",
    6,
    "",
);

static ALARMS: Bulk = Bulk::new(
    "INSERT INTO log_alarm (id, kind, origin, station, known_size, shown_size, note, at_ms) VALUES",
    8,
    "",
);

/// Writes what was decided of the logs.
pub(super) async fn write(
    connection: &mut AnyConnection,
    writes: &Writes<'_>,
    now: i64,
) -> Result<(), StoreError> {
    LOGS.run(connection, writes.logs.iter(), |query, log| {
        query
            .bind(log.origin.clone())
            .bind(log.station.as_bytes().to_vec())
            .bind(now)
    })
    .await?;
    CHECKPOINTS
        .run(connection, writes.checkpoints.iter(), |query, row| {
            query
                .bind(row.checkpoint.origin.clone())
                .bind(signed(row.checkpoint.size))
                .bind(signed(row.previous_size))
                .bind(row.checkpoint.root.to_vec())
                .bind(row.checkpoint.note.clone())
                .bind(now)
        })
        .await?;
    ALARMS
        .run(connection, writes.log_alarms.iter(), |query, row| {
            query
                .bind(RunId::generate().as_bytes().to_vec())
                .bind(row.kind.name())
                .bind(row.shown.origin.clone())
                .bind(row.shown.station.as_bytes().to_vec())
                .bind(signed(row.known_size))
                .bind(signed(row.shown.size))
                .bind(row.shown.note.clone())
                .bind(now)
        })
        .await?;
    Ok(())
}
