//! The outbox beside a line: what was held is entered as soon as the link is back, without anybody asking.

use std::time::Duration;

use tokio::task::JoinHandle;

use super::{Backoff, OutboxError, Report, Synchroniser};
use crate::record::{RunId, UnitState};
use crate::stop::Stop;

/// How often is looked whether something waits.
const LOOK_PERIOD: Duration = Duration::from_secs(1);

/// Rounds over the outbox for as long as a line runs.
pub struct Background {
    synchroniser: Synchroniser,
    stop: Stop,
    task: JoinHandle<Vec<(RunId, UnitState)>>,
}

impl Background {
    /// Begins with a wait: what was held a moment ago can hardly be entered now.
    #[must_use]
    pub fn start(synchroniser: Synchroniser) -> Self {
        let stop = Stop::new();
        let task = tokio::spawn(rounds(synchroniser.clone(), stop.clone()));
        Self {
            synchroniser,
            stop,
            task,
        }
    }

    /// Ends the rounds, makes a last one unless the line was `asked_to_stop`, and says what was settled from the beginning on.
    ///
    /// # Errors
    /// [`OutboxError`] where the journal fails.
    pub async fn end(self, asked_to_stop: &Stop) -> Result<Report, OutboxError> {
        self.stop.request();
        let mut settled = self.task.await.map_err(OutboxError::Lost)?;
        let mut report = self.synchroniser.run(Duration::ZERO, asked_to_stop).await?;
        settled.append(&mut report.settled);
        report.settled = settled;
        Ok(report)
    }
}

async fn rounds(synchroniser: Synchroniser, stop: Stop) -> Vec<(RunId, UnitState)> {
    let mut settled = Vec::new();
    let mut backoff = Backoff::default();
    loop {
        let waits = match synchroniser.journal().outbox().await {
            Ok(outbox) => outbox.runs > 0,
            Err(error) => {
                tracing::warn!(outbox.error = %crate::error_text::chain(&error), "the outbox can't be read");
                false
            }
        };
        let wait = if waits {
            backoff.next_wait()
        } else {
            LOOK_PERIOD
        };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = stop.wait() => return settled,
        }
        if !waits {
            continue;
        }
        match synchroniser.run(Duration::ZERO, &stop).await {
            Ok(report) => {
                if !report.settled.is_empty() {
                    backoff.reset();
                }
                settled.extend(report.settled);
            }
            Err(error) => {
                tracing::warn!(outbox.error = %crate::error_text::chain(&error), "held units could not be entered");
            }
        }
    }
}
