//! What a batch must know before its changes can be judged: the units, serials and runs that they name and that are not in memory.

use std::collections::HashMap;

use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, FromRow, SqliteConnection};

use super::error::database;
use super::prepared::Prepared;
use super::question::{UnitColumns, unit_of};
use super::state::{Facts, Layer, UnitRow};
use super::{JournalError, row};
use crate::record::{Change, DeviceIdText, OrderId, ProductId, RunId};

/// The order, product and serial of a run that is named in a batch.
struct RunNames {
    order: OrderId,
    product: ProductId,
    serial: Option<String>,
    bound: bool,
}

/// Reads what the changes need. Units go into `state`, the rest is returned.
pub(super) async fn prefetch<'a>(
    connection: &mut SqliteConnection,
    state: &mut Layer,
    changes: impl Iterator<Item = &'a Prepared> + Clone,
) -> Result<Facts, JournalError> {
    let mut facts = Facts::default();
    let mut started = HashMap::new();
    let mut added_orders = HashMap::new();
    let mut missing = Vec::new();
    for prepared in changes.clone() {
        if let Change::RunStarted {
            run, order, serial, ..
        } = &prepared.change
        {
            started.insert(*run, (*order, serial.clone()));
        }
        if let Change::OrderAdded { order, .. } = &prepared.change {
            added_orders.insert(order.id, order.product);
        }
        if let Some(device_id) = prepared.change.device_id()
            && !state.units.contains_key(&device_id)
        {
            state.units.insert(device_id, None);
            missing.push(device_id.0.as_bytes().to_vec());
        }
    }
    load_units(connection, state, missing).await?;
    load_ended_runs(connection, &mut facts, started.keys().copied()).await?;
    let mut serials = Vec::new();
    for prepared in changes {
        let (Some(run), Some(device_id)) = (prepared.change.run(), prepared.change.device_id())
        else {
            continue;
        };
        let Some(names) =
            names_of(state, &started, &added_orders, run).filter(|names| !names.bound)
        else {
            continue;
        };
        load_count(connection, state, &mut facts, names.order, device_id).await?;
        serials.extend(names.serial.map(|serial| (names.product, serial)));
    }
    load_serials(connection, &mut facts, serials).await?;
    Ok(facts)
}

fn names_of(
    state: &Layer,
    started: &HashMap<RunId, (OrderId, Option<String>)>,
    added_orders: &HashMap<OrderId, ProductId>,
    run: RunId,
) -> Option<RunNames> {
    if let Some(run) = state.runs.get(&run) {
        return Some(RunNames {
            order: run.order,
            product: run.product,
            serial: run.serial.clone(),
            bound: run.device_id.is_some(),
        });
    }
    let (order, serial) = started.get(&run)?;
    let known = state.orders.get(order).map(|row| row.order.product);
    Some(RunNames {
        order: *order,
        product: known.or_else(|| added_orders.get(order).copied())?,
        serial: serial.clone(),
        bound: false,
    })
}

/// `head (?, ?, …) tail` with room for `count` values, rounded up so that few statements are prepared; the rest stays unbound, which
/// SQLite takes as null.
fn in_list(head: &str, count: usize, tail: &str) -> String {
    let marks = vec!["?"; count.next_power_of_two()].join(", ");
    format!("{head} ({marks}) {tail}")
}

/// The longest list in one statement, far below the 32,766 parameters that SQLite allows.
const LIST_MAX: usize = 1_024;

async fn select<'a, T>(
    connection: &mut SqliteConnection,
    doing: &'static str,
    (head, tail): (&str, &str),
    values: &[Vec<u8>],
) -> Result<Vec<T>, JournalError>
where
    T: for<'r> FromRow<'r, SqliteRow> + Send + Unpin,
{
    let mut found = Vec::new();
    for values in values.chunks(LIST_MAX) {
        let mut query = sqlx::query_as(AssertSqlSafe(in_list(head, values.len(), tail)));
        for value in values {
            query = query.bind(value.clone());
        }
        found.extend(
            query
                .fetch_all(&mut *connection)
                .await
                .map_err(database(doing))?,
        );
    }
    Ok(found)
}

async fn load_units(
    connection: &mut SqliteConnection,
    state: &mut Layer,
    missing: Vec<Vec<u8>>,
) -> Result<(), JournalError> {
    #[derive(FromRow)]
    struct Row {
        #[sqlx(flatten)]
        unit: UnitColumns,
        counted: Option<String>,
    }
    let head = "SELECT device_id, serial, product_id, order_id, state, consecutive_failures, last_run, lock_intended, \
                changed_at_ms, counted FROM unit WHERE device_id IN";
    for row in select::<Row>(connection, "reading units", (head, ""), &missing).await? {
        let unit = unit_of(row.unit)?;
        let counted = row.counted.map(|name| row::named(&name)).transpose()?;
        let row = UnitRow {
            counted,
            whole: false,
            unit,
        };
        state.units.insert(row.unit.device_id, Some(row));
    }
    Ok(())
}

async fn load_ended_runs(
    connection: &mut SqliteConnection,
    facts: &mut Facts,
    started: impl Iterator<Item = RunId>,
) -> Result<(), JournalError> {
    let started: Vec<_> = started.map(|run| run.as_bytes().to_vec()).collect();
    let sql = ("SELECT id FROM run WHERE id IN", "");
    for (id,) in select::<(Vec<u8>,)>(connection, "reading runs", sql, &started).await? {
        facts.ended_runs.insert(RunId::from_bytes(row::id(&id)?));
    }
    Ok(())
}

async fn load_serials(
    connection: &mut SqliteConnection,
    facts: &mut Facts,
    serials: Vec<(ProductId, String)>,
) -> Result<(), JournalError> {
    for serials in serials.chunks(LIST_MAX) {
        let sql = in_list(
            "SELECT serial, product_id, device_id FROM unit WHERE serial IN",
            serials.len(),
            "AND serial IS NOT NULL AND state <> 'scrapped' AND product_id IS NOT NULL",
        );
        let mut query = sqlx::query_as::<_, (String, Vec<u8>, Vec<u8>)>(AssertSqlSafe(sql));
        for (_, serial) in serials {
            query = query.bind(serial.clone());
        }
        let rows = query
            .fetch_all(&mut *connection)
            .await
            .map_err(database("reading serials"))?;
        for (serial, product, device_id) in rows {
            facts.serial_owners.insert(
                (ProductId::from_bytes(row::id(&product)?), serial),
                row::device_id(&device_id)?,
            );
        }
    }
    Ok(())
}

/// A unit that comes from another order may have been counted in this one before.
async fn load_count(
    connection: &mut SqliteConnection,
    state: &Layer,
    facts: &mut Facts,
    order: OrderId,
    device_id: DeviceIdText,
) -> Result<(), JournalError> {
    let Some(Some(row)) = state.units.get(&device_id) else {
        return Ok(());
    };
    if row.unit.order == Some(order) {
        return Ok(());
    }
    let result: Option<String> = sqlx::query_scalar(
        "SELECT result FROM run WHERE device_id = ?1 AND order_id = ?2 AND result IS NOT NULL ORDER BY ended_at_ms DESC, id DESC LIMIT 1",
    )
    .bind(&device_id.0.as_bytes()[..])
    .bind(&order.as_bytes()[..])
    .fetch_optional(connection)
    .await
    .map_err(database("reading a unit's runs"))?;
    if let Some(name) = result {
        facts.counted.insert((order, device_id), row::named(&name)?);
    }
    Ok(())
}
