//! The journal at one moment, read page by page: what an export needs.
//!
//! One read transaction holds the moment while the station writes on. SQLite can't move its write-ahead log into the database
//! meanwhile, so a snapshot is let go as soon as its last page is read. Nothing here grows with the number of units or leaves: what is
//! held at a time is a page, of at most [`PAGE_MAX`] rows.

use std::collections::HashMap;

use serde::Serialize;
use sqlx::{Sqlite, Transaction};

use super::error::database;
use super::question::{RunColumns, UnitColumns, run_of, unit_of};
use super::row::{self, damaged, signed, to_json, unsigned};
use super::{JournalError, JournalReader, Unit};
use crate::audit::{Checkpoint, SignedNote};
use crate::record::{Change, DeviceIdText, Order, OrderId, Product, Run, RunId};

/// The most rows that one page has.
pub const PAGE_MAX: u32 = 1_000;

/// A unit with its last run, as an export shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnitRecord {
    /// The unit.
    pub unit: Unit,
    /// Its last run; none where it was set apart before any.
    pub run: Option<UnitRun>,
}

/// The last run of a unit, with what it left behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnitRun {
    /// The run.
    pub run: Run,
    /// What it did, in the order of the log: all its changes but the intents.
    pub changes: Vec<LoggedChange>,
}

/// A change and where the log has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggedChange {
    /// The index of its leaf.
    pub leaf_index: u64,
    /// The change.
    pub change: Change,
}

/// The units of a page. The next page is the one after the last unit's device id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnitPage {
    /// Only units whose last run is of this order.
    pub order: Option<OrderId>,
    /// Only units whose last run began at this time or later, in milliseconds since 1970.
    pub from_ms: Option<u64>,
    /// Only units whose last run began before this time.
    pub to_ms: Option<u64>,
    /// Only units after this one.
    pub after: Option<DeviceIdText>,
    /// At most so many, and at most [`PAGE_MAX`].
    pub limit: u32,
}

/// A leaf without its body: the public part of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeafRecord {
    /// Its index.
    pub index: u64,
    /// Its bytes: what the tree hashes.
    pub leaf: Vec<u8>,
}

/// What opens the commitment of one leaf.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opening {
    /// The leaf's index.
    pub index: u64,
    /// 32 random bytes.
    pub salt: [u8; 32],
    /// The change as JSON, byte by byte as it was committed to.
    pub body: String,
}

macro_rules! select_units {
    ($from:literal, $condition:literal) => {
        concat!(
            "SELECT unit.device_id, unit.serial, unit.product_id, unit.order_id, unit.state, unit.consecutive_failures, \
             unit.last_run, unit.lock_intended, unit.changed_at_ms FROM ",
            $from,
            " WHERE unit.device_id > ?1 AND ",
            $condition,
            " ORDER BY unit.device_id LIMIT ?2"
        )
    };
}

/// The journal as it was when the snapshot was taken.
#[derive(Debug)]
pub struct ExportSnapshot {
    transaction: Transaction<'static, Sqlite>,
    note: String,
    checkpoint: Checkpoint,
}

impl JournalReader {
    /// Holds the journal as it is now. It occupies one of this reader's connections until it is dropped.
    ///
    /// # Errors
    /// [`JournalError`] where the database fails or its tree head is damaged.
    pub async fn export_snapshot(&self) -> Result<ExportSnapshot, JournalError> {
        let doing = "taking a snapshot";
        let mut transaction = self.pool.begin().await.map_err(database(doing))?;
        // The first question is what takes the snapshot.
        let note: String = sqlx::query_scalar("SELECT note FROM tree_head WHERE id = 1")
            .fetch_one(&mut *transaction)
            .await
            .map_err(database(doing))?;
        let checkpoint = Checkpoint::parse(&SignedNote::parse(&note)?.text)?;
        Ok(ExportSnapshot {
            transaction,
            note,
            checkpoint,
        })
    }
}

impl ExportSnapshot {
    /// The checkpoint that covers everything in the snapshot, and nothing else: a signed note.
    #[must_use]
    pub fn note(&self) -> &str {
        &self.note
    }

    /// What the note says. Its signatures were not verified.
    #[must_use]
    pub const fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// Every product, retired ones included.
    ///
    /// # Errors
    /// [`JournalError`] where the database fails or is damaged.
    pub async fn products(&mut self) -> Result<Vec<Product>, JournalError> {
        let records: Vec<String> = sqlx::query_scalar("SELECT record FROM product ORDER BY id")
            .fetch_all(&mut *self.transaction)
            .await
            .map_err(database("reading products"))?;
        let read = |text: &String| row::from_json("a product", text);
        records.iter().map(read).collect()
    }

