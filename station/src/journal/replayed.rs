//! What a replay says of units, their runs and their keys: the log's side of a comparison with the registry.

use serde::Serialize;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, SqliteConnection};
use std::path::Path;

use super::JournalError;
use super::error::database;
use super::row::{damaged, device_id, hash, id, named, to_json, unsigned};
use crate::record::{DeviceIdText, Label, Order, RunId, UnitState};

/// What a leaf says of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyFact {
    /// The unit holds it.
    Keyed,
    /// The registry has it, pending.
    Claimed,
    /// The unit has proven itself with it.
    Proven,
    /// The registry trusts it.
    Pinned,
    /// Somebody may have cloned it.
    Alarm,
    /// It is about to be revoked.
    Revoked,
    /// The unit was released for a rework, which revokes its key; the leaf does not name the key.
    Rework,
}

impl KeyFact {
    const ALL: [Self; 7] = [
        Self::Keyed,
        Self::Claimed,
        Self::Proven,
        Self::Pinned,
        Self::Alarm,
        Self::Revoked,
        Self::Rework,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Keyed => "keyed",
            Self::Claimed => "claimed",
            Self::Proven => "proven",
            Self::Pinned => "pinned",
            Self::Alarm => "alarm",
            Self::Revoked => "revoked",
            Self::Rework => "rework",
        }
    }
}

/// A leaf that says something of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeyLeaf {
    pub(crate) index: u64,
    pub(crate) fact: KeyFact,
    pub(crate) device_id: DeviceIdText,
    /// Zeros where the leaf does not name the key.
    pub(crate) fingerprint: [u8; 32],
    pub(crate) run: Option<RunId>,
    /// Of a proof: SHA-256 of its transcript.
    pub(crate) digest: Option<[u8; 32]>,
    /// Of a proof: it was a MAC.
    pub(crate) weak: bool,
}

const TABLE: &str = "\
CREATE TABLE key_leaf (
    leaf_index  INTEGER PRIMARY KEY,
    fact        TEXT NOT NULL,
    device_id   BLOB NOT NULL,
    fingerprint BLOB NOT NULL,
    run_id      BLOB,
    digest      BLOB,
    weak        INTEGER NOT NULL
) STRICT";

const INDEXES: [&str; 3] = [
    "CREATE INDEX key_leaf_by_device ON key_leaf (device_id, fact, leaf_index)",
    "CREATE INDEX key_leaf_by_key ON key_leaf (fingerprint)",
    "CREATE INDEX key_leaf_by_run ON key_leaf (run_id) WHERE run_id IS NOT NULL",
];

const DOING: &str = "reading the replay";

/// Makes the table of keys.
pub(super) async fn prepare(connection: &mut SqliteConnection) -> Result<(), JournalError> {
    for sql in std::iter::once(TABLE).chain(INDEXES) {
        sqlx::query(sql)
            .execute(&mut *connection)
            .await
            .map_err(database("making the replay's database"))?;
    }
    Ok(())
}

/// Writes what leaves say of keys.
pub(super) async fn write(
    connection: &mut SqliteConnection,
    leaves: Vec<KeyLeaf>,
) -> Result<(), JournalError> {
    if leaves.is_empty() {
        return Ok(());
    }
    let row = |leaf: &KeyLeaf| {
        (
            leaf.index,
            leaf.fact.name(),
            leaf.device_id,
            hex::encode(leaf.fingerprint),
            leaf.run,
            leaf.digest.map(hex::encode),
            u8::from(leaf.weak),
        )
    };
    let rows: Vec<_> = leaves.iter().map(row).collect();
    sqlx::query(
        "INSERT INTO key_leaf (leaf_index, fact, device_id, fingerprint, run_id, digest, weak) \
         SELECT value ->> 0, value ->> 1, unhex(value ->> 2), unhex(value ->> 3), unhex(value ->> 4), unhex(value ->> 5), value ->> 6 \
         FROM json_each(?1) WHERE true ON CONFLICT DO NOTHING",
    )
    .bind(to_json("leaves", &rows)?)
    .execute(connection)
    .await
    .map_err(database("writing the replay"))?;
    Ok(())
}

