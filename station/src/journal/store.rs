//! How a batch is written: one call of the database, whatever is in it.
//!
//! A call costs a change of threads and back, ten times what a row costs, so all rows of a batch go in one text of fixed statements,
//! prepared once. Rows travel as JSON arrays of columns (ids in hexadecimal); the entries' bytes as four blobs, cut by their lengths.

use serde::Serialize;
use sqlx::SqliteConnection;

use super::JournalError;
use super::error::database;
use super::row::{signed, to_json};
use super::state::{Dirty, Layer, OpenRun, UnitRow};
use crate::audit::Frontier;
use crate::record::{Change, RunId, RunResult, Step, UnitState};

/// The statements of a batch. Products and orders stand before the runs that refer to them.
///
/// Most writes of a unit leave the indexed columns alone, but for the state: those are the first statement on `unit`. A
/// unit that was scrapped, or that the registry refused its serial, thereby gives it up before another one takes it.
///
/// Parameters have no numbers: in a text of several statements, sqlx 0.9 leaves numbered ones silently unbound where a statement
/// does not use all the numbers below its own (checked empirically).
const BATCH: &str = "\
BEGIN IMMEDIATE;
INSERT INTO tree_head (id, tree_size, frontier, note) VALUES (1, ?, ?, ?)
    ON CONFLICT (id) DO UPDATE SET tree_size = excluded.tree_size, frontier = excluded.frontier, note = excluded.note;
INSERT INTO checkpoint (tree_size, note) VALUES (?, ?);
INSERT INTO entry (leaf_index, run_id, leaf, salt, body)
    SELECT ? + key, CASE WHEN value ->> 4 THEN substr(?, key * 16 + 1, 16) END,
           substr(?, (value ->> 0) + 1, value ->> 1), substr(?, key * 32 + 1, 32),
           CAST(substr(?, (value ->> 2) + 1, value ->> 3) AS TEXT)
    FROM json_each(?);
INSERT INTO unit_event (leaf_index, kind, device_id, run_id)
    SELECT value ->> 0, value ->> 1, unhex(value ->> 2), unhex(value ->> 3) FROM json_each(?);
INSERT INTO authority_bundle (leaf_index, kind, subject, version, digest, note)
    SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, unhex(value ->> 4), value ->> 5 FROM json_each(?);
INSERT INTO shipment (id, leaf_index)
    SELECT unhex(value ->> 0), value ->> 1 FROM json_each(?);
INSERT INTO product (id, name, retired, record)
    SELECT unhex(value ->> 0), value ->> 1, value ->> 2, value ->> 3 FROM json_each(?) WHERE true
    ON CONFLICT (id) DO UPDATE SET retired = excluded.retired, record = excluded.record;
INSERT INTO work_order (id, name, product_id, record)
    SELECT unhex(value ->> 0), value ->> 1, unhex(value ->> 2), value ->> 3 FROM json_each(?) WHERE true
    ON CONFLICT (id) DO UPDATE SET record = excluded.record;
UPDATE work_order SET passed = counts.value ->> 1, weak = counts.value ->> 2, held = counts.value ->> 3,
        failed = counts.value ->> 4, failed_unidentified = counts.value ->> 5
    FROM json_each(?) AS counts WHERE work_order.id = unhex(counts.value ->> 0);
INSERT INTO operator (id, name, role, token_sha256, added_at_ms)
    SELECT value ->> 0, value ->> 1, value ->> 2, unhex(value ->> 3), value ->> 4 FROM json_each(?);
INSERT INTO log_key (key, added_at, retired_at)
    SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each(?) WHERE true
    ON CONFLICT (key) DO UPDATE SET retired_at = excluded.retired_at;
INSERT INTO run (id, order_id, slot, serial, operator, started_at_ms, device_id, reached, result, failure, ended_at_ms)
    SELECT unhex(value ->> 0), unhex(value ->> 1), value ->> 2, value ->> 3, value ->> 4, value ->> 5,
           unhex(value ->> 6), value ->> 7, value ->> 8, value ->> 9, value ->> 10
    FROM json_each(?) WHERE true
    ON CONFLICT (id) DO UPDATE SET device_id = excluded.device_id, reached = excluded.reached, result = excluded.result,
        failure = excluded.failure, ended_at_ms = excluded.ended_at_ms;
UPDATE run SET result = settled.value ->> 1, failure = settled.value ->> 2
    FROM json_each(?) AS settled WHERE run.id = unhex(settled.value ->> 0);
INSERT INTO outbox (leaf_index, device_id, run_id)
    SELECT value ->> 0, unhex(value ->> 1), unhex(value ->> 2) FROM json_each(?);
DELETE FROM outbox WHERE leaf_index IN (SELECT value FROM json_each(?));
UPDATE run SET revoked = 1 WHERE id IN (SELECT unhex(value) FROM json_each(?));
UPDATE unit SET state = row.value ->> 1, counted = row.value ->> 2, consecutive_failures = row.value ->> 3,
        changed_at_ms = row.value ->> 4
    FROM json_each(?) AS row WHERE unit.device_id = unhex(row.value ->> 0);
