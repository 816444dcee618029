//! Statements of many rows, the same on both engines. Rows go in chunks whose sizes are powers of two: few calls, and few statements
//! to prepare.

use std::sync::{Arc, OnceLock};

use sqlx::any::{AnyArguments, AnyRow};
use sqlx::query::Query;
use sqlx::{Any, AnyConnection, AssertSqlSafe, FromRow};

/// The largest chunk is 2^7 rows: with fourteen columns, far below the 32,766 parameters that SQLite allows.
const CHUNKS: usize = 8;

/// A query whose parameters are being bound.
pub(super) type Bound<'q> = Query<'q, Any, AnyArguments>;

/// An `INSERT` of any number of rows.
#[derive(Debug)]
pub(super) struct Bulk {
    /// Up to and with `VALUES`.
    head: &'static str,
    /// How many columns.
    columns: usize,
    /// What follows the rows.
    tail: &'static str,
    sql: [OnceLock<Arc<str>>; CHUNKS],
}

impl Bulk {
    pub(super) const fn new(head: &'static str, columns: usize, tail: &'static str) -> Self {
        Self {
            head,
            columns,
            tail,
            sql: [const { OnceLock::new() }; CHUNKS],
        }
    }

    /// The statement for 2^`chunk` rows: nothing in it comes from outside of this crate.
    fn sql(&self, chunk: usize) -> Arc<str> {
        let build = || {
            let row = |n: usize| format!("({})", marks(n * self.columns, self.columns));
            let rows: Vec<_> = (0..1 << chunk).map(row).collect();
            format!("{} {} {}", self.head, rows.join(", "), self.tail).into()
        };
        Arc::clone(self.sql[chunk].get_or_init(build))
    }

    /// Writes the rows; `bind` binds the columns of one.
    pub(super) async fn run<T>(
        &self,
        connection: &mut AnyConnection,
        rows: impl ExactSizeIterator<Item = T>,
        bind: impl for<'q> Fn(Bound<'q>, T) -> Bound<'q>,
    ) -> Result<(), sqlx::Error> {
        let mut rows = rows;
        while rows.len() > 0 {
            let chunk = (rows.len().ilog2() as usize).min(CHUNKS - 1);
            let mut query = sqlx::query(AssertSqlSafe(self.sql(chunk)));
            for row in rows.by_ref().take(1 << chunk) {
                query = bind(query, row);
            }
            query.execute(&mut *connection).await?;
        }
        Ok(())
    }
}

/// `$first+1, $first+2, …`
fn marks(first: usize, count: usize) -> String {
    let marks: Vec<_> = (first + 1..=first + count)
        .map(|n| format!("${n}"))
        .collect();
    marks.join(", ")
}

/// Reads the rows whose column is one of `values`: `head` ends with `IN`. The list is filled up with its last value to a power of two,
/// so that few statements are prepared.
pub(super) async fn select_in<T>(
    connection: &mut AnyConnection,
    (head, tail): (&str, &str),
    values: &[Vec<u8>],
) -> Result<Vec<T>, sqlx::Error>
where
    T: for<'r> FromRow<'r, AnyRow> + Send + Unpin,
{
    /// As large as the largest batch.
    const LIST_MAX: usize = 1_024;
    let mut found = Vec::new();
    for values in values.chunks(LIST_MAX) {
        let length = values.len().next_power_of_two();
        let sql = format!("{head} ({}) {tail}", marks(0, length));
        let mut query = sqlx::query_as(AssertSqlSafe(sql));
        let last = values.last().cloned().unwrap_or_default();
        let filled = values.iter().chain(std::iter::repeat(&last));
        for value in filled.take(length) {
            query = query.bind(value.clone());
        }
        found.extend(query.fetch_all(&mut *connection).await?);
    }
    Ok(found)
}
