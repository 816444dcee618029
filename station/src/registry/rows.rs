//! Statements of many rows, on both engines.
//!
//! SQLite gets rows in chunks whose sizes are powers of two: few calls, and few statements to prepare. PostgreSQL gets each column as one
//! array, whatever the number of rows: one call, one statement.

use std::fmt::Write as _;
use std::sync::{Arc, OnceLock};

use sqlx::any::{AnyArguments, AnyRow};
use sqlx::query::Query;
use sqlx::{Any, AnyConnection, AssertSqlSafe, FromRow};

use super::address::Engine;

/// The largest chunk is 2^7 rows: with eighteen columns, far below the 32,766 parameters that SQLite allows.
const CHUNKS: usize = 8;

/// As long as the longest list of one statement of SQLite.
pub(super) const LIST_MAX: usize = 1_024;

/// The value of one column.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Blob(Vec<u8>),
    Text(String),
    Integer(i64),
    Null,
}

impl From<&[u8]> for Value {
    fn from(bytes: &[u8]) -> Self {
        Self::Blob(bytes.to_vec())
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}

impl<T: Into<Self>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Blob,
    Text,
    Integer,
}

impl Kind {
    const fn postgres_array(self) -> &'static str {
        match self {
            Self::Blob => "BYTEA[]",
            Self::Text => "TEXT[]",
            Self::Integer => "BIGINT[]",
        }
    }
}

/// A table that takes any number of rows.
#[derive(Debug)]
pub(super) struct Table {
    name: &'static str,
    columns: &'static [(&'static str, Kind)],
    chunked: [OnceLock<Arc<str>>; CHUNKS],
    arrays: OnceLock<Arc<str>>,
}

impl Table {
    pub(super) const fn new(name: &'static str, columns: &'static [(&'static str, Kind)]) -> Self {
        Self {
            name,
            columns,
            chunked: [const { OnceLock::new() }; CHUNKS],
            arrays: OnceLock::new(),
        }
    }

    /// Inserts the rows, each with a value for every column.
    pub(super) async fn insert(
        &self,
        engine: Engine,
        connection: &mut AnyConnection,
        rows: Vec<Vec<Value>>,
    ) -> Result<(), sqlx::Error> {
        if rows.is_empty() {
            return Ok(());
        }
        match engine {
            Engine::Sqlite => self.insert_chunks(connection, rows).await,
            Engine::Postgres => self.insert_arrays(connection, &rows).await,
        }
    }

    async fn insert_chunks(
        &self,
        connection: &mut AnyConnection,
        rows: Vec<Vec<Value>>,
    ) -> Result<(), sqlx::Error> {
        let mut rows = rows.into_iter();
        while rows.len() > 0 {
            let chunk = (rows.len().ilog2() as usize).min(CHUNKS - 1);
            let mut query = sqlx::query(AssertSqlSafe(self.chunked_sql(chunk)));
            for row in rows.by_ref().take(1 << chunk) {
                query = row.into_iter().zip(self.columns).fold(query, bind);
            }
            query.execute(&mut *connection).await?;
        }
        Ok(())
    }

    async fn insert_arrays(
        &self,
        connection: &mut AnyConnection,
        rows: &[Vec<Value>],
    ) -> Result<(), sqlx::Error> {
        let mut query = sqlx::query(AssertSqlSafe(self.arrays_sql()));
        for n in 0..self.columns.len() {
            query = query.bind(array(rows.iter().map(|row| &row[n])));
        }
        query.execute(connection).await?;
        Ok(())
    }

    fn head(&self) -> String {
        let names: Vec<_> = self.columns.iter().map(|(name, _)| *name).collect();
        format!("INSERT INTO {} ({})", self.name, names.join(", "))
    }

    /// The statement for 2^`chunk` rows: nothing in it comes from outside of this crate.
    fn chunked_sql(&self, chunk: usize) -> Arc<str> {
        let build = || {
            let row = format!("({})", marks(self.columns.len()));
            let rows = vec![row; 1 << chunk];
            format!("{} VALUES {}", self.head(), rows.join(", ")).into()
        };
        Arc::clone(self.chunked[chunk].get_or_init(build))
    }

    fn arrays_sql(&self) -> Arc<str> {
        let build = || {
            let arrays: Vec<_> = (1..)
                .zip(self.columns)
                .map(|(n, (_, kind))| format!("${n}::{}", kind.postgres_array()))
                .collect();
            format!(
                "{} SELECT * FROM unnest({})",
                self.head(),
                arrays.join(", ")
            )
            .into()
        };
        Arc::clone(self.arrays.get_or_init(build))
    }
}

type Bound<'q> = Query<'q, Any, AnyArguments>;

fn bind<'q>(query: Bound<'q>, (value, (_, kind)): (Value, &(&str, Kind))) -> Bound<'q> {
    match (value, kind) {
        (Value::Blob(bytes), _) => query.bind(bytes),
        (Value::Text(text), _) => query.bind(text),
        (Value::Integer(number), _) => query.bind(number),
        (Value::Null, Kind::Blob) => query.bind(None::<Vec<u8>>),
        (Value::Null, Kind::Text) => query.bind(None::<String>),
        (Value::Null, Kind::Integer) => query.bind(None::<i64>),
    }
}

