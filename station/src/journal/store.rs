//! The rows that a batch writes. Everything here runs inside the batch's transaction.

use sqlx::SqliteConnection;

use super::JournalError;
use super::bulk::Bulk;
use super::error::database;
use super::row::{signed, to_json};
use super::state::{Dirty, Layer, OpenRun, UnitRow};
use crate::record::{RunId, Step};

/// An entry, ready to be written.
#[derive(Debug)]
pub(super) struct EntryRow {
    pub(super) index: u64,
    pub(super) run: Option<RunId>,
    pub(super) leaf: Vec<u8>,
    pub(super) salt: [u8; 32],
    pub(super) body: String,
}

/// Something that befell a unit.
#[derive(Debug)]
pub(super) struct UnitEventRow {
    pub(super) index: u64,
    pub(super) kind: &'static str,
    pub(super) device_id: Vec<u8>,
    pub(super) run: Option<RunId>,
}

static ENTRIES: Bulk = Bulk::new(
    "writing entries",
    "INSERT INTO entry (leaf_index, run_id, leaf, salt, body) VALUES",
    5,
    "",
);

static UNIT_EVENTS: Bulk = Bulk::new(
    "writing a unit's events",
    "INSERT INTO unit_event (leaf_index, kind, device_id, run_id) VALUES",
    4,
    "",
);

static RUNS: Bulk = Bulk::new(
    "writing runs",
    "INSERT INTO run (id, order_id, slot, serial, operator, started_at_ms, device_id, reached, result, failure, ended_at_ms) VALUES",
    11,
    "ON CONFLICT (id) DO UPDATE SET device_id = excluded.device_id, reached = excluded.reached, result = excluded.result, \
     failure = excluded.failure, ended_at_ms = excluded.ended_at_ms",
);

const UNIT_HEAD: &str = "INSERT INTO unit (device_id, serial, product_id, order_id, state, counted, consecutive_failures, last_run, \
     lock_intended, changed_at_ms) VALUES";

static WHOLE_UNITS: Bulk = Bulk::new(
    "writing units",
    UNIT_HEAD,
    10,
    "ON CONFLICT (device_id) DO UPDATE SET serial = excluded.serial, product_id = excluded.product_id, \
     order_id = excluded.order_id, state = excluded.state, counted = excluded.counted, \
     consecutive_failures = excluded.consecutive_failures, last_run = excluded.last_run, \
     lock_intended = excluded.lock_intended, changed_at_ms = excluded.changed_at_ms",
);

// Leaves the indexed columns alone, but for the state: most writes of a unit are of this kind.
static UNIT_STATES: Bulk = Bulk::new(
    "writing units' states",
    UNIT_HEAD,
    10,
    "ON CONFLICT (device_id) DO UPDATE SET state = excluded.state, counted = excluded.counted, \
     consecutive_failures = excluded.consecutive_failures, changed_at_ms = excluded.changed_at_ms",
);

/// Writes the entries, and the events of units among them.
pub(super) async fn entries(
    connection: &mut SqliteConnection,
    entries: Vec<EntryRow>,
    events: Vec<UnitEventRow>,
) -> Result<(), JournalError> {
    ENTRIES
        .run(connection, entries.into_iter(), |query, row| {
            query
                .bind(signed(row.index))
                .bind(row.run.map(|run| run.as_bytes().to_vec()))
                .bind(row.leaf)
                .bind(row.salt.to_vec())
                .bind(row.body)
        })
        .await?;
    UNIT_EVENTS
        .run(connection, events.into_iter(), |query, row| {
            query
                .bind(signed(row.index))
                .bind(row.kind)
                .bind(row.device_id)
                .bind(row.run.map(|run| run.as_bytes().to_vec()))
        })
        .await
}

/// Writes every row that the batch changed.
pub(super) async fn rows(
    connection: &mut SqliteConnection,
    state: &Layer,
    dirty: &Dirty,
) -> Result<(), JournalError> {
    products(connection, state, dirty).await?;
    orders(connection, state, dirty).await?;
    operators(connection, state, dirty).await?;
    // A run that neither began nor ended in this batch has only changed in memory: its entries say the rest.
    let runs: Vec<_> = dirty
        .runs
        .iter()
        .filter_map(|id| Some((*id, state.runs.get(id)?)))
        .filter(|(_, run)| !run.stored || run.end.is_some())
        .collect();
    RUNS.run(connection, runs.into_iter(), bind_run).await?;
    let units = dirty.units.iter();
    let units = units.filter_map(|id| state.units.get(id)?.as_ref());
    let (whole, states): (Vec<_>, Vec<_>) = units.partition(|row| row.whole);
    WHOLE_UNITS
        .run(connection, whole.into_iter(), bind_unit)
        .await?;
    UNIT_STATES
        .run(connection, states.into_iter(), bind_unit)
        .await
}

