//! What a batch reads and writes of the logs. Everything here runs inside the batch's transaction.

use std::collections::BTreeSet;

use sqlx::AnyConnection;

use super::address::Engine;
use super::known::{CheckpointRow, Known, KnownLog, LogAlarmRow, Writes};
use super::log::LogCheckpoint;
use super::request::{Act, Request};
use super::rows::{Kind, Table, Value};
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
    engine: Engine,
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
            read_log(engine, connection, known, origin).await?;
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
    engine: Engine,
    connection: &mut AnyConnection,
    known: &mut Known,
    origin: &str,
) -> Result<(), StoreError> {
    // On PostgreSQL a station sees the logs of others only by naming one.
    let sql = match engine {
        Engine::Sqlite => "SELECT station FROM log WHERE origin = $1",
        Engine::Postgres => "SELECT station FROM log_by_origin($1)",
    };
    let station: Option<Vec<u8>> = sqlx::query_scalar(sql)
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

static LOGS: Table = Table::new(
    "log",
    &[
        ("origin", Kind::Text),
        ("station", Kind::Blob),
        ("first_shown_ms", Kind::Integer),
    ],
);

static CHECKPOINTS: Table = Table::new(
    "log_checkpoint",
    &[
        ("origin", Kind::Text),
        ("tree_size", Kind::Integer),
        ("previous_size", Kind::Integer),
        ("root", Kind::Blob),
        ("note", Kind::Text),
        ("at_ms", Kind::Integer),
    ],
);

static ALARMS: Table = Table::new(
    "log_alarm",
    &[
        ("id", Kind::Blob),
        ("kind", Kind::Text),
        ("origin", Kind::Text),
        ("station", Kind::Blob),
        ("known_size", Kind::Integer),
        ("shown_size", Kind::Integer),
        ("note", Kind::Text),
        ("at_ms", Kind::Integer),
    ],
);

/// Writes what was decided of the logs.
pub(super) async fn write(
    engine: Engine,
    connection: &mut AnyConnection,
    writes: &Writes<'_>,
    now: i64,
) -> Result<(), StoreError> {
    let log = |log: &&LogCheckpoint| -> Vec<Value> {
        vec![
            log.origin.as_str().into(),
            log.station.as_bytes()[..].into(),
            now.into(),
        ]
    };
    let logs = writes.logs.iter().map(log).collect();
    LOGS.insert(engine, connection, logs).await?;
    let checkpoint = |row: &CheckpointRow<'_>| -> Vec<Value> {
        vec![
            row.checkpoint.origin.as_str().into(),
            signed(row.checkpoint.size).into(),
            signed(row.previous_size).into(),
            row.checkpoint.root[..].into(),
            row.checkpoint.note.as_str().into(),
            now.into(),
        ]
    };
    let checkpoints = writes.checkpoints.iter().map(checkpoint).collect();
    CHECKPOINTS.insert(engine, connection, checkpoints).await?;
    let alarm = |row: &LogAlarmRow<'_>| -> Vec<Value> {
        vec![
            RunId::generate().as_bytes()[..].into(),
            row.kind.name().into(),
            row.shown.origin.as_str().into(),
            row.shown.station.as_bytes()[..].into(),
            signed(row.known_size).into(),
            signed(row.shown.size).into(),
            row.shown.note.as_str().into(),
            now.into(),
        ]
    };
    let alarms = writes.log_alarms.iter().map(alarm).collect();
    ALARMS.insert(engine, connection, alarms).await?;
    Ok(())
}
