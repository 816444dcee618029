//! The registry's schema: bringing it up to date, and whether this software may use it.

use std::time::Duration;

use sqlx::error::DatabaseError;
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::{AnyConnection, Connection as _};

use super::RegistryError;
use super::address::{Engine, RegistryAddress};
use super::connections::{Connections, within};
use super::constraint::{Meaning, meaning};

static PORTABLE: Migrator = sqlx::migrate!("../migrations/registry");

/// Roles, policies and what else only PostgreSQL has. Their numbers are above those of the portable ones: both are listed in one table.
static POSTGRES: Migrator = sqlx::migrate!("../migrations/registry-postgres");

/// The version of this software towards the schema. A migration that makes older software unsafe raises `min_client` to it.
pub(super) const CLIENT: i64 = 1;

/// The oldest schema that this software can use.
pub(super) const SCHEMA_MIN: i64 = 5;

/// Whoever waits for a table in a migration keeps all stations waiting behind him: shorter than they wait for an answer.
const LOCK_TIMEOUT: &str = "SET lock_timeout = '5s'";

/// How often a migration is tried that others were in the way of, and the wait between.
const ATTEMPTS_MAX: u32 = 10;
const WAIT: Duration = Duration::from_millis(500);

/// What became of a schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Migrated {
    /// The schema before, 0 where there was none.
    pub from: i64,
    /// The schema now.
    pub to: i64,
}

/// Brings a registry's schema up to date: by whoever owns it, on PostgreSQL with the right to make roles. Each migration is one
/// transaction, so that one which is killed half-way is carried out anew.
///
/// # Errors
/// [`RegistryError::Migration`], or where the database can't be reached.
pub async fn migrate(address: RegistryAddress) -> Result<Migrated, RegistryError> {
    let mut attempt = 0;
    // What was there before the first attempt: each leaves what it has done.
    let mut from = None;
    loop {
        attempt += 1;
        match migrate_once(address.clone(), &mut from).await {
            Err(RegistryError::Migration(error))
                if attempt < ATTEMPTS_MAX && is_in_the_way(&error) =>
            {
                tracing::warn!(registry.attempt = attempt, registry.error = %error, "others were in the way of a migration");
                tokio::time::sleep(WAIT).await;
            }
            outcome => return outcome,
        }
    }
}

async fn migrate_once(
    address: RegistryAddress,
    from: &mut Option<i64>,
) -> Result<Migrated, RegistryError> {
    let engine = address.engine;
    let connections = Connections::new(address);
    let mut connection = connections.open_any_schema().await?;
    if engine == Engine::Postgres {
        let limited = sqlx::query(LOCK_TIMEOUT).execute(&mut connection);
        within("limiting how long a migration waits", limited).await?;
    }
    let found = version(&mut connection)
        .await?
        .map_or(0, |(schema, _)| schema);
    let from = *from.get_or_insert(found);
    bring_up_to_date(&mut connection, engine).await?;
    let to = version(&mut connection)
        .await?
        .map_or(0, |(schema, _)| schema);
    // Everything is committed; a farewell that fails changes nothing.
    let _ = connection.close().await;
    Ok(Migrated { from, to })
}

/// Whether a migration lost against stations that were writing, and was undone: trying again helps.
fn is_in_the_way(error: &MigrateError) -> bool {
    let (MigrateError::Execute(source) | MigrateError::ExecuteMigration(source, _)) = error else {
        return false;
    };
    let code = source.as_database_error().and_then(DatabaseError::code);
    let constraint = source
        .as_database_error()
        .and_then(DatabaseError::constraint);
    // PostgreSQL: 55P03 lock not available, which the limit above leads to. A migration that was killed may still be making the very
    // table that this one makes: `IF NOT EXISTS` does not see it.
    meaning(source) == Meaning::Lost
        || code.as_deref() == Some("55P03")
        || constraint == Some("pg_type_typname_nsp_index")
}

/// A newer schema is left alone, as long as it says that this software may write. No advisory lock: not every engine has them.
pub(super) async fn bring_up_to_date(
    connection: &mut AnyConnection,
    engine: Engine,
) -> Result<(), RegistryError> {
    let mut all = PORTABLE.migrations.to_vec();
    if engine == Engine::Postgres {
        all.extend(POSTGRES.migrations.iter().cloned());
    }
    let mut migrator = Migrator {
        migrations: all.into(),
        ..Migrator::DEFAULT
    };
    migrator.set_ignore_missing(true).set_locking(false);
    // Not `run`, whose future the compiler can't prove to be `Send`.
    migrator
        .run_direct(None, &mut *connection, false)
        .await
        .map_err(RegistryError::Migration)?;
    check(connection).await
}

/// Whether this software may use the schema.
pub(super) async fn check(connection: &mut AnyConnection) -> Result<(), RegistryError> {
    match version(connection).await? {
        None => Err(RegistryError::NoSchema {
            expected: SCHEMA_MIN,
            found: 0,
        }),
        Some((_, needed)) if needed > CLIENT => Err(RegistryError::TooNew {
            needed,
            ours: CLIENT,
        }),
        Some((found, _)) if found < SCHEMA_MIN => Err(RegistryError::NoSchema {
            expected: SCHEMA_MIN,
            found,
        }),
        Some(_) => Ok(()),
    }
}

/// The schema and the oldest software that may use it; `None` where there is none.
pub(super) async fn version(
    connection: &mut AnyConnection,
) -> Result<Option<(i64, i64)>, RegistryError> {
    let asked =
        sqlx::query_as("SELECT schema, min_client FROM meta WHERE id = 1").fetch_one(connection);
    match within("reading the schema's version", asked).await {
        Ok(found) => Ok(Some(found)),
        Err(RegistryError::Database { source, .. }) if is_no_table(&source) => Ok(None),
        Err(error) => Err(error),
    }
}

/// PostgreSQL: 42P01 undefined table (manual, appendix A). SQLite says it in words only.
fn is_no_table(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|error| {
        error.code().as_deref() == Some("42P01") || error.message().starts_with("no such table")
    })
}
