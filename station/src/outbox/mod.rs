//! Enters in the registry what was held while it was out of reach: exactly once, in the order of the journal, many units side by side.
//!
//! The journal's outbox says which runs wait. Claim and proof are made again from what their steps left behind, so that nothing is kept
//! twice. The registry accepts the same claim and the same proof as often as they come; so whatever is interrupted between its answer
//! and the leaf is asked again, and converges. Requests travel side by side, and the registry takes all that wait into one transaction:
//! that is how they are pinned in bulk.
//!
//! - `rebuild` makes claim and proof again; `settle` takes one unit's runs to the registry and the answers to the journal;
//! - [`Synchroniser`] makes rounds over the outbox, and waits between them while the link is down;
//! - [`Background`] does so beside a line, and once more at its end.

mod background;
mod backoff;
mod rebuild;
mod refusal;
mod settle;
mod synchroniser;

pub use background::Background;
pub use backoff::Backoff;
pub use synchroniser::{Report, Synchroniser, tell_waiting};

pub(crate) use refusal::other_party;

use std::time::Duration;

use crate::journal::JournalError;
use crate::registry::RegistryError;

/// How long one question to the registry may take. An honest answer takes milliseconds; a link that swallows packets gives none at all.
const ANSWER_PATIENCE: Duration = Duration::from_secs(10);

/// Why the outbox can't be worked on.
#[derive(Debug, thiserror::Error)]
pub enum OutboxError {
    /// The journal can't be read or written.
    #[error("the journal refused")]
    Journal(#[from] JournalError),
    /// A part of the work ended in a way that it never should.
    #[error("a part of the work on the outbox was lost")]
    Lost(#[source] tokio::task::JoinError),
}

/// Why the registry took nothing at this moment; the same question may be answered later.
#[derive(Debug, thiserror::Error)]
pub enum RegistryTrouble {
    /// It can't be reached, or it has trouble of its own.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// It is reached and says nothing.
    #[error("the registry gave no answer within {} s", .0.as_secs())]
    Silent(Duration),
}

/// Asks the registry, and waits no longer than an honest answer takes.
async fn ask<T>(
    question: impl Future<Output = Result<T, RegistryError>>,
) -> Result<Result<T, RegistryError>, RegistryTrouble> {
    match tokio::time::timeout(ANSWER_PATIENCE, question).await {
        Ok(Err(error)) if error.is_temporary() => Err(error.into()),
        Ok(answer) => Ok(answer),
        Err(_) => Err(RegistryTrouble::Silent(ANSWER_PATIENCE)),
    }
}