/// A unit, as the log says.
#[derive(Clone, Debug)]
pub(crate) struct ReplayedUnit {
    pub(crate) device_id: DeviceIdText,
    pub(crate) serial: Option<String>,
    /// The product's name.
    pub(crate) product: Option<String>,
    pub(crate) state: UnitState,
    /// The last leaf that says that the registry trusts a key of it.
    pub(crate) pinned: Option<KeyLeaf>,
    /// The last leaf that releases it for a rework or revokes its key.
    pub(crate) revoked: Option<u64>,
}

/// An order, as the log says.
#[derive(Clone, Debug)]
pub(crate) struct ReplayedOrder {
    pub(crate) order: Order,
    pub(crate) passed: u32,
    pub(crate) weak: u32,
    pub(crate) held: u32,
    pub(crate) failed: u32,
    /// Units whose last run was of this order and is counted as passed, weak or held.
    pub(crate) units: u32,
}

/// A leaf about a key to which nothing before it led.
#[derive(Clone, Debug)]
pub(crate) struct KeyMismatch {
    pub(crate) leaf: KeyLeaf,
    /// What is missing.
    pub(crate) missing: &'static str,
}

/// Leaves about keys, each with what must have come before it: the same key and unit at least, and the same run where both are of one.
const MISMATCHES: [(&str, &str); 4] = [
    (
        "an earlier leaf that says that the unit holds this key",
        "fact = 'claimed' AND NOT EXISTS (SELECT 1 FROM key_leaf AS cause WHERE cause.fact = 'keyed' \
         AND cause.fingerprint = leaf.fingerprint AND cause.device_id = leaf.device_id AND cause.leaf_index < leaf.leaf_index)",
    ),
    (
        "a proof of this key in the same run",
        "fact = 'pinned' AND NOT EXISTS (SELECT 1 FROM key_leaf AS cause WHERE cause.fact = 'proven' \
         AND cause.fingerprint = leaf.fingerprint AND cause.run_id = leaf.run_id AND cause.leaf_index < leaf.leaf_index)",
    ),
    (
        "the key that this run has seen in the unit, not another one",
        "fact = 'proven' AND EXISTS (SELECT 1 FROM key_leaf AS other WHERE other.fact = 'keyed' \
         AND other.run_id = leaf.run_id AND other.fingerprint <> leaf.fingerprint)",
    ),
    (
        "a signature, because the run passed; the proof is a MAC",
        "fact = 'proven' AND weak = 1 AND EXISTS (SELECT 1 FROM run WHERE run.id = leaf.run_id AND run.result = 'passed')",
    ),
];

/// A replay that is finished.
#[derive(Debug)]
pub(crate) struct Replayed {
    connection: SqliteConnection,
}

type LeafColumns = (
    i64,
    String,
    Vec<u8>,
    Vec<u8>,
    Option<Vec<u8>>,
    Option<Vec<u8>>,
    i64,
);

const LEAF: &str = "SELECT leaf_index, fact, device_id, fingerprint, run_id, digest, weak FROM key_leaf AS leaf WHERE";

fn leaf(columns: LeafColumns) -> Result<KeyLeaf, JournalError> {
    let (index, fact, device, fingerprint, run, digest, weak) = columns;
    let known = KeyFact::ALL.into_iter().find(|known| known.name() == fact);
    Ok(KeyLeaf {
        index: unsigned(index)?,
        fact: known.ok_or_else(|| damaged("a replayed leaf", "a fact's name", fact))?,
        device_id: device_id(&device)?,
        fingerprint: hash(&fingerprint)?,
        run: run
            .map(|bytes| id(&bytes).map(RunId::from_bytes))
            .transpose()?,
        digest: digest.map(|bytes| hash(&bytes)).transpose()?,
        weak: weak != 0,
    })
}

impl Replayed {
    /// Opens a finished replay.
    pub(crate) async fn open(path: &Path) -> Result<Self, JournalError> {
        let connection = SqliteConnectOptions::new()
            .filename(path)
            .read_only(true)
            .disable_statement_logging()
            .connect()
            .await
            .map_err(database("opening the replay"))?;
        Ok(Self { connection })
    }

