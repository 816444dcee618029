//! One unit's runs: to the registry, and its answer to the journal. What is told is on disk.

use super::rebuild::{Rebuilt, rebuild};
use super::{RegistryTrouble, ask, refusal};
use crate::journal::{Journal, JournalError, WaitingRun};
use crate::record::{Change, Failure, Labelled, Run};
use crate::registry::{Registry, RegistryError};

/// What became of a run that waited.
#[derive(Debug)]
pub(super) enum Outcome {
    /// The registry trusts the unit.
    Released,
    /// The registry never will; the unit is set apart.
    Refused(Failure),
    /// Somebody else dealt with it meanwhile: another round, a later run, or a person.
    Elsewhere,
    /// It waits on: the registry could not be asked, or had trouble of its own.
    Waits(RegistryTrouble),
}

/// A run that was dealt with.
#[derive(Debug)]
pub(super) struct Dealt {
    pub(super) waiting: WaitingRun,
    pub(super) run: Option<Run>,
    pub(super) outcome: Outcome,
}

/// Deals with a unit's runs, one after the other: a later one stands on what the earlier ones have entered. Ends with the first that
/// the registry did not take.
pub(super) async fn unit(
    journal: &Journal,
    registry: &Registry,
    runs: Vec<WaitingRun>,
) -> Result<Vec<Dealt>, JournalError> {
    let mut dealt = Vec::with_capacity(runs.len());
    for waiting in runs {
        let (run, rebuilt) = rebuild(journal, &waiting).await?;
        let outcome = match rebuilt {
            Ok(rebuilt) => settle(journal, registry, &waiting, *rebuilt).await?,
            Err(words) => refuse(journal, &waiting, refusal::unreadable(words), None).await?,
        };
        let goes_on = matches!(outcome, Outcome::Released | Outcome::Elsewhere);
        dealt.push(Dealt {
            waiting,
            run,
            outcome,
        });
        if !goes_on {
            break;
        }
    }
    Ok(dealt)
}

/// Asks for claim and pin. Both may have been entered before: by the run itself, or by a round whose answer was lost.
async fn settle(
    journal: &Journal,
    registry: &Registry,
    waiting: &WaitingRun,
    rebuilt: Rebuilt,
) -> Result<Outcome, JournalError> {
    let Rebuilt {
        claim,
        proof,
        label,
    } = rebuilt;
    let (fingerprint, weak) = (proof.fingerprint(), proof.weak);
    let answer = match claim {
        Some(claim) => ask(registry.enter(claim, proof, label)).await,
        None => {
            ask(registry.pin(Labelled {
                entry: proof,
                label,
            }))
            .await
        }
    };
    match answer {
        Ok(Ok(receipt)) => {
            let released = Change::HeldReleased {
                run: waiting.run,
                device_id: waiting.device_id,
                fingerprint,
                weak,
                already: receipt.already,
            };
            commit(journal, vec![released], Outcome::Released).await
        }
        Ok(Err(error)) => refused(journal, waiting, fingerprint, error).await,
        Err(trouble) => Ok(Outcome::Waits(trouble)),
    }
}

/// A refusal that is about the unit sets it apart; one that is about the registry leaves it waiting, and the others go on.
async fn refused(
    journal: &Journal,
    waiting: &WaitingRun,
    fingerprint: [u8; 32],
    error: RegistryError,
) -> Result<Outcome, JournalError> {
    if !refusal::is_final(&error) {
        return Ok(Outcome::Waits(error.into()));
    }
    let failure = refusal::failure(&error);
    refuse(journal, waiting, failure, Some((fingerprint, &error))).await
}

async fn refuse(
    journal: &Journal,
    waiting: &WaitingRun,
    failure: Failure,
    conflict: Option<([u8; 32], &RegistryError)>,
) -> Result<Outcome, JournalError> {
    let changes = refusal::consequences(waiting, &failure, conflict);
    commit(journal, changes, Outcome::Refused(failure)).await
}

async fn commit(
    journal: &Journal,
    changes: Vec<Change>,
    outcome: Outcome,
) -> Result<Outcome, JournalError> {
    match journal.commit(changes).await {
        Ok(_) => Ok(outcome),
        Err(JournalError::NotHeld { .. }) => Ok(Outcome::Elsewhere),
        Err(error) => Err(error),
    }
}