fn bind_run<'q>(
    query: super::bulk::Bound<'q>,
    (id, run): (RunId, &OpenRun),
) -> super::bulk::Bound<'q> {
    // Until the end these are null, so that each is written, and indexed, once.
    let end = run.end.as_ref();
    let device_id = end.and(run.device_id);
    query
        .bind(id.as_bytes().to_vec())
        .bind(run.order.as_bytes().to_vec())
        .bind(i64::from(run.slot))
        .bind(run.serial.clone())
        .bind(run.operator.clone())
        .bind(signed(run.started_at_ms))
        .bind(device_id.map(|id| id.0.as_bytes().to_vec()))
        .bind(end.and(run.reached).map(Step::name))
        .bind(end.map(|end| end.result.name()))
        .bind(end.and_then(|end| end.failure.clone()))
        .bind(end.map(|end| signed(end.ended_at_ms)))
}

fn bind_unit<'q>(query: super::bulk::Bound<'q>, row: &UnitRow) -> super::bulk::Bound<'q> {
    let unit = &row.unit;
    query
        .bind(unit.device_id.0.as_bytes().to_vec())
        .bind(unit.serial.clone())
        .bind(unit.product.map(|id| id.as_bytes().to_vec()))
        .bind(unit.order.map(|id| id.as_bytes().to_vec()))
        .bind(unit.state.name())
        .bind(row.counted.map(crate::record::RunResult::name))
        .bind(i64::from(unit.consecutive_failures))
        .bind(unit.last_run.map(|id| id.as_bytes().to_vec()))
        .bind(unit.lock_intended.map(|id| id.as_bytes().to_vec()))
        .bind(signed(unit.changed_at_ms))
}

async fn products(
    connection: &mut SqliteConnection,
    state: &Layer,
    dirty: &Dirty,
) -> Result<(), JournalError> {
    for product in dirty
        .products
        .iter()
        .filter_map(|id| state.products.get(id))
    {
        sqlx::query(
            "INSERT INTO product (id, name, retired, record) VALUES (?1, ?2, ?3, ?4) \
             ON CONFLICT (id) DO UPDATE SET retired = excluded.retired, record = excluded.record",
        )
        .bind(product.id.as_bytes().to_vec())
        .bind(&product.name)
        .bind(i64::from(product.retired_at_ms.is_some()))
        .bind(to_json("a product", product)?)
        .execute(&mut *connection)
        .await
        .map_err(database("writing a product"))?;
    }
    Ok(())
}

async fn orders(
    connection: &mut SqliteConnection,
    state: &Layer,
    dirty: &Dirty,
) -> Result<(), JournalError> {
    for row in dirty.orders.iter().filter_map(|id| state.orders.get(id)) {
        if row.whole {
            sqlx::query(
                "INSERT INTO work_order (id, name, product_id, record) VALUES (?1, ?2, ?3, ?4) \
                 ON CONFLICT (id) DO UPDATE SET record = excluded.record",
            )
            .bind(row.order.id.as_bytes().to_vec())
            .bind(&row.order.name)
            .bind(row.order.product.as_bytes().to_vec())
            .bind(to_json("an order", &row.order)?)
            .execute(&mut *connection)
            .await
            .map_err(database("writing an order"))?;
        }
        sqlx::query(
            "UPDATE work_order SET passed = ?2, weak = ?3, held = ?4, failed = ?5, failed_unidentified = ?6 WHERE id = ?1",
        )
        .bind(row.order.id.as_bytes().to_vec())
        .bind(i64::from(row.counts.passed))
        .bind(i64::from(row.counts.weak))
        .bind(i64::from(row.counts.held))
        .bind(i64::from(row.counts.failed))
        .bind(i64::from(row.counts.failed_unidentified))
        .execute(&mut *connection)
        .await
        .map_err(database("writing an order's counts"))?;
    }
    Ok(())
}

async fn operators(
    connection: &mut SqliteConnection,
    state: &Layer,
    dirty: &Dirty,
) -> Result<(), JournalError> {
    for row in dirty
        .operators
        .iter()
        .filter_map(|id| state.operators.get(id))
    {
        sqlx::query(
            "INSERT INTO operator (id, name, role, token_sha256, added_at_ms) VALUES (?1, ?2, ?3, ?4, ?5)",
        )
        .bind(&row.id)
        .bind(&row.name)
        .bind(&row.role)
        .bind(&row.token_sha256[..])
        .bind(signed(row.added_at_ms))
        .execute(&mut *connection)
        .await
        .map_err(database("writing an operator"))?;
    }
    Ok(())
}
