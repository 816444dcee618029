//! SIGINT and SIGTERM ask the command to stop; a second one ends the process at once.

use tokio::signal::unix::{SignalKind, signal};

use super::CommandError;
use crate::exit::ExitCode;
use crate::stop::Stop;

/// Begins to listen. The first signal sets `stop`: what is in hand is finished, and the last line is still a summary.
///
/// # Errors
/// [`CommandError::System`] where the system refuses.
pub(super) fn watch(stop: &Stop) -> Result<(), CommandError> {
    let failed = |source| CommandError::System {
        doing: "listen for signals",
        source,
    };
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let stop = stop.clone();
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if stop.requested() {
                // Whoever asks twice means it. The journal was written before every effect, so nothing is lost.
                std::process::exit(ExitCode::Interrupted.number().into());
            }
            tracing::warn!("asked to stop: what is in hand is finished first");
            stop.request();
        }
    });
    Ok(())
}
