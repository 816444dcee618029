//! The one connection that writes. It takes everything that waits into one transaction; a conflict in a batch is refused before
//! anything is written, so that it doesn't hurt the others.

use std::sync::Arc;
use std::time::Duration;

use sqlx::{AnyConnection, Connection as _};
use tokio::sync::mpsc;

use super::RegistryError;
use super::address::Engine;
use super::connections::{ANSWER_MAX, Connections};
use super::constraint::{Meaning, explained, meaning};
use super::decide::Decision;
use super::known::Writes;
use super::request::{Act, Outcome, Request};
use super::store::{self, StoreError};

/// How many requests one transaction takes at most.
const BATCH_MAX: usize = 512;

/// How often a transaction that lost against another station is tried: with the waits below, for about a second and a half.
const ATTEMPTS_MAX: u32 = 10;

/// The first wait between attempts; it doubles up to 256 ms, and a random part of as much again is added.
const WAIT: Duration = Duration::from_millis(2);

/// How long a farewell may take: a server that is gone does not answer one.
const FAREWELL_MAX: Duration = Duration::from_secs(3);

const DOING: &str = "writing claims and pins";

/// The writer and its connection.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) connections: Arc<Connections>,
    pub(super) connection: Option<AnyConnection>,
}

/// What each request of a batch gets.
type Outcomes = Vec<Result<Outcome, RegistryError>>;

impl Writer {
    /// Serves until it is told to close or nobody can ask any more.
    pub(super) async fn run(mut self, mut requests: mpsc::Receiver<Request>) {
        let mut batch = Vec::with_capacity(BATCH_MAX);
        let mut closing = Vec::new();
        while closing.is_empty() && requests.recv_many(&mut batch, BATCH_MAX).await > 0 {
            let outcomes = self.carry_out(&batch).await;
            for (request, outcome) in batch.drain(..).zip(outcomes) {
                if matches!(request.act, Act::Close) {
                    closing.push(request.reply);
                    continue;
                }
                // Whoever asked may have gone away.
                let _ = request.reply.send(outcome);
            }
        }
        if let Some(connection) = self.connection.take() {
            match tokio::time::timeout(FAREWELL_MAX, connection.close()).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    tracing::warn!(registry.error = %error, "the registry was not closed in good order");
                }
                Err(_) => tracing::warn!("the registry did not answer when it was closed"),
            }
        }
        // Only now: who closed a file may copy or move it at once.
        for reply in closing {
            let _ = reply.send(Ok(Outcome::Closed));
        }
    }

    /// Carries out a batch; where the batch as a whole can't be written, each request alone, so that one doesn't hurt the others.
    async fn carry_out(&mut self, batch: &[Request]) -> Outcomes {
        match self.transact(batch).await {
            Ok(outcomes) => outcomes,
            Err(error) if batch.len() == 1 || error.is_temporary() => {
                let others = batch.iter().skip(1).map(|_| Err(again(&error)));
                let mut outcomes: Outcomes = others.collect();
                outcomes.insert(0, Err(error));
                outcomes
            }
            Err(_) => {
                let mut outcomes = Vec::with_capacity(batch.len());
                for request in batch {
                    let alone = self.transact(std::slice::from_ref(request)).await;
                    outcomes
                        .push(alone.and_then(|mut one| one.pop().unwrap_or(Ok(Outcome::Closed))));
                }
                outcomes
            }
        }
    }

    /// One transaction, tried anew where it lost against another.
    async fn transact(&mut self, batch: &[Request]) -> Result<Outcomes, RegistryError> {
        for attempt in 0..ATTEMPTS_MAX {
            let error = match self.attempt(batch).await {
                Ok(outcomes) => return Ok(outcomes),
                Err(error) => error,
            };
            // What state the transaction is in is not known: the next one gets a connection of its own.
            self.connection = None;
            match error {
                StoreError::Damaged(what, expected, found) => {
                    return Err(RegistryError::Damaged {
                        what,
                        expected,
                        found,
                    });
                }
                StoreError::Refused(error) => return Err(*error),
                StoreError::Database(error) if meaning(&error) == Meaning::Lost => {
                    tracing::debug!(registry.attempt = attempt, registry.error = %error, "lost against another station");
                    let wait = WAIT.saturating_mul(1 << attempt.min(7));
                    tokio::time::sleep(wait + wait.mul_f64(rand::random())).await;
                }
                StoreError::Database(error) => return Err(explained(DOING)(error)),
            }
        }
        Err(RegistryError::Busy {
            attempts: ATTEMPTS_MAX,
        })
    }

    async fn attempt(&mut self, batch: &[Request]) -> Result<Outcomes, StoreError> {
        let engine = self.connections.engine();
        let connection = match self.connection.take() {
            Some(connection) => self.connection.insert(connection),
            None => self.connection.insert(self.connections.open().await?),
        };
        let carried_out = carry_out(engine, connection, batch);
        tokio::time::timeout(ANSWER_MAX, carried_out)
            .await
            .unwrap_or_else(|_| Err(StoreError::from(RegistryError::silent(DOING))))
    }
}

/// Reads, decides and writes one batch. `BEGIN` is as each engine wants it, so that no other transaction can come between reading and
/// writing.
async fn carry_out(
    engine: Engine,
    connection: &mut AnyConnection,
    batch: &[Request],
) -> Result<Outcomes, StoreError> {
    let begin = match engine {
        Engine::Sqlite => "BEGIN IMMEDIATE",
        Engine::Postgres => "BEGIN ISOLATION LEVEL SERIALIZABLE",
    };
    sqlx::query(begin).execute(&mut *connection).await?;
    let mut decision = Decision {
        known: store::read(engine, connection, batch).await?,
        writes: Writes::default(),
        now_ms: crate::clock::wall_ms(),
    };
    let outcomes = batch
        .iter()
        .map(|request| decision.decide(&request.act))
        .collect();
    if decision.writes.is_empty() {
        sqlx::query("ROLLBACK").execute(&mut *connection).await?;
        return Ok(outcomes);
    }
    store::write(engine, connection, decision).await?;
    sqlx::query("COMMIT").execute(&mut *connection).await?;
    Ok(outcomes)
}

/// The same temporary error, for the others of a batch.
fn again(error: &RegistryError) -> RegistryError {
    match error {
        RegistryError::Busy { attempts } => RegistryError::Busy {
            attempts: *attempts,
        },
        other => RegistryError::Unreachable {
            doing: DOING,
            source: sqlx::Error::Protocol(other.to_string()),
        },
    }
}