/// An array as PostgreSQL reads it from text (PostgreSQL manual, 8.15.6): elements in double quotes, in which quotes and backslashes are
/// escaped; bytes as `\x` and hexadecimal digits (8.4.1).
fn array<'v>(values: impl Iterator<Item = &'v Value>) -> String {
    let mut text = String::from("{");
    for (n, value) in values.enumerate() {
        if n > 0 {
            text.push(',');
        }
        match value {
            Value::Null => text.push_str("NULL"),
            Value::Integer(number) => {
                // Writing to a string does not fail.
                let _ = write!(text, "{number}");
            }
            Value::Blob(bytes) => {
                text.push_str("\"\\\\x");
                text.push_str(&hex::encode(bytes));
                text.push('"');
            }
            Value::Text(value) => {
                text.push('"');
                for character in value.chars() {
                    if matches!(character, '"' | '\\') {
                        text.push('\\');
                    }
                    text.push(character);
                }
                text.push('"');
            }
        }
    }
    text.push('}');
    text
}

/// `?, ?, …`, for SQLite: it walks through all numbered parameters for each that is bound, and through none without a number.
fn marks(count: usize) -> String {
    vec!["?"; count].join(", ")
}

/// Rows that are found by one column.
///
/// On PostgreSQL through a function, because a station may see what others have entered only where it names it.
#[derive(Debug)]
pub(super) struct Lookup {
    /// What is read, separated by commas.
    pub(super) columns: &'static str,
    /// The table or view.
    pub(super) table: &'static str,
    /// The column that is compared.
    pub(super) column: &'static str,
    /// PostgreSQL's function: it takes the values one after the other and gives rows of the table.
    pub(super) function: &'static str,
}

impl Lookup {
    /// The rows whose column is one of `values`, in no order. All values are of one length.
    pub(super) async fn fetch<T>(
        &self,
        engine: Engine,
        connection: &mut AnyConnection,
        values: &[Vec<u8>],
    ) -> Result<Vec<T>, sqlx::Error>
    where
        T: for<'r> FromRow<'r, AnyRow> + Send + Unpin,
    {
        let mut found = Vec::new();
        // One value is looked for once.
        let mut values = values.to_vec();
        values.sort_unstable();
        values.dedup();
        for values in values.chunks(LIST_MAX) {
            let rows = match engine {
                Engine::Sqlite => self.select_in(connection, values).await?,
                Engine::Postgres => {
                    let sql = format!("SELECT {} FROM {}($1)", self.columns, self.function);
                    let query = sqlx::query_as(AssertSqlSafe(sql)).bind(values.concat());
                    query.fetch_all(&mut *connection).await?
                }
            };
            found.extend(rows);
        }
        Ok(found)
    }

    /// The list is filled up with its last value to a power of two, so that few statements are prepared.
    async fn select_in<T>(
        &self,
        connection: &mut AnyConnection,
        values: &[Vec<u8>],
    ) -> Result<Vec<T>, sqlx::Error>
    where
        T: for<'r> FromRow<'r, AnyRow> + Send + Unpin,
    {
        let length = values.len().next_power_of_two();
        let sql = format!(
            "SELECT {} FROM {} WHERE {} IN ({})",
            self.columns,
            self.table,
            self.column,
            marks(length)
        );
        let mut query = sqlx::query_as(AssertSqlSafe(sql));
        let last = values.last().cloned().unwrap_or_default();
        let filled = values.iter().chain(std::iter::repeat(&last));
        for value in filled.take(length) {
            query = query.bind(value.clone());
        }
        query.fetch_all(connection).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_array_keeps_quotes_backslashes_and_gaps() {
        let values = [
            Value::from("a \"b\" \\c, {d}"),
            Value::Null,
            Value::from(&[0xde, 0xad][..]),
            Value::from(-7),
        ];
        assert_eq!(
            array(values.iter()),
            r#"{"a \"b\" \\c, {d}",NULL,"\\xdead",-7}"#
        );
    }
}
