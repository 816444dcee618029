//! Why a witness does not cosign. What each means in HTTP is the server's concern.

use super::WitnessStoreError;
use crate::audit::AuditError;

/// Why a witness does not cosign a checkpoint.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The request is not in its format.
    #[error("expected {expected}, got {got}")]
    Malformed {
        /// What was expected.
        expected: &'static str,
        /// What came.
        got: String,
    },
    /// The note is no checkpoint.
    #[error("expected a checkpoint as a signed note")]
    NoCheckpoint(#[source] AuditError),
    /// The witness doesn't know the log.
    #[error("expected a log that this witness trusts a key of, got {origin:?}")]
    UnknownLog {
        /// The checkpoint's origin.
        origin: String,
    },
    /// No trusted key signed, or a signature by one is broken.
    #[error("expected a checkpoint that a trusted key of its log signed")]
    NotSigned(#[source] AuditError),
    /// The proof goes backwards.
    #[error("expected an old size of at most the checkpoint's {size}, got {old_size}")]
    OldLarger {
        /// The old size.
        old_size: u64,
        /// The checkpoint's.
        size: u64,
    },
    /// The proof begins elsewhere than at the latest cosigned checkpoint.
    #[error("expected the old size {size}, that of the latest cosigned checkpoint")]
    Conflict {
        /// The size of the latest cosigned checkpoint; 0 where there is none.
        size: u64,
    },
    /// The trees don't fit.
    #[error("expected {expected}")]
    Inconsistent {
        /// What would have been right.
        expected: &'static str,
    },
    /// A retired key, or a roll-over that the witness has not seen.
    #[error(
        "expected a signature by a key that signed the latest cosigned checkpoint too, found none: a retired key signs nothing more, and a roll-over that this witness has not seen needs `keyline witness distrust` of the old key"
    )]
    OtherKey,
    /// The machine's clock is wrong.
    #[error(
        "expected a clock that stands after 2025, got {now_ms} ms since 1970: this witness can't say when it saw anything"
    )]
    Clock {
        /// What the clock says, in milliseconds since 1970.
        now_ms: u64,
    },
    /// The store.
    #[error("this witness's store can't be used")]
    Store(#[from] WitnessStoreError),
}

impl Refusal {
    /// A format error that shows at most 64 characters of what came.
    pub(super) fn malformed(expected: &'static str, got: &str) -> Self {
        let mut shown: String = got.chars().take(64).collect();
        if shown.len() < got.len() {
            shown.push('…');
        }
        Self::Malformed {
            expected,
            got: format!("{shown:?}"),
        }
    }
}
