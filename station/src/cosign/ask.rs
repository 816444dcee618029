//! One question to one witness, or to the registry.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::audit::Checkpoint;
use crate::error_text::chain;
use crate::record::StationId;
use crate::registry::{LogCheckpoint, Registry, RegistryError};
use crate::tiles::LogReader;
use crate::witness::{WitnessClient, WitnessError};

/// How often the same question is asked anew, because the witness has cosigned another size than was thought.
const TRIES_MAX: u32 = 3;

/// What somebody said of a checkpoint.
pub(super) enum Answer {
    /// It follows from what he has seen.
    Cosigned {
        /// His verifier key.
        witness: String,
        /// His signature line.
        line: String,
        /// When he signed, in seconds since 1970.
        time_s: u64,
    },
    /// Nothing of use.
    Refused(Refusal),
}

/// Why somebody did not take a checkpoint.
pub(super) enum Refusal {
    /// He has seen another log of this name, or a larger one.
    Disputed(String),
    /// Nothing that counts, and why.
    Silent(String),
}

/// A witness, and what it is thought to have cosigned last.
pub(super) struct Asked {
    client: WitnessClient,
    known_size: AtomicU64,
}

impl Asked {
    pub(super) const fn new(client: WitnessClient) -> Self {
        Self {
            client,
            known_size: AtomicU64::new(0),
        }
    }

    /// Asks for a cosignature of the checkpoint of `size` leaves.
    pub(super) async fn ask(
        &self,
        log: &LogReader,
        note: &str,
        size: u64,
        patience: Duration,
    ) -> Answer {
        let name = self.client.key().name();
        match tokio::time::timeout(patience, self.tries(log, note, size)).await {
            Ok(answer) => answer,
            Err(_) => silent(format!("witness {name} did not answer in time")),
        }
    }

    async fn tries(&self, log: &LogReader, note: &str, size: u64) -> Answer {
        let name = self.client.key().name();
        for _ in 0..TRIES_MAX {
            let old_size = self.known_size.load(Ordering::SeqCst);
            let proof = match log.consistency(old_size, size).await {
                Ok(proof) => proof,
                Err(error) => return silent(format!("no proof: {}", chain(&error))),
            };
            match self.client.add_checkpoint(old_size, &proof, note).await {
                Ok(cosignature) => {
                    self.known_size.store(size, Ordering::SeqCst);
                    return Answer::Cosigned {
                        witness: self.client.key().to_string(),
                        line: cosignature.line.to_string(),
                        time_s: cosignature.time_s,
                    };
                }
                Err(WitnessError::Conflict { size: theirs, .. }) if theirs > size => {
                    return disputed(format!(
                        "witness {name} has seen {theirs} leaves of this log, which has {size} here"
                    ));
                }
                Err(WitnessError::Conflict { size: theirs, .. }) => {
                    self.known_size.store(theirs, Ordering::SeqCst);
                }
                Err(error @ WitnessError::Inconsistent { .. }) => {
                    return disputed(format!(
                        "witness {name} has seen another log of this name at {old_size} leaves: {}",
                        chain(&error)
                    ));
                }
                Err(error) => return silent(chain(&error)),
            }
        }
        silent(format!(
            "witness {name} names another size each time it is asked"
        ))
    }
}

fn silent(words: String) -> Answer {
    Answer::Refused(Refusal::Silent(words))
}

fn disputed(words: String) -> Answer {
    Answer::Refused(Refusal::Disputed(words))
}

/// Enters a checkpoint in the registry, after a look at whether it continues what stands there.
pub(super) async fn enter(
    registry: &Registry,
    log: &LogReader,
    station: StationId,
    note: &str,
    checkpoint: &Checkpoint,
) -> Result<(), Refusal> {
    let silent =
        |error: &dyn std::error::Error| Refusal::Silent(format!("the registry: {}", chain(error)));
    let origin = &checkpoint.origin;
    let latest = registry.latest_checkpoint(origin).await;
    if let Some(latest) = latest.map_err(|error| silent(&error))?
        && latest.size <= checkpoint.size
    {
        let ours = log
            .root(latest.size)
            .await
            .map_err(|error| silent(&error))?;
        if ours != latest.root {
            return Err(Refusal::Disputed(format!(
                "the registry has another log named {origin}: at {} leaves its root is {}, here it is {}",
                latest.size,
                hex::encode(latest.root),
                hex::encode(ours)
            )));
        }
    }
    let entered = registry.enter_checkpoint(LogCheckpoint {
        origin: origin.clone(),
        station,
        size: checkpoint.size,
        root: checkpoint.root,
        note: note.to_owned(),
    });
    match entered.await {
        Ok(_) => Ok(()),
        Err(
            error @ (RegistryError::LogRolledBack { .. }
            | RegistryError::LogForked { .. }
            | RegistryError::OriginOfAnother { .. }),
        ) => Err(Refusal::Disputed(chain(&error))),
        Err(error) => Err(silent(&error)),
    }
}
