//! What a batch must know before its changes can be judged: the units, serials and runs that they name and that are not in memory.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

use sqlx::sqlite::SqliteRow;
use sqlx::{FromRow as _, Row as _, SqliteConnection};

use super::error::database;
use super::prepared::Prepared;
use super::question::{UnitColumns, unit_of};
use super::state::{Facts, HeldRun, Layer, UnitRow};
use super::{JournalError, row};
use crate::record::{Change, DeviceIdText, OrderId, ProductId, RunId};

/// The order and serial of a run that is named in a batch.
struct RunNames {
    order: OrderId,
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
    let mut missing = Vec::new();
    for prepared in changes.clone() {
        if let Change::RunStarted {
            run, order, serial, ..
        } = &prepared.change
        {
            started.insert(*run, (*order, serial.clone()));
        }
        // A change of a run may leave its unit unnamed; the rules need it all the same.
        let run = prepared.change.run().and_then(|run| state.runs.get(&run));
        let bound = run.and_then(|run| run.device_id);
        let named = prepared.change.device_id().into_iter().chain(bound);
        for device_id in named.chain(shipped_by(&prepared.change).map(|(device_id, _)| device_id)) {
            if let Entry::Vacant(unknown) = state.units.entry(device_id) {
                unknown.insert(None);
                missing.push(device_id);
            }
        }
    }
    let mut serials = Vec::new();
    for prepared in changes.clone() {
        let names = prepared
            .change
            .run()
            .filter(|_| prepared.change.device_id().is_some());
        let names = names.and_then(|run| names_of(state, &started, run));
        serials.extend(
            names
                .filter(|names| !names.bound)
                .and_then(|names| names.serial),
        );
    }
    if !(missing.is_empty() && started.is_empty() && serials.is_empty()) {
        let runs: Vec<_> = started.keys().collect();
        load(connection, state, &mut facts, (&missing, &runs, &serials)).await?;
    }
    load_shipped(connection, &mut facts, changes.clone()).await?;
    for prepared in changes {
        let (Some(run), Some(device_id)) = (prepared.change.run(), prepared.change.device_id())
        else {
            continue;
        };
        let names = names_of(state, &started, run);
        if let Some(names) = names.filter(|names| !names.bound) {
            load_count(connection, state, &mut facts, names.order, device_id).await?;
        }
    }
    Ok(facts)
}

/// The units that a change says have left, each with the order.
fn shipped_by(change: &Change) -> impl Iterator<Item = (DeviceIdText, OrderId)> + '_ {
    let of = match change {
        Change::OrderShipped {
            order, device_ids, ..
        } => Some((*order, device_ids)),
        _ => None,
    };
    of.into_iter()
        .flat_map(|(order, device_ids)| device_ids.iter().map(move |id| (*id, order)))
}

/// Which of the units that are about to leave did so before.
async fn load_shipped<'a>(
    connection: &mut SqliteConnection,
    facts: &mut Facts,
    changes: impl Iterator<Item = &'a Prepared>,
) -> Result<(), JournalError> {
    let id = |(device_id, order): &(DeviceIdText, OrderId)| {
        [device_id.0.as_bytes().as_slice(), order.as_bytes()].concat()
    };
    let leave: Vec<_> = changes.flat_map(|one| shipped_by(&one.change)).collect();
    if leave.is_empty() {
        return Ok(());
    }
    let ids: Vec<_> = leave.iter().map(|one| hex::encode(id(one))).collect();
    let known: Vec<Vec<u8>> = sqlx::query_scalar(
        "SELECT id FROM shipment WHERE id IN (SELECT unhex(value) FROM json_each(?1))",
    )
    .bind(row::to_json("shipments", &ids)?)
    .fetch_all(connection)
    .await
    .map_err(database("reading what was shipped"))?;
    let known: HashSet<_> = known.into_iter().collect();
    facts.shipped = leave
        .into_iter()
        .filter(|one| known.contains(&id(one)))
        .collect();
    Ok(())
}