    async fn leaves(
        &mut self,
        condition: &str,
        list: String,
    ) -> Result<Vec<KeyLeaf>, JournalError> {
        let sql = format!("{LEAF} {condition} ORDER BY leaf_index LIMIT 100000");
        let rows: Vec<LeafColumns> = sqlx::query_as(sqlx::AssertSqlSafe(sql))
            .bind(list)
            .fetch_all(&mut self.connection)
            .await
            .map_err(database(DOING))?;
        rows.into_iter().map(leaf).collect()
    }

    /// The leaves about keys in these runs.
    pub(crate) async fn leaves_of_runs(
        &mut self,
        runs: &[RunId],
    ) -> Result<Vec<KeyLeaf>, JournalError> {
        let condition = "run_id IN (SELECT unhex(value) FROM json_each(?1))";
        self.leaves(condition, list(runs)?).await
    }

    /// The last leaf of each fact about each key of these units.
    pub(crate) async fn leaves_of_units(
        &mut self,
        units: &[DeviceIdText],
    ) -> Result<Vec<KeyLeaf>, JournalError> {
        let condition = "leaf_index IN (SELECT max(leaf_index) FROM key_leaf \
             WHERE device_id IN (SELECT unhex(value) FROM json_each(?1)) GROUP BY device_id, fact, fingerprint)";
        self.leaves(condition, list(units)?).await
    }

    /// The last leaf about each key of which the log says that the registry has it, by key, after `after`; at most `limit`.
    pub(crate) async fn entered_keys(
        &mut self,
        after: Option<[u8; 32]>,
        limit: u32,
    ) -> Result<Vec<KeyLeaf>, JournalError> {
        let rows: Vec<LeafColumns> = sqlx::query_as(sqlx::AssertSqlSafe(format!(
            "SELECT max(leaf_index), fact, device_id, fingerprint, run_id, digest, weak FROM key_leaf \
             WHERE fact IN ('claimed', 'pinned') AND fingerprint > ?1 GROUP BY fingerprint ORDER BY fingerprint LIMIT {limit}"
        )))
        .bind(after.map_or_else(Vec::new, |after| after.to_vec()))
        .fetch_all(&mut self.connection)
        .await
        .map_err(database(DOING))?;
        rows.into_iter().map(leaf).collect()
    }

    /// Leaves about keys to which nothing before them led; at most `limit` of each kind.
    pub(crate) async fn mismatches(
        &mut self,
        limit: u32,
    ) -> Result<Vec<KeyMismatch>, JournalError> {
        let mut found = Vec::new();
        for (missing, condition) in MISMATCHES {
            let sql = format!("{LEAF} {condition} ORDER BY leaf_index LIMIT {limit}");
            let rows: Vec<LeafColumns> = sqlx::query_as(sqlx::AssertSqlSafe(sql))
                .fetch_all(&mut self.connection)
                .await
                .map_err(database(DOING))?;
            for columns in rows {
                let leaf = leaf(columns)?;
                found.push(KeyMismatch { leaf, missing });
            }
        }
        Ok(found)
    }