INSERT INTO unit (device_id, serial, product_id, order_id, state, counted, consecutive_failures, last_run, lock_intended,
        changed_at_ms)
    SELECT unhex(value ->> 0), value ->> 1, unhex(value ->> 2), unhex(value ->> 3), value ->> 4, value ->> 5, value ->> 6,
           unhex(value ->> 7), unhex(value ->> 8), value ->> 9
    FROM json_each(?) WHERE true
    ON CONFLICT (device_id) DO UPDATE SET serial = excluded.serial, product_id = excluded.product_id,
        order_id = excluded.order_id, state = excluded.state, counted = excluded.counted,
        consecutive_failures = excluded.consecutive_failures, last_run = excluded.last_run,
        lock_intended = excluded.lock_intended, changed_at_ms = excluded.changed_at_ms;
COMMIT";

/// The entries of a batch, as they are made.
#[derive(Debug, Default)]
pub(super) struct Entries {
    first: u64,
    /// 16 bytes each; zeros where there is no run.
    runs: Vec<u8>,
    leaves: Vec<u8>,
    /// 32 bytes each.
    salts: Vec<u8>,
    bodies: Vec<u8>,
    /// Leaf offset and length, body offset and length, whether there is a run.
    cuts: Vec<(usize, usize, usize, usize, u8)>,
    /// Leaf index, kind, device id, run.
    events: Vec<(u64, &'static str, String, Option<String>)>,
    bundles: Vec<BundleRow>,
}

/// Leaf index, kind, subject, version, digest in hexadecimal, note.
type BundleRow = (u64, String, String, u64, String, String);

impl Entries {
    /// Entries from the leaf index `first` on.
    pub(super) fn from(first: u64) -> Self {
        Self {
            first,
            ..Self::default()
        }
    }

    /// Adds the next entry.
    pub(super) fn push(&mut self, run: Option<RunId>, leaf: &[u8], salt: &[u8; 32], body: &str) {
        self.cuts.push((
            self.leaves.len(),
            leaf.len(),
            self.bodies.len(),
            body.len(),
            u8::from(run.is_some()),
        ));
        self.runs
            .extend_from_slice(run.map_or([0; 16], |run| *run.as_bytes()).as_slice());
        self.leaves.extend_from_slice(leaf);
        self.salts.extend_from_slice(salt);
        self.bodies.extend_from_slice(body.as_bytes());
    }

