//! Opening the registry: which engine, its schema, and the connections.

use std::str::FromStr as _;
use std::time::Duration;

use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::migrate::Migrator;
use sqlx::{AnyConnection, AnyPool, ConnectOptions as _};

use super::RegistryError;
use super::constraint::explained;
use super::writer::Writer;

static MIGRATIONS: Migrator = sqlx::migrate!("../migrations/registry");

/// The schema version that this software can write. It grows when a migration makes older software unsafe.
const CLIENT: i64 = 1;

/// Connections for questions.
const READERS_MAX: u32 = 4;

/// How long a question waits for a connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);

/// Connects, and brings the schema up to date.
pub(super) async fn connect(url: &str) -> Result<(Writer, AnyPool), RegistryError> {
    sqlx::any::install_default_drivers();
    let scheme = url.split(':').next().unwrap_or_default();
    let bad_address = || RegistryError::BadAddress {
        scheme: scheme.to_owned(),
    };
    let sqlite = scheme == "sqlite";
    let url = match scheme {
        "sqlite" if !url.contains('?') => format!("{url}?mode=rwc"),
        "sqlite" | "postgres" | "postgresql" => url.to_owned(),
        _ => return Err(bad_address()),
    };
    let options = AnyConnectOptions::from_str(&url)
        .map_err(|_| bad_address())?
        .disable_statement_logging();
    let mut connection = options.connect().await.map_err(explained("connecting"))?;
    if sqlite {
        // Stays with the file. `synchronous` is FULL where nobody says otherwise.
        sqlx::query("PRAGMA journal_mode = WAL")
            .execute(&mut connection)
            .await
            .map_err(explained("connecting"))?;
    }
    migrate(&mut connection).await?;
    // No time limits, for the reason that the journal's reader gives: a broken connection is found when it is next taken.
    let pool = AnyPoolOptions::new()
        .idle_timeout(None)
        .max_lifetime(None)
        .max_connections(READERS_MAX)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .connect_lazy_with(options.clone());
    let writer = Writer {
        options,
        begin: if sqlite {
            "BEGIN IMMEDIATE"
        } else {
            "BEGIN ISOLATION LEVEL SERIALIZABLE"
        },
        connection: Some(connection),
    };
    Ok((writer, pool))
}

/// A newer schema is left alone, as long as it says that this software may write. No advisory lock: not every engine has them.
async fn migrate(connection: &mut AnyConnection) -> Result<(), RegistryError> {
    let mut migrator = Migrator {
        migrations: MIGRATIONS.migrations.clone(),
        ..Migrator::DEFAULT
    };
    migrator.set_ignore_missing(true).set_locking(false);
    migrator
        .run(&mut *connection)
        .await
        .map_err(RegistryError::Migration)?;
    let needed: i64 = sqlx::query_scalar("SELECT min_client FROM meta WHERE id = 1")
        .fetch_one(connection)
        .await
        .map_err(explained("reading the schema's version"))?;
    if needed > CLIENT {
        return Err(RegistryError::TooNew {
            needed,
            ours: CLIENT,
        });
    }
    Ok(())
}