    /// Every order, closed ones included, the oldest first.
    ///
    /// # Errors
    /// [`JournalError`] where the database fails or is damaged.
    pub async fn orders(&mut self) -> Result<Vec<Order>, JournalError> {
        let records: Vec<String> = sqlx::query_scalar("SELECT record FROM work_order ORDER BY id")
            .fetch_all(&mut *self.transaction)
            .await
            .map_err(database("reading orders"))?;
        let read = |text: &String| row::from_json("an order", text);
        records.iter().map(read).collect()
    }

    /// A page of units with their last runs, by device id.
    ///
    /// # Errors
    /// [`JournalError`] where the database fails or is damaged.
    pub async fn units(&mut self, page: &UnitPage) -> Result<Vec<UnitRecord>, JournalError> {
        let units = self.unit_rows(page).await?;
        let runs: Vec<RunId> = units.iter().filter_map(|unit| unit.last_run).collect();
        let mut found = self.runs(&runs).await?;
        self.changes_of(&runs, &mut found).await?;
        let record = |unit: Unit| UnitRecord {
            run: unit.last_run.and_then(|run| found.remove(&run)),
            unit,
        };
        Ok(units.into_iter().map(record).collect())
    }

    async fn unit_rows(&mut self, page: &UnitPage) -> Result<Vec<Unit>, JournalError> {
        // The index of an order's units helps only where the column is compared plainly: each shape is a statement of its own.
        let sql = match (page.order.is_some(), page.from_ms.or(page.to_ms).is_some()) {
            (false, false) => select_units!("unit", "TRUE"),
            (true, false) => select_units!("unit", "unit.order_id = ?3"),
            (false, true) => select_units!(
                "unit JOIN run ON run.id = unit.last_run",
                "run.started_at_ms >= ?4 AND run.started_at_ms < ?5"
            ),
            (true, true) => select_units!(
                "unit JOIN run ON run.id = unit.last_run",
                "unit.order_id = ?3 AND run.started_at_ms >= ?4 AND run.started_at_ms < ?5"
            ),
        };
        let after = page.after.map(|id| id.0.as_bytes().to_vec());
        let rows: Vec<UnitColumns> = sqlx::query_as(sql)
            .bind(after.unwrap_or_default())
            .bind(page.limit.min(PAGE_MAX))
            .bind(page.order.map(|id| id.as_bytes().to_vec()))
            .bind(signed(page.from_ms.unwrap_or(0)))
            .bind(signed(page.to_ms.unwrap_or(u64::MAX)))
            .fetch_all(&mut *self.transaction)
            .await
            .map_err(database("reading a page of units"))?;
        rows.into_iter().map(unit_of).collect()
    }

    async fn runs(&mut self, ids: &[RunId]) -> Result<HashMap<RunId, UnitRun>, JournalError> {
        let rows: Vec<RunColumns> = sqlx::query_as(
            "SELECT id, order_id, slot, serial, device_id, reached, result, failure, started_at_ms, ended_at_ms \
             FROM run WHERE id IN (SELECT unhex(value) FROM json_each(?1))",
        )
        .bind(page_json(ids)?)
        .fetch_all(&mut *self.transaction)
        .await
        .map_err(database("reading units' last runs"))?;
        let pair = |columns| {
            let run = run_of(columns)?;
            let changes = Vec::new();
            Ok((run.id, UnitRun { run, changes }))
        };
        rows.into_iter().map(pair).collect()
    }

    /// Adds to the runs what they did. An intent says no more than the deed that follows it: the database leaves it out by the length
    /// and kind in its leaf (see [`crate::audit::Leaf`]), for half of all entries are intents.
    async fn changes_of(
        &mut self,
        ids: &[RunId],
        runs: &mut HashMap<RunId, UnitRun>,
    ) -> Result<(), JournalError> {
        let rows: Vec<(i64, Vec<u8>, String)> = sqlx::query_as(
            "SELECT leaf_index, run_id, body FROM entry \
             WHERE run_id IN (SELECT unhex(value) FROM json_each(?1)) AND substr(leaf, 2, 14) <> ?2 ORDER BY leaf_index",
        )
        .bind(page_json(ids)?)
        .bind(&b"\x0dstep-intended"[..])
        .fetch_all(&mut *self.transaction)
        .await
        .map_err(database("reading the entries of units' last runs"))?;
        for (index, run, body) in rows {
            let run = RunId::from_bytes(row::id(&run)?);
            if let Some(record) = runs.get_mut(&run) {
                record.changes.push(LoggedChange {
                    leaf_index: unsigned(index)?,
                    change: row::from_json("an entry", &body)?,
                });
            }
        }
        Ok(())
    }

