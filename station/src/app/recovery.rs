//! What a station does about runs that were interrupted when it last stopped.

use super::AppError;
use crate::journal::{InterruptedRun, Journal};
use crate::record::{Change, Failure, FailureCode, RunResult};

/// The most runs that are ended in one commit.
const COMMIT_RUNS_MAX: usize = 64;

/// Ends the runs that nobody will go on with: those that had no unit yet, and those whose unit a later run has taken over. A run whose
/// unit is still in progress stays open: it says how far the unit is until it comes back.
///
/// Gives the runs of which a person should hear: all but those that were taken over.
///
/// # Errors
/// [`AppError::Journal`] where the journal fails.
pub(super) async fn conclude(journal: &Journal) -> Result<Vec<InterruptedRun>, AppError> {
    let mut news = Vec::new();
    let mut ended = Vec::new();
    for interrupted in journal.recover().await? {
        let run = &interrupted.run;
        let last_run = match run.device_id {
            Some(device_id) => journal
                .unit(device_id)
                .await?
                .and_then(|unit| unit.last_run),
            None => None,
        };
        if last_run == Some(run.id) {
            news.push(interrupted);
            continue;
        }
        ended.push(Change::RunEnded {
            run: run.id,
            device_id: run.device_id,
            result: RunResult::Failed,
            failure: Some(Failure::new(
                FailureCode::Stopped,
                "the station stopped in the middle of this run",
            )),
            elapsed_ms: 0,
        });
        if last_run.is_none() {
            news.push(interrupted);
        }
    }
    for changes in ended.chunks(COMMIT_RUNS_MAX) {
        journal.commit(changes.to_vec()).await?;
    }
    Ok(news)
}