    /// Whether the log has this run.
    pub(crate) async fn has_run(&mut self, run: RunId) -> Result<bool, JournalError> {
        sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM run WHERE id = ?1)")
            .bind(&run.as_bytes()[..])
            .fetch_one(&mut self.connection)
            .await
            .map_err(database(DOING))
    }

    /// The places, in the list, of units and labels of which the log says nothing: it has no run of the unit with the serial.
    pub(crate) async fn unknown_labels(
        &mut self,
        labelled: &[(DeviceIdText, &Label)],
    ) -> Result<Vec<usize>, JournalError> {
        let wanted: Vec<_> = labelled
            .iter()
            .map(|(device_id, label)| (device_id, &label.serial, &label.product))
            .collect();
        // A run that was cut short has not written its unit down; the unit has its serial.
        let unknown: Vec<(i64,)> = sqlx::query_as(
            "SELECT key FROM json_each(?1) WHERE NOT EXISTS ( \
                 SELECT 1 FROM run JOIN work_order ON work_order.id = run.order_id JOIN product ON product.id = work_order.product_id \
                 WHERE run.device_id = unhex(value ->> 0) AND run.serial = value ->> 1 AND product.name = value ->> 2 \
             ) AND NOT EXISTS ( \
                 SELECT 1 FROM unit JOIN product ON product.id = unit.product_id \
                 WHERE unit.device_id = unhex(value ->> 0) AND unit.serial = value ->> 1 AND product.name = value ->> 2 \
             )",
        )
        .bind(to_json("serials", &wanted)?)
        .fetch_all(&mut self.connection)
        .await
        .map_err(database(DOING))?;
        let places = unknown.into_iter().map(|(at,)| usize::try_from(at));
        Ok(places.filter_map(Result::ok).collect())
    }

    /// Units by device id, after `after`; at most `limit`.
    pub(crate) async fn units(
        &mut self,
        after: Option<DeviceIdText>,
        limit: u32,
    ) -> Result<Vec<ReplayedUnit>, JournalError> {
        type Columns = (Vec<u8>, Option<String>, Option<String>, String, Option<i64>);
        let rows: Vec<Columns> = sqlx::query_as(
            "SELECT device_id, serial, (SELECT name FROM product WHERE product.id = unit.product_id), state, \
             (SELECT max(leaf_index) FROM key_leaf WHERE key_leaf.device_id = unit.device_id AND fact IN ('revoked', 'rework')) \
             FROM unit WHERE device_id > ?1 ORDER BY device_id LIMIT ?2",
        )
        .bind(after.map_or_else(Vec::new, |after| after.0.as_bytes().to_vec()))
        .bind(limit)
        .fetch_all(&mut self.connection)
        .await
        .map_err(database(DOING))?;
        let mut units = Vec::with_capacity(rows.len());
        for (device, serial, product, state, revoked) in rows {
            units.push(ReplayedUnit {
                device_id: device_id(&device)?,
                serial,
                product,
                state: named(&state)?,
                pinned: None,
                revoked: revoked.map(unsigned).transpose()?,
            });
        }
        let ids: Vec<_> = units.iter().map(|unit| unit.device_id).collect();
        let condition = "fact = 'pinned' AND device_id IN (SELECT unhex(value) FROM json_each(?1)) AND NOT EXISTS \
             (SELECT 1 FROM key_leaf AS later WHERE later.device_id = leaf.device_id AND later.fact = 'pinned' \
              AND later.leaf_index > leaf.leaf_index)";
        let mut pinned = self.leaves(condition, list(&ids)?).await?;
        pinned.sort_by_key(|leaf| leaf.device_id);
        for unit in &mut units {
            let at = pinned.binary_search_by_key(&unit.device_id, |leaf| leaf.device_id);
            unit.pinned = at.ok().map(|at| pinned[at].clone());
        }
        Ok(units)
    }

    /// Every order. There are as many in a journal's memory.
    pub(crate) async fn orders(&mut self) -> Result<Vec<ReplayedOrder>, JournalError> {
        type Columns = (String, u32, u32, u32, u32, u32);
        let rows: Vec<Columns> = sqlx::query_as(
            "SELECT record, passed, weak, held, failed, (SELECT count(*) FROM unit WHERE unit.order_id = work_order.id \
             AND unit.order_id IS NOT NULL AND counted IN ('passed', 'weak', 'held')) FROM work_order ORDER BY id",
        )
        .fetch_all(&mut self.connection)
        .await
        .map_err(database(DOING))?;
        let order = |(record, passed, weak, held, failed, units): Columns| {
            Ok(ReplayedOrder {
                order: super::row::from_json("an order", &record)?,
                passed,
                weak,
                held,
                failed,
                units,
            })
        };
        rows.into_iter().map(order).collect()
    }

    /// The clone alarms, after the leaf `after`; at most `limit`.
    pub(crate) async fn alarms(
        &mut self,
        after: Option<u64>,
        limit: u32,
    ) -> Result<Vec<KeyLeaf>, JournalError> {
        let sql =
            format!("{LEAF} fact = 'alarm' AND leaf_index > ?1 ORDER BY leaf_index LIMIT {limit}");
        let rows: Vec<LeafColumns> = sqlx::query_as(sqlx::AssertSqlSafe(sql))
            .bind(after.map_or(-1, super::row::signed))
            .fetch_all(&mut self.connection)
            .await
            .map_err(database(DOING))?;
        rows.into_iter().map(leaf).collect()
    }
}

fn list<T: Serialize>(values: &[T]) -> Result<String, JournalError> {
    to_json("a list", &values)
}
