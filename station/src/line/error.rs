//! Why a whole line stopped: nothing that one unit could be blamed for.

use crate::exit::ExitCode;
use crate::journal::JournalError;
use crate::record::Failure;
use crate::registry::RegistryError;

/// Why a line stopped, or did not begin.
#[derive(Debug, thiserror::Error)]
pub enum LineError {
    /// The journal or its audit log can't be written.
    #[error("the line stopped, because the journal takes nothing more")]
    Journal(#[from] JournalError),
    /// The registry gave no answer that can be worked with.
    #[error("the registry could not be asked, so the line stopped")]
    Registry(#[from] RegistryError),
    /// The station is not ready.
    #[error("the line stopped: {}", .0.message)]
    NotReady(Failure),
    /// A slot's thread ended in a way that it never should.
    #[error("slot {0} ended unexpectedly; its unit's state is in the journal")]
    SlotLost(u16),
}

impl LineError {
    /// The exit code.
    #[must_use]
    pub const fn exit_code(&self) -> ExitCode {
        match self {
            Self::Journal(_) => ExitCode::AuditRefused,
            Self::Registry(_) | Self::NotReady(_) | Self::SlotLost(_) => ExitCode::NotReady,
        }
    }

    /// What to do next.
    #[must_use]
    pub fn next(&self) -> String {
        match self {
            Self::Journal(error) => error.next().to_owned(),
            Self::Registry(error) => error.next().to_owned(),
            Self::NotReady(failure) => failure.next.clone(),
            Self::SlotLost(_) => {
                "Start again; the unit goes on where it stopped. Keep the log for the maintainers."
                    .to_owned()
            }
        }
    }
}

/// Why one run ended before its time.
pub(super) enum RunError {
    /// The unit, or what it was asked, is at fault.
    Failed(Box<Failure>),
    /// Another unit already has the key, or the device id another key.
    Clone(Box<CloneFound>),
    /// The station is at fault: the line stops.
    Fatal(LineError),
}

/// What the registry said of a key that can't be claimed.
pub(super) struct CloneFound {
    pub(super) failure: Failure,
    pub(super) fingerprint: [u8; 32],
    pub(super) other_device_id: Option<crate::record::DeviceIdText>,
    pub(super) other_fingerprint: Option<String>,
}

/// The journal refuses what contradicts what it knows: that is the unit's trouble, or the order's. Anything else is the journal's own.
impl From<JournalError> for RunError {
    fn from(error: JournalError) -> Self {
        let Some(code) = error.failure_code() else {
            return Self::Fatal(error.into());
        };
        Failure::new(code, error.to_string()).into()
    }
}

impl From<Failure> for RunError {
    fn from(failure: Failure) -> Self {
        Self::Failed(Box::new(failure))
    }
}