    /// Adds what the entry at `index` says that befell a unit, or which bundle it accepts, if it does.
    pub(super) fn push_event_of(&mut self, index: u64, change: &Change) {
        if let Change::UnitQuarantined { device_id, .. }
        | Change::CloneAlarm { device_id, .. }
        | Change::HeldReleased { device_id, .. }
        | Change::HeldRefused { device_id, .. }
        | Change::UnitReleased { device_id, .. }
        | Change::UnitScrapped { device_id, .. }
        | Change::PinRevoked { device_id, .. } = change
        {
            let run = change.run().map(|run| run.to_string());
            let device_id = device_id.0.to_string();
            self.events.push((index, change.kind(), device_id, run));
        }
        if let Change::BundleAccepted {
            bundle,
            subject,
            version,
            digest,
            note,
            ..
        } = change
        {
            let (kind, subject) = (bundle.clone(), subject.clone());
            let digest = hex::encode(digest);
            self.bundles
                .push((index, kind, subject, *version, digest, note.clone()));
        }
    }
}

/// Writes the batch, under the checkpoint `note` that covers it. It is on disk when this returns.
pub(super) async fn write(
    connection: &mut SqliteConnection,
    (frontier, note): (&Frontier, &str),
    entries: Entries,
    state: &Layer,
    dirty: &Dirty,
) -> Result<(), JournalError> {
    let units = dirty.units.iter();
    let units = units.filter_map(|id| state.units.get(id)?.as_ref());
    let (mut whole, states): (Vec<_>, Vec<_>) = units.partition(|row| row.whole);
    whole.sort_by_key(|row| row.unit.state != UnitState::Scrapped && row.unit.serial.is_some());
    let orders = || dirty.orders.iter().filter_map(|id| state.orders.get(id));
    let order_rows = orders().filter(|row| row.whole).map(|row| {
        let order = &row.order;
        let record = to_json("an order", order)?;
        Ok((order.id, order.name.as_str(), order.product, record))
    });
    let order_rows: Vec<_> = order_rows.collect::<Result<_, JournalError>>()?;
    let counts = orders().map(|row| {
        let of = row.counts;
        let (failed, unidentified) = (of.failed, of.failed_unidentified);
        (
            row.order.id,
            of.passed,
            of.weak,
            of.held,
            failed,
            unidentified,
        )
    });
    sqlx::query(BATCH)
        .bind(signed(frontier.size()))
        .bind(frontier.to_bytes())
        .bind(note)
        .bind(signed(frontier.size()))
        .bind(note)
        .bind(signed(entries.first))
        .bind(entries.runs)
        .bind(entries.leaves)
        .bind(entries.salts)
        .bind(entries.bodies)
        .bind(rows(&entries.cuts)?)
        .bind(rows(&entries.events)?)
        .bind(rows(&entries.bundles)?)
        .bind(shipments(state)?)
        .bind(products(state, dirty)?)
        .bind(rows(&order_rows)?)
        .bind(rows(&counts.collect::<Vec<_>>())?)
        .bind(operators(state, dirty)?)
        .bind(log_keys(state, dirty)?)
        .bind(runs(state, dirty)?)
        .bind(settled(state)?)
        .bind(entered(state)?)
        .bind(rows(&state.outbox.left)?)
        .bind(rows(&state.revoked_runs.iter().collect::<Vec<_>>())?)
        .bind(rows(
            &states.into_iter().map(unit_state).collect::<Vec<_>>(),
        )?)
        .bind(rows(
            &whole.into_iter().map(whole_unit).collect::<Vec<_>>(),
        )?)
        .execute(connection)
        .await
        .map_err(database("writing a batch"))?;
    Ok(())
}

/// Rows as a JSON array of arrays.
fn rows<T: Serialize>(rows: &[T]) -> Result<String, JournalError> {
    to_json("rows", &rows)
}

fn shipments(state: &Layer) -> Result<String, JournalError> {
    let shipped = state.shipped.iter().map(|((device_id, order), leaf)| {
        let id = [device_id.0.as_bytes().as_slice(), order.as_bytes()].concat();
        (hex::encode(id), leaf)
    });
    rows(&shipped.collect::<Vec<_>>())
}

fn products(state: &Layer, dirty: &Dirty) -> Result<String, JournalError> {
    let found = dirty.products.iter();
    let mut found: Vec<_> = found.filter_map(|id| state.products.get(id)).collect();
    // A retired product gives up its name before another one takes it.
    found.sort_by_key(|product| product.retired_at_ms.is_none());
    let found = found.into_iter().map(|product| {
        let record = to_json("a product", product)?;
        let retired = u8::from(product.retired_at_ms.is_some());
        Ok((product.id, product.name.as_str(), retired, record))
    });
    rows(&found.collect::<Result<Vec<_>, JournalError>>()?)
}

fn operators(state: &Layer, dirty: &Dirty) -> Result<String, JournalError> {
    let found = dirty.operators.iter();
    let found = found.filter_map(|id| state.operators.get(id)).map(|row| {
        let token = hex::encode(row.token_sha256);
        (&row.id, &row.name, &row.role, token, row.added_at_ms)
    });
    rows(&found.collect::<Vec<_>>())
}

fn log_keys(state: &Layer, dirty: &Dirty) -> Result<String, JournalError> {
    let found = dirty.log_keys.iter();
    let found = found
        .filter_map(|name| Some((name, state.log_keys.get(name)?)))
        .map(|(name, key)| (name, key.added_at, key.retired_at));
    rows(&found.collect::<Vec<_>>())
}

/// Runs that began or ended. Others have only changed in memory: their entries say the rest.
fn runs(state: &Layer, dirty: &Dirty) -> Result<String, JournalError> {
    let found = dirty.runs.iter();
    let found = found.filter_map(|id| Some((*id, state.runs.get(id)?)));
    let found = found.filter(|(_, run)| !run.stored || run.end.is_some());
    rows(&found.map(run_row).collect::<Vec<_>>())
}

/// What became of runs that had ended held.
fn settled(state: &Layer) -> Result<String, JournalError> {
    let found = state.outbox.settled.iter();
    let found = found.map(|(id, settled)| (id, settled.result.name(), &settled.failure));
    rows(&found.collect::<Vec<_>>())
}

/// Runs that have come into the outbox.
fn entered(state: &Layer) -> Result<String, JournalError> {
    let found = state.outbox.entered.iter();
    let found = found.map(|(device_id, held)| (held.leaf_index, device_id, held.run));
    rows(&found.collect::<Vec<_>>())
}

fn run_row((id, run): (RunId, &OpenRun)) -> impl Serialize + '_ {
    // Until the end these are null, so that each is written, and indexed, once.
    let end = run.end.as_ref();
    (
        id,
        run.order,
        run.slot,
        &run.serial,
        &run.operator,
        run.started_at_ms,
        end.and(run.device_id),
        end.and(run.reached).map(Step::name),
        end.map(|end| end.result.name()),
        end.and_then(|end| end.failure.as_ref()),
        end.map(|end| end.ended_at_ms),
    )
}

fn whole_unit(row: &UnitRow) -> impl Serialize + '_ {
    let unit = &row.unit;
    (
        unit.device_id,
        &unit.serial,
        unit.product,
        unit.order,
        unit.state.name(),
        row.counted.map(RunResult::name),
        unit.consecutive_failures,
        unit.last_run,
        unit.lock_intended,
        unit.changed_at_ms,
    )
}

fn unit_state(row: &UnitRow) -> impl Serialize + '_ {
    let unit = &row.unit;
    (
        unit.device_id,
        unit.state.name(),
        row.counted.map(RunResult::name),
        unit.consecutive_failures,
        unit.changed_at_ms,
    )
}
