//! Reading and writing the uses of serials, inside of a batch's transaction.

use sqlx::AnyConnection;
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, FromRow, Row as _};

use super::address::Engine;
use super::known::{Known, Writes};
use super::model::SerialUse;
use super::question::{id, undecodable};
use super::request::Names;
use super::rows::{Kind, LIST_MAX, Lookup, Table, Value};
use super::serials::{KnownUse, UseRow};
use super::store::{self, StoreError};
use crate::record::{Label, StationId};

/// What a use is read from.
pub(super) const USE_COLUMNS: &str =
    "product, serial, turn, device_id, generation, station, used_at_ms, released_at_ms";

pub(super) static USES_BY_DEVICE: Lookup = Lookup {
    columns: USE_COLUMNS,
    table: "serial_state",
    column: "device_id",
    function: "serials_by_device",
};

static USES: Table = Table::new(
    "serial_use",
    &[
        ("product", Kind::Text),
        ("serial", Kind::Text),
        ("turn", Kind::Integer),
        ("device_id", Kind::Blob),
        ("generation", Kind::Integer),
        ("previous_turn", Kind::Integer),
        ("previous_device_id", Kind::Blob),
        ("previous_generation", Kind::Integer),
        ("nonce", Kind::Blob),
        ("station", Kind::Blob),
        ("used_at_ms", Kind::Integer),
    ],
);

impl FromRow<'_, AnyRow> for SerialUse {
    fn from_row(row: &AnyRow) -> Result<Self, sqlx::Error> {
        let device: Vec<u8> = row.try_get("device_id")?;
        let station: Option<Vec<u8>> = row.try_get("station")?;
        let number = |column| store::unsigned(row.try_get(column)?).map_err(undecodable);
        let released: Option<i64> = row.try_get("released_at_ms")?;
        Ok(Self {
            label: Label {
                product: row.try_get("product")?,
                serial: row.try_get("serial")?,
            },
            turn: number("turn")?,
            device_id: store::device_id(&device).map_err(undecodable)?,
            generation: number("generation")?,
            station: station
                .map(|bytes| id(&bytes).map(StationId::from_bytes))
                .transpose()?,
            used_at_ms: number("used_at_ms")?,
            released_at_ms: released
                .map(store::unsigned)
                .transpose()
                .map_err(undecodable)?,
        })
    }
}

/// Reads the uses of the labels and devices that a batch names.
pub(super) async fn read(
    engine: Engine,
    connection: &mut AnyConnection,
    known: &mut Known,
    names: &Names,
) -> Result<(), StoreError> {
    let sql = match engine {
        Engine::Sqlite => format!(
            "SELECT {USE_COLUMNS} FROM serial_state WHERE (product, serial) IN (SELECT value ->> 0, value ->> 1 FROM json_each(?))"
        ),
        Engine::Postgres => format!("SELECT {USE_COLUMNS} FROM serials_by_name($1)"),
    };
    let mut labels: Vec<_> = names.labels.iter().collect();
    labels.sort_unstable();
    labels.dedup();
    let mut found: Vec<SerialUse> = Vec::new();
    for some in labels.chunks(LIST_MAX) {
        let pairs: Vec<_> = some
            .iter()
            .map(|label| [&label.product, &label.serial])
            .collect();
        let pairs = serde_json::to_string(&pairs).map_err(|error| {
            StoreError::Damaged("serials", "some that JSON can hold", error.to_string())
        })?;
        let question = sqlx::query_as(AssertSqlSafe(sql.clone())).bind(pairs);
        found.extend(question.fetch_all(&mut *connection).await?);
    }
    let of_devices: Vec<SerialUse> = USES_BY_DEVICE
        .fetch(engine, connection, &names.labelled)
        .await?;
    // What a device was called once says nothing: only of named serials every use is here.
    found.extend(of_devices.into_iter().filter(SerialUse::is_living));
    for one in found {
        let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let known_use = KnownUse {
            turn: number(one.turn),
            device_id: one.device_id,
            generation: number(one.generation),
            since_ms: one.used_at_ms,
            released: !one.is_living(),
        };
        known.serials.add(one.label, known_use);
    }
    Ok(())
}

/// Writes the uses of a batch, after the pins under which they live.
pub(super) async fn write(
    engine: Engine,
    connection: &mut AnyConnection,
    writes: &Writes<'_>,
    now: i64,
) -> Result<(), StoreError> {
    let rows = writes.uses.iter().map(|row| use_row(row, now));
    USES.insert(engine, connection, rows.collect()).await?;
    Ok(())
}

fn use_row(row: &UseRow<'_>, now: i64) -> Vec<Value> {
    let (previous_device, previous_generation) = row.previous.unzip();
    vec![
        row.label.product.as_str().into(),
        row.label.serial.as_str().into(),
        row.turn.into(),
        row.device_id.0.as_bytes()[..].into(),
        row.generation.into(),
        Some(row.turn - 1).filter(|before| *before > 0).into(),
        previous_device
            .as_ref()
            .map(|device| &device.0.as_bytes()[..])
            .into(),
        previous_generation.into(),
        row.proof.map(|proof| &proof.nonce[..]).into(),
        row.proof.map(|proof| &proof.station.as_bytes()[..]).into(),
        now.into(),
    ]
}
