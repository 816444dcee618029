//! Why a station can't be opened or made, or somebody may not act on it.

use std::path::PathBuf;

use crate::audit::AuditError;
use crate::cosign::CosignError;
use crate::exit::ExitCode;
use crate::home::HomeError;
use crate::journal::JournalError;
use crate::key_pool::KeyPoolError;
use crate::operator::OperatorError;
use crate::registry::RegistryError;

/// Why a station can't be opened or made, or somebody may not act on it.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// The home.
    #[error("the station's home can't be used")]
    Home(#[source] HomeError),
    /// Too little room to begin.
    #[error("expected at least {expected_mib} MiB of free space under {}, found {got_mib} MiB", .path.display())]
    Space {
        /// The home.
        path: PathBuf,
        /// What the configuration asks for.
        expected_mib: u64,
        /// What is free.
        got_mib: u64,
    },
    /// The audit log's key.
    #[error("the audit log's key can't be used")]
    AuditKey {
        /// Why.
        #[source]
        source: AuditError,
    },
    /// The journal.
    #[error("the journal refused")]
    Journal(#[from] JournalError),
    /// The registry.
    #[error("the registry can't be used")]
    Registry(#[from] RegistryError),
    /// The key pool.
    #[error("the pool of station-made keys can't be used")]
    KeyPool(#[from] KeyPoolError),
    /// The log's checkpoint could not be shown to its witnesses, or one of them disputes it.
    #[error("the log can't go on")]
    Cosign(#[from] CosignError),
    /// Who acts, or may not.
    #[error("not allowed")]
    Operator(#[source] OperatorError),
}

impl AppError {
    /// The exit code.
    #[must_use]
    pub const fn exit_code(&self) -> ExitCode {
        match self {
            Self::Home(_) | Self::Space { .. } | Self::Registry(_) | Self::KeyPool(_) => {
                ExitCode::NotReady
            }
            Self::Journal(error) if error.is_refusal() => ExitCode::Usage,
            Self::AuditKey { .. } | Self::Journal(_) | Self::Cosign(_) => ExitCode::AuditRefused,
            Self::Operator(_) => ExitCode::NotAllowed,
        }
    }

    /// Whether the home may never be written to again, but still answers questions.
    #[must_use]
    pub const fn leaves_questions(&self) -> bool {
        matches!(
            self,
            Self::Home(HomeError::Replaced { .. })
                | Self::Cosign(CosignError::Journal(JournalError::Disputed { .. }))
        )
    }

    /// A stable name for scripts.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Home(HomeError::Missing { .. }) => "home-missing",
            Self::Home(HomeError::Exists { .. } | HomeError::NotEmpty { .. }) => "home-exists",
            Self::Home(HomeError::Owned { .. }) => "home-owned",
            Self::Home(HomeError::Replaced { .. }) => "home-replaced",
            Self::Home(HomeError::Exposed { .. } | HomeError::Foreign { .. }) => "home-exposed",
            Self::Home(HomeError::ReadOnly { .. }) => "home-read-only",
            Self::Home(HomeError::DiskFull { .. }) | Self::Space { .. } => "disk-full",
            Self::Home(HomeError::Config { .. }) => "config",
            Self::Home(HomeError::System { .. }) => "home",
            Self::AuditKey { .. } => "audit-key",
            Self::Journal(error) if error.is_refusal() => "refused",
            Self::Journal(JournalError::SigningUnavailable { .. }) => "signing-unavailable",
            Self::Journal(JournalError::Disputed { .. })
            | Self::Cosign(CosignError::Journal(JournalError::Disputed { .. })) => "log-disputed",
            Self::Journal(_) => "journal",
            Self::Cosign(_) => "cosign",
            Self::Registry(_) => "registry",
            Self::KeyPool(_) => "key-pool",
            Self::Operator(_) => "not-allowed",
        }
    }

    /// What to do next.
    #[must_use]
    pub fn next(&self) -> &'static str {
        match self {
            Self::Home(error) => error.next(),
            Self::Space { .. } => "Make room on that disk, then run again: nothing was lost.",
            Self::AuditKey { source } | Self::Journal(JournalError::Audit(source)) => source.next(),
            Self::Journal(JournalError::LogKeyRefused { .. }) => {
                "Look at the log's keys with `keyline audit key list`."
            }
            Self::Journal(error) | Self::Cosign(CosignError::Journal(error)) => error.next(),
            Self::Cosign(_) => "Correct [[audit.witness]] in the configuration.",
            Self::Registry(error) => error.next(),
            Self::KeyPool(_) => "Raise the limit of locked memory (`ulimit -l`), then run again.",
            Self::Operator(OperatorError::NotAllowed { .. }) => {
                "Ask somebody whose role allows it, or name his token with --operator-token FILE."
            }
            Self::Operator(_) => "Name the file with your token: --operator-token FILE.",
        }
    }
}
