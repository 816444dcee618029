//! `keyline audit verify --deep`.

use super::super::CommandError;
use super::open::OpenLog;
use crate::audit::TrustPolicy;
use crate::event::{Event, EventSink};
use crate::exit::ExitCode;

/// Recomputes the whole log.
pub(super) async fn run(
    log: &OpenLog,
    policy: Option<&TrustPolicy>,
    _offline: bool,
    sink: &dyn EventSink,
) -> Result<ExitCode, CommandError> {
    let keys = policy.map_or_else(|| log.keys.clone(), TrustPolicy::log_keys);
    let leaves = log.journal.verify_log(&keys).await?;
    sink.emit(Event::Notice {
        message: format!("{leaves} leaves verified"),
    });
    Ok(ExitCode::Success)
}