    /// A page of leaves from this index on, without their bodies.
    ///
    /// # Errors
    /// [`JournalError`] where the database fails or is damaged.
    pub async fn leaves(&mut self, from: u64, limit: u32) -> Result<Vec<LeafRecord>, JournalError> {
        let rows: Vec<(i64, Vec<u8>)> = sqlx::query_as(
            "SELECT leaf_index, leaf FROM entry WHERE leaf_index >= ?1 ORDER BY leaf_index LIMIT ?2",
        )
        .bind(signed(from))
        .bind(limit.min(PAGE_MAX))
        .fetch_all(&mut *self.transaction)
        .await
        .map_err(database("reading a page of leaves"))?;
        let record = |(index, leaf)| {
            Ok(LeafRecord {
                index: unsigned(index)?,
                leaf,
            })
        };
        rows.into_iter().map(record).collect()
    }

    /// What opens the commitments of these leaves, in the order of the log; at most [`PAGE_MAX`] of them.
    ///
    /// # Errors
    /// [`JournalError`] where the database fails or is damaged.
    pub async fn openings(&mut self, indexes: &[u64]) -> Result<Vec<Opening>, JournalError> {
        let rows: Vec<(i64, Vec<u8>, String)> = sqlx::query_as(
            "SELECT leaf_index, salt, body FROM entry WHERE leaf_index IN (SELECT value FROM json_each(?1)) ORDER BY leaf_index",
        )
        .bind(page_json(indexes)?)
        .fetch_all(&mut *self.transaction)
        .await
        .map_err(database("opening leaves"))?;
        let opening = |(index, salt, body): (i64, Vec<u8>, String)| {
            Ok(Opening {
                index: unsigned(index)?,
                salt: row::hash(&salt)?,
                body,
            })
        };
        rows.into_iter().map(opening).collect()
    }

    /// The orders of these runs; at most [`PAGE_MAX`] of them.
    ///
    /// # Errors
    /// [`JournalError`] where the database fails or is damaged.
    pub async fn orders_of_runs(
        &mut self,
        runs: &[RunId],
    ) -> Result<HashMap<RunId, OrderId>, JournalError> {
        let rows: Vec<(Vec<u8>, Vec<u8>)> = sqlx::query_as(
            "SELECT id, order_id FROM run WHERE id IN (SELECT unhex(value) FROM json_each(?1))",
        )
        .bind(page_json(runs)?)
        .fetch_all(&mut *self.transaction)
        .await
        .map_err(database("reading runs' orders"))?;
        let pair = |(run, order): (Vec<u8>, Vec<u8>)| {
            let run = RunId::from_bytes(row::id(&run)?);
            Ok((run, OrderId::from_bytes(row::id(&order)?)))
        };
        rows.into_iter().map(pair).collect()
    }

    /// Whose a unit was at a moment: the order of the last of its ended runs that had begun by then; of a unit that no run has ended
    /// on, the order that it is in. `None` where there is none.
    ///
    /// # Errors
    /// [`JournalError`] where the database fails or is damaged.
    pub async fn order_of_unit_at(
        &mut self,
        device_id: DeviceIdText,
        at_ms: u64,
    ) -> Result<Option<OrderId>, JournalError> {
        let order: Option<Option<Vec<u8>>> = sqlx::query_scalar(
            "SELECT CASE WHEN EXISTS (SELECT 1 FROM run WHERE device_id = ?1) \
                 THEN (SELECT order_id FROM run WHERE device_id = ?1 AND started_at_ms <= ?2 ORDER BY id DESC LIMIT 1) \
                 ELSE (SELECT order_id FROM unit WHERE device_id = ?1) END",
        )
        .bind(&device_id.0.as_bytes()[..])
        .bind(signed(at_ms))
        .fetch_optional(&mut *self.transaction)
        .await
        .map_err(database("reading a unit's order"))?;
        let order = order.flatten();
        order
            .map(|order| row::id(&order).map(OrderId::from_bytes))
            .transpose()
    }
}

/// A page's keys as JSON.
fn page_json<T: Serialize>(keys: &[T]) -> Result<String, JournalError> {
    if keys.len() > PAGE_MAX as usize {
        return Err(damaged(
            "a page",
            format!("at most {PAGE_MAX} keys"),
            keys.len().to_string(),
        ));
    }
    to_json("keys", &keys)
}
