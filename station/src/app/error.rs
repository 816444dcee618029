//! Why a station can't be opened or made, or somebody may not act on it.

use std::path::PathBuf;

use crate::audit::AuditError;
use crate::authority::AuthorityError;
use crate::cosign::CosignError;
use crate::exit::ExitCode;
use crate::home::HomeError;
use crate::journal::JournalError;
use crate::key_pool::KeyPoolError;
use crate::operator::OperatorError;
use crate::registry::RegistryError;

/// What to do where the registry's file is gone.
pub(crate) const REGISTRY_MISSING_NEXT: &str = "Restore the registry from a backup, or correct registry.url: an empty one would trust none of the units that were built.";

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
    /// The registry's file is gone, and the log says that keys were pinned in it.
    #[error("expected the registry at {}, which has {}, found none", .path.display(), crate::error_text::counted(*.pinned, "key that was pinned", "keys that were pinned"))]
    RegistryMissing {
        /// Where it should be.
        path: PathBuf,
        /// How many keys the log says are pinned, or were.
        pinned: u64,
    },
    /// The key pool.
    #[error("the pool of station-made keys can't be used")]
    KeyPool(#[from] KeyPoolError),
    /// The log's checkpoint could not be shown to its witnesses, or one of them disputes it.
    #[error("the log can't go on")]
    Cosign(#[from] CosignError),
    /// What was signed does not count.
    #[error("the authority refuses")]
    Authority(#[from] AuthorityError),
    /// The pinned root policy is not at hand.
    #[error("expected the pinned root policy in {}, got {got}", .path.display())]
    Root {
        /// Where it should be.
        path: PathBuf,
        /// What is there.
        got: String,
    },
    /// A product was described where only a signed one counts.
    #[error(
        "expected a signed bundle of the product (--bundle FILE), because this station's authority is the root \"{root}\", got a description"
    )]
    BundleWanted {
        /// The root's name.
        root: String,
    },
    /// The registry obeys another root policy.
    #[error(
        "expected a registry that obeys this station's root policy \"{ours}\", got one that obeys \"{registry}\""
    )]
    OtherRoot {
        /// The name of the registry's.
        registry: String,
        /// The name of this station's.
        ours: String,
    },
    /// Who acts, or may not.
    #[error("not allowed")]
    Operator(#[source] OperatorError),
}

impl AppError {
    /// The exit code.
    #[must_use]
    pub const fn exit_code(&self) -> ExitCode {
        match self {
            Self::Home(HomeError::Disputed { .. }) => ExitCode::AuditRefused,
            Self::Home(_)
            | Self::Space { .. }
            | Self::Registry(_)
            | Self::RegistryMissing { .. }
            | Self::KeyPool(_)
            | Self::Root { .. } => ExitCode::NotReady,
            Self::Authority(error) => authority_exit_code(error),
            Self::Journal(error) if error.is_refusal() => ExitCode::Usage,
            Self::AuditKey { .. } | Self::Journal(_) | Self::Cosign(_) => ExitCode::AuditRefused,
            Self::Operator(_) | Self::BundleWanted { .. } | Self::OtherRoot { .. } => {
                ExitCode::NotAllowed
            }
        }
    }

    /// Whether the home may never be written to again, but still answers questions.
    #[must_use]
    pub const fn leaves_questions(&self) -> bool {
        matches!(
            self,
            Self::Home(HomeError::Replaced { .. } | HomeError::Disputed { .. })
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
            Self::Home(HomeError::Disputed { .. })
            | Self::Journal(JournalError::Disputed { .. })
            | Self::Cosign(CosignError::Journal(JournalError::Disputed { .. })) => "log-disputed",
            Self::Journal(_) => "journal",
            Self::Cosign(_) => "cosign",
            Self::Registry(_) => "registry",
            Self::RegistryMissing { .. } => "registry-missing",
            Self::KeyPool(_) => "key-pool",
            Self::Authority(_) => "authority",
            Self::Root { .. } => "root-policy",
            Self::BundleWanted { .. } => "bundle-wanted",
            Self::OtherRoot { .. } => "other-root",
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
            Self::RegistryMissing { .. } => REGISTRY_MISSING_NEXT,
            Self::KeyPool(_) => "Raise the limit of locked memory (`ulimit -l`), then run again.",
            Self::Authority(error) => error.next(),
            Self::Root { .. } => {
                "Put the policy file back from where it was made; `keyline authority show FILE` says which digest a file has."
            }
            Self::BundleWanted { .. } => {
                "Have the product signed (`keyline authority bundle product --help`, docs/CEREMONY.md), then `keyline product add --bundle FILE`."
            }
            Self::OtherRoot { .. } => {
                "Make the station with that registry's root: `keyline init --authority FILE` (docs/CEREMONY.md)."
            }
            Self::Operator(OperatorError::NotAllowed { .. }) => {
                "Ask somebody whose role allows it, or name his token with --operator-token FILE."
            }
            Self::Operator(_) => "Name the file with your token: --operator-token FILE.",
        }
    }
}

/// A file that is none, or that was named by mistake, is wrong usage; one that does not count is not allowed.
const fn authority_exit_code(error: &AuthorityError) -> ExitCode {
    match error {
        AuthorityError::Line { .. }
        | AuthorityError::OtherText { .. }
        | AuthorityError::Value { .. }
        | AuthorityError::OtherKind { .. }
        | AuthorityError::TwoTexts { .. } => ExitCode::Usage,
        AuthorityError::Signing(_) => ExitCode::NotReady,
        _ => ExitCode::NotAllowed,
    }
}
