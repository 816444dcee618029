//! Statements of many rows. Calling the database costs more than a row does, so rows go in chunks whose sizes are powers of two: few
//! calls, and few statements to prepare.

use std::sync::{Arc, OnceLock};

use sqlx::query::Query;
use sqlx::sqlite::SqliteArguments;
use sqlx::{AssertSqlSafe, Sqlite, SqliteConnection};

use super::JournalError;
use super::error::database;

/// The largest chunk is 2^8 rows: with ten columns, far below the 32,766 parameters that SQLite allows.
const CHUNKS: usize = 9;

/// A query whose parameters are being bound.
pub(super) type Bound<'q> = Query<'q, Sqlite, SqliteArguments>;

/// An `INSERT` of any number of rows.
#[derive(Debug)]
pub(super) struct Bulk {
    /// What is being done, for an error.
    doing: &'static str,
    /// Up to and with `VALUES`.
    head: &'static str,
    /// How many columns.
    columns: usize,
    /// What follows the rows.
    tail: &'static str,
    sql: [OnceLock<Arc<str>>; CHUNKS],
}

impl Bulk {
    pub(super) const fn new(
        doing: &'static str,
        head: &'static str,
        columns: usize,
        tail: &'static str,
    ) -> Self {
        Self {
            doing,
            head,
            columns,
            tail,
            sql: [const { OnceLock::new() }; CHUNKS],
        }
    }

    /// The statement for 2^`chunk` rows: nothing in it comes from outside of this crate.
    fn sql(&self, chunk: usize) -> Arc<str> {
        let build = || {
            let row = format!("({})", vec!["?"; self.columns].join(", "));
            let rows = vec![row; 1 << chunk].join(", ");
            format!("{} {rows} {}", self.head, self.tail).into()
        };
        Arc::clone(self.sql[chunk].get_or_init(build))
    }

    /// Writes the rows; `bind` binds the columns of one.
    pub(super) async fn run<T>(
        &self,
        connection: &mut SqliteConnection,
        rows: impl ExactSizeIterator<Item = T>,
        bind: impl for<'q> Fn(Bound<'q>, T) -> Bound<'q>,
    ) -> Result<(), JournalError> {
        let mut rows = rows;
        while rows.len() > 0 {
            let chunk = (rows.len().ilog2() as usize).min(CHUNKS - 1);
            let mut query = sqlx::query(AssertSqlSafe(self.sql(chunk)));
            for row in rows.by_ref().take(1 << chunk) {
                query = bind(query, row);
            }
            query
                .execute(&mut *connection)
                .await
                .map_err(database(self.doing))?;
        }
        Ok(())
    }
}
