//! Connections to the registry's database: opened where writes are taken, looked at before they are used again, and never waited for
//! without an end.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use sqlx::any::{AnyArguments, AnyConnectOptions, AnyRow};
use sqlx::query::QueryAs;
use sqlx::{Any, AnyConnection, ConnectOptions as _, Connection as _, FromRow};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::RegistryError;
use super::address::{Engine, RegistryAddress};
use super::constraint::{Meaning, explained, meaning};
use super::rows::Lookup;
use super::schema;

/// Connections for questions.
const READERS_MAX: usize = 4;

/// How long one server may take to answer the first time: a machine that is gone does not answer at all.
const CONNECT_MAX: Duration = Duration::from_secs(3);

/// Between attempts to change the mode of a file that somebody else is opening.
const WAL_WAIT: Duration = Duration::from_millis(20);

/// How long a question waits for a connection of its own.
const PLACE_MAX: Duration = Duration::from_secs(5);

/// How long a server that is connected may be silent: longer than any statement of this module takes.
pub(super) const ANSWER_MAX: Duration = Duration::from_secs(20);

/// The connections of one handle.
#[derive(Debug)]
pub(super) struct Connections {
    address: RegistryAddress,
    /// Which server took writes the last time.
    latest: AtomicUsize,
    idle: Mutex<Vec<AnyConnection>>,
    places: Semaphore,
}

impl Connections {
    pub(super) fn new(address: RegistryAddress) -> Self {
        Self {
            address,
            latest: AtomicUsize::new(0),
            idle: Mutex::new(Vec::new()),
            places: Semaphore::new(READERS_MAX),
        }
    }

    pub(super) const fn engine(&self) -> Engine {
        self.address.engine
    }

    /// A connection to the server that takes writes, whose schema this software knows.
    pub(super) async fn open(&self) -> Result<AnyConnection, RegistryError> {
        let mut connection = self.open_any_schema().await?;
        if self.engine() == Engine::Postgres {
            schema::check(&mut connection).await?;
        }
        Ok(connection)
    }

    /// The same, whatever the schema is.
    pub(super) async fn open_any_schema(&self) -> Result<AnyConnection, RegistryError> {
        let servers = &self.address.servers;
        let first = self.latest.load(Ordering::Relaxed);
        let mut failure = RegistryError::Closed;
        for n in (0..servers.len()).map(|n| (first + n) % servers.len()) {
            match open_server(self.engine(), &servers[n], servers.len() > 1).await {
                Ok(connection) => {
                    self.latest.store(n, Ordering::Relaxed);
                    return Ok(connection);
                }
                Err(error) => {
                    tracing::debug!(registry.server = n, registry.error = %error, "a server was not taken");
                    failure = error;
                }
            }
        }
        Err(failure)
    }

    /// The rows that answer a question.
    pub(super) async fn fetch<T>(
        &self,
        doing: &'static str,
        question: QueryAs<'_, Any, T, AnyArguments>,
    ) -> Result<Vec<T>, RegistryError>
    where
        T: for<'r> FromRow<'r, AnyRow> + Send + Unpin,
    {
        let mut lent = self.lend().await?;
        let asked = question.fetch_all(&mut lent.connection);
        let rows = within(doing, asked).await?;
        self.give_back(lent);
        Ok(rows)
    }

    /// The rows that a lookup finds for these values.
    pub(super) async fn look_up<T>(
        &self,
        doing: &'static str,
        lookup: &Lookup,
        values: &[Vec<u8>],
    ) -> Result<Vec<T>, RegistryError>
    where
        T: for<'r> FromRow<'r, AnyRow> + Send + Unpin,
    {
        let mut lent = self.lend().await?;
        let asked = lookup.fetch(self.engine(), &mut lent.connection, values);
        let rows = within(doing, asked).await?;
        self.give_back(lent);
        Ok(rows)
    }

    /// A connection for a question; others wait while all are in use.
    async fn lend(&self) -> Result<Lent<'_>, RegistryError> {
        let place = tokio::time::timeout(PLACE_MAX, self.places.acquire()).await;
        let place = match place {
            Ok(Ok(place)) => place,
            Ok(Err(_)) => return Err(RegistryError::Closed),
            Err(_) => return Err(RegistryError::silent("waiting for a connection")),
        };
        loop {
            let idle = lock(&self.idle).pop();
            let Some(mut connection) = idle else { break };
            // A server that was restarted has forgotten it.
            let alive = tokio::time::timeout(CONNECT_MAX, connection.ping()).await;
            if matches!(alive, Ok(Ok(()))) {
                return Ok(Lent {
                    connection,
                    _place: place,
                });
            }
        }
        Ok(Lent {
            connection: self.open().await?,
            _place: place,
        })
    }

    /// Only after an answer: a connection that failed, or was left in the middle, is not used again.
    fn give_back(&self, lent: Lent<'_>) {
        lock(&self.idle).push(lent.connection);
    }

    /// Lets go of every connection; whoever asks then finds it closed.
    pub(super) async fn close(&self) {
        self.places.close();
        let idle = std::mem::take(&mut *lock(&self.idle));
        for connection in idle {
            if let Err(error) = connection.close().await {
                tracing::warn!(registry.error = %error, "a connection was not closed in good order");
            }
        }
    }
}

/// A connection that is in use, and the place that it takes.
struct Lent<'c> {
    connection: AnyConnection,
    _place: SemaphorePermit<'c>,
}

/// What was asked for, unless the server stays silent for too long.
pub(super) async fn within<T>(
    doing: &'static str,
    asked: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, RegistryError> {
    tokio::time::timeout(ANSWER_MAX, asked)
        .await
        .unwrap_or_else(|_| Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())))
        .map_err(explained(doing))
}

async fn open_server(
    engine: Engine,
    options: &AnyConnectOptions,
    one_of_several: bool,
) -> Result<AnyConnection, RegistryError> {
    const DOING: &str = "connecting";
    let connecting = async {
        let mut connection = options.connect().await.map_err(explained(DOING))?;
        match engine {
            // Stays with the file. `synchronous` is FULL where nobody says otherwise.
            Engine::Sqlite => begin_wal(&mut connection).await.map_err(explained(DOING))?,
            Engine::Postgres => {
                // Below the time limits of this module, so that one locked row is told from a silent server.
                sqlx::query("SET lock_timeout = '2s'")
                    .execute(&mut connection)
                    .await
                    .map_err(explained(DOING))?;
                if !one_of_several {
                    return Ok(connection);
                }
                // A standby answers too; it takes no writes.
                let read_only: String = sqlx::query_scalar("SHOW transaction_read_only")
                    .fetch_one(&mut connection)
                    .await
                    .map_err(explained(DOING))?;
                if read_only != "off" {
                    return Err(RegistryError::silent(
                        "looking for the server that takes writes",
                    ));
                }
            }
        }
        Ok(connection)
    };
    tokio::time::timeout(CONNECT_MAX, connecting)
        .await
        .unwrap_or_else(|_| Err(RegistryError::silent(DOING)))
}

/// Changing the journal's mode is refused at once while somebody else is at the file, whatever the time limit for locks is.
async fn begin_wal(connection: &mut AnyConnection) -> Result<(), sqlx::Error> {
    let begun = Instant::now();
    loop {
        let done = sqlx::query("PRAGMA journal_mode = WAL").execute(&mut *connection);
        match done.await {
            Err(error) if meaning(&error) == Meaning::Lost && begun.elapsed() < CONNECT_MAX / 2 => {
                tokio::time::sleep(WAL_WAIT).await;
            }
            done => return done.map(drop),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
