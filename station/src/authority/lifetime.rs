//! From when to when a signed text counts.

use super::{AuthorityError, SKEW_MAX_MS};

/// That a text was made before now, but for the clocks' differences. `what` names it in the error.
pub(super) fn check_begun(
    what: impl FnOnce() -> String,
    issued_ms: u64,
    now_ms: u64,
) -> Result<(), AuthorityError> {
    if issued_ms <= now_ms.saturating_add(SKEW_MAX_MS) {
        return Ok(());
    }
    Err(AuthorityError::FromTheFuture {
        what: what(),
        issued_ms,
        now_ms,
    })
}

/// That a text still counts. `what` names it in the error.
pub(super) fn check_not_expired(
    what: impl FnOnce() -> String,
    expires_ms: u64,
    now_ms: u64,
) -> Result<(), AuthorityError> {
    if expires_ms > now_ms {
        return Ok(());
    }
    Err(AuthorityError::Expired {
        what: what(),
        expires_ms,
        now_ms,
    })
}