fn names_of(
    state: &Layer,
    started: &HashMap<RunId, (OrderId, Option<String>)>,
    run: RunId,
) -> Option<RunNames> {
    if let Some(run) = state.runs.get(&run) {
        return Some(RunNames {
            order: run.order,
            serial: run.serial.clone(),
            bound: run.device_id.is_some(),
        });
    }
    let (order, serial) = started.get(&run)?;
    Some(RunNames {
        order: *order,
        serial: serial.clone(),
        bound: false,
    })
}

/// Units by device id with their runs in the outbox, runs by id, and the living units by serial, all in one call: a call costs more than
/// a row. The lists are JSON arrays, ids in hexadecimal.
const LOOK_UP: &str = "\
SELECT device_id AS id, serial, product_id, order_id, state, consecutive_failures, last_run, lock_intended, changed_at_ms, counted,
       'unit' AS what
    FROM unit WHERE device_id IN (SELECT unhex(value) FROM json_each(?1))
UNION ALL
SELECT id, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 'run'
    FROM run WHERE id IN (SELECT unhex(value) FROM json_each(?2))
UNION ALL
SELECT device_id, serial, product_id, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 'serial'
    FROM unit WHERE serial IN (SELECT value FROM json_each(?3))
        AND serial IS NOT NULL AND state <> 'scrapped' AND product_id IS NOT NULL
UNION ALL
SELECT device_id, NULL, NULL, NULL, NULL, NULL, run_id, NULL, leaf_index, NULL, 'held'
    FROM outbox WHERE device_id IN (SELECT unhex(value) FROM json_each(?1))";

async fn load(
    connection: &mut SqliteConnection,
    state: &mut Layer,
    facts: &mut Facts,
    (units, runs, serials): (&[DeviceIdText], &[&RunId], &[String]),
) -> Result<(), JournalError> {
    let found = sqlx::query(LOOK_UP)
        .bind(row::to_json("device ids", &units)?)
        .bind(row::to_json("runs", &runs)?)
        .bind(row::to_json("serials", &serials)?)
        .fetch_all(connection)
        .await
        .map_err(database("reading units, runs and serials"))?;
    let mut held = Vec::new();
    for columns in found {
        take(state, facts, &mut held, &columns)?;
    }
    held.sort_by_key(|(_, held): &(_, HeldRun)| held.leaf_index);
    for (device_id, held) in held {
        if let Some(Some(row)) = state.units.get_mut(&device_id) {
            row.held.push(held);
        }
    }
    Ok(())
}

/// Takes in one row of [`LOOK_UP`].
fn take(
    state: &mut Layer,
    facts: &mut Facts,
    held: &mut Vec<(DeviceIdText, HeldRun)>,
    columns: &SqliteRow,
) -> Result<(), JournalError> {
    const DOING: &str = "reading units, runs and serials";
    let blob = |name| columns.try_get::<Vec<u8>, _>(name).map_err(database(DOING));
    let text = |name| {
        columns
            .try_get::<Option<String>, _>(name)
            .map_err(database(DOING))
    };
    match text("what")?.as_deref() {
        Some("unit") => {
            let unit = UnitColumns::from_row(columns).map_err(database(DOING))?;
            let counted = text("counted")?.map(|name| row::named(&name)).transpose()?;
            let row = UnitRow {
                unit: unit_of(unit)?,
                counted,
                held: Vec::new(),
                whole: false,
            };
            state.units.insert(row.unit.device_id, Some(row));
        }
        Some("run") => {
            facts
                .ended_runs
                .insert(RunId::from_bytes(row::id(&blob("id")?)?));
        }
        Some("held") => {
            let leaf_index: i64 = columns.try_get("changed_at_ms").map_err(database(DOING))?;
            let run = HeldRun {
                leaf_index: row::unsigned(leaf_index)?,
                run: RunId::from_bytes(row::id(&blob("last_run")?)?),
            };
            held.push((row::device_id(&blob("id")?)?, run));
        }
        _ => {
            let product = ProductId::from_bytes(row::id(&blob("product_id")?)?);
            let serial = text("serial")?.unwrap_or_default();
            let owner = row::device_id(&blob("id")?)?;
            facts.serial_owners.insert((product, serial), owner);
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
        "SELECT CASE WHEN revoked THEN 'failed' ELSE result END FROM run WHERE device_id = ?1 AND order_id = ?2 AND result IS NOT NULL ORDER BY ended_at_ms DESC, id DESC LIMIT 1",
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
