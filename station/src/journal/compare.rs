//! Holds the journal's tables against a replay of its log, row by row, inside the database: both sides are walked in the order of
//! their keys.

use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, Row as _};

use super::JournalError;
use super::error::database;
use super::snapshot::Snapshot;

/// A table that follows from the log.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) name: &'static str,
    key: &'static str,
    columns: &'static [&'static str],
}

/// Every table that the changes write. Of operators only id and role are in the log.
pub(crate) const TABLES: [Table; 10] = [
    Table {
        name: "product",
        key: "id",
        columns: &["name", "retired", "record"],
    },
    Table {
        name: "work_order",
        key: "id",
        columns: &[
            "name",
            "product_id",
            "record",
            "passed",
            "weak",
            "held",
            "failed",
            "failed_unidentified",
        ],
    },
    Table {
        name: "run",
        key: "id",
        columns: &[
            "order_id",
            "slot",
            "serial",
            "operator",
            "started_at_ms",
            "device_id",
            "reached",
            "result",
            "failure",
            "ended_at_ms",
            "revoked",
        ],
    },
    Table {
        name: "unit",
        key: "device_id",
        columns: &[
            "serial",
            "product_id",
            "order_id",
            "state",
            "counted",
            "consecutive_failures",
            "last_run",
            "lock_intended",
            "changed_at_ms",
        ],
    },
    Table {
        name: "unit_event",
        key: "leaf_index",
        columns: &["kind", "device_id", "run_id"],
    },
    Table {
        name: "outbox",
        key: "leaf_index",
        columns: &["device_id", "run_id"],
    },
    Table {
        name: "shipment",
        key: "id",
        columns: &["leaf_index"],
    },
    Table {
        name: "log_key",
        key: "key",
        columns: &["added_at", "retired_at"],
    },
    Table {
        name: "authority_bundle",
        key: "leaf_index",
        columns: &["kind", "subject", "version", "digest", "note"],
    },
    Table {
        name: "operator",
        key: "id",
        columns: &["role"],
    },
];

/// How a row differs from what the log says.
#[derive(Debug)]
pub(crate) enum Difference {
    /// The log says that there is such a row.
    Missing { key: String },
    /// The log says nothing of such a row.
    Added { key: String },
    /// A column says something else.
    Changed {
        key: String,
        column: &'static str,
        expected: String,
        found: String,
    },
}

impl Snapshot {
    /// What differs in a table from the replay, which must be on disk: at most `limit` rows of each kind.
    pub(crate) async fn differences(
        &mut self,
        table: &'static Table,
        limit: u32,
    ) -> Result<Vec<Difference>, JournalError> {
        let Table { name, key, .. } = table;
        let mut found = Vec::new();
        for (here, there) in [("replayed", "main"), ("main", "replayed")] {
            let sql = format!(
                "SELECT quote({key}) FROM {here}.{name} AS one \
                 WHERE NOT EXISTS (SELECT 1 FROM {there}.{name} AS other WHERE other.{key} = one.{key}) LIMIT {limit}"
            );
            for row in self.rows(sql).await? {
                let key = shown(&row, 0)?;
                found.push(if here == "main" {
                    Difference::Added { key }
                } else {
                    Difference::Missing { key }
                });
            }
        }
        let pairs = table.columns.iter().map(|column| {
            let differs = format!("said.{column} IS NOT stored.{column}");
            (
                format!("quote(said.{column}), quote(stored.{column})"),
                differs,
            )
        });
        let (columns, differs): (Vec<_>, Vec<_>) = pairs.unzip();
        let sql = format!(
            "SELECT quote(said.{key}), {} FROM replayed.{name} AS said JOIN main.{name} AS stored ON stored.{key} = said.{key} \
             WHERE {} LIMIT {limit}",
            columns.join(", "),
            differs.join(" OR ")
        );
        for row in self.rows(sql).await? {
            for (n, column) in table.columns.iter().enumerate() {
                let expected = shown(&row, 1 + 2 * n)?;
                let stored = shown(&row, 2 + 2 * n)?;
                if expected != stored {
                    found.push(Difference::Changed {
                        key: shown(&row, 0)?,
                        column,
                        expected,
                        found: stored,
                    });
                }
            }
        }
        Ok(found)
    }

    /// Nothing in these statements comes from outside of this file.
    async fn rows(&mut self, sql: String) -> Result<Vec<SqliteRow>, JournalError> {
        sqlx::query(AssertSqlSafe(sql))
            .fetch_all(&mut self.connection)
            .await
            .map_err(database("comparing the tables with the log"))
    }
}

/// A column that went through `quote()`: a blob as lower-case hexadecimal, a text without its quotes.
fn shown(row: &SqliteRow, column: usize) -> Result<String, JournalError> {
    let quoted: String = row
        .try_get(column)
        .map_err(database("comparing the tables with the log"))?;
    let inner = |prefix| {
        let rest = quoted.strip_prefix(prefix)?;
        rest.strip_suffix('\'')
    };
    Ok(match (inner("X'"), inner("'")) {
        (Some(blob), _) => blob.to_lowercase(),
        (None, Some(text)) => text.replace("''", "'"),
        (None, None) => quoted,
    })
}
