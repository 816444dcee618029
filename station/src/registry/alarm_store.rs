//! Writing alarms. On SQLite the two rows are written as they are; on PostgreSQL by a function that looks the other side up by itself,
//! so that a station can neither make it up nor see more of it.

use sqlx::AnyConnection;

use super::address::Engine;
use super::known::{AlarmRow, Writes};
use super::model::AlarmSide;
use super::rows::{Kind, Table, Value};
use super::store::StoreError;
use crate::record::RunId;

static ALARMS: Table = Table::new(
    "alarm",
    &[
        ("id", Kind::Blob),
        ("side", Kind::Text),
        ("kind", Kind::Text),
        ("device_id", Kind::Blob),
        ("fingerprint", Kind::Blob),
        ("other_device_id", Kind::Blob),
        ("other_fingerprint", Kind::Blob),
        ("station", Kind::Blob),
        ("other_station", Kind::Blob),
        ("run", Kind::Blob),
        ("evidence", Kind::Text),
        ("at_ms", Kind::Integer),
    ],
);

/// Writes the alarms of a batch, each on both sides.
pub(super) async fn write(
    engine: Engine,
    connection: &mut AnyConnection,
    writes: &Writes<'_>,
    now: i64,
) -> Result<(), StoreError> {
    let mut rows = Vec::new();
    for alarm in &writes.alarms {
        let evidence = serde_json::to_string(alarm.claim).map_err(|error| {
            StoreError::Damaged("a claim", "one that JSON can hold", error.to_string())
        })?;
        match engine {
            Engine::Sqlite => rows.extend(both_sides(alarm, &evidence, now)),
            Engine::Postgres => raise(connection, alarm, evidence, now).await?,
        }
    }
    ALARMS.insert(engine, connection, rows).await?;
    Ok(())
}

fn both_sides(alarm: &AlarmRow<'_>, evidence: &str, now: i64) -> Vec<Vec<Value>> {
    let claim = alarm.claim;
    let row = |side: AlarmSide, station: Value, other_station: Value| {
        vec![
            new_id(),
            side.name().into(),
            alarm.kind.name().into(),
            claim.device_id.0.as_bytes()[..].into(),
            claim.fingerprint()[..].into(),
            alarm.holder_device.0.as_bytes()[..].into(),
            alarm.holder_key[..].into(),
            station,
            other_station,
            claim.run.as_bytes()[..].into(),
            evidence.into(),
            now.into(),
        ]
    };
    let refused: Value = claim.station.as_bytes()[..].into();
    let holder: Option<Value> = alarm
        .holder_station
        .map(|station| station.as_bytes()[..].into());
    let mut rows = vec![row(
        AlarmSide::Refused,
        refused.clone(),
        holder.clone().unwrap_or(Value::Null),
    )];
    rows.extend(holder.map(|holder| row(AlarmSide::Holder, holder, refused)));
    rows
}

async fn raise(
    connection: &mut AnyConnection,
    alarm: &AlarmRow<'_>,
    evidence: String,
    now: i64,
) -> Result<(), StoreError> {
    let claim = alarm.claim;
    let _: i64 = sqlx::query_scalar("SELECT raise_alarm($1, $2, $3, $4, $5, $6, $7, $8, $9)")
        .bind(RunId::generate().as_bytes().to_vec())
        .bind(RunId::generate().as_bytes().to_vec())
        .bind(alarm.kind.name())
        .bind(claim.device_id.0.as_bytes().to_vec())
        .bind(claim.fingerprint().to_vec())
        .bind(claim.station.as_bytes().to_vec())
        .bind(claim.run.as_bytes().to_vec())
        .bind(evidence)
        .bind(now)
        .fetch_one(connection)
        .await?;
    Ok(())
}

/// Ids grow with time, so that the latest alarms are the last ones.
fn new_id() -> Value {
    RunId::generate().as_bytes()[..].into()
}
