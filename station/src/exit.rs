//! How a command ends: the number that scripts see.

use serde::{Deserialize, Serialize};

/// The exit codes of `keyline`. Stable: scripts depend on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "u8", try_from = "u8")]
#[repr(u8)]
pub enum ExitCode {
    /// All good.
    Success = 0,
    /// Some units failed.
    UnitsFailed = 1,
    /// The command, a file that it names or a name in it is wrong.
    Usage = 2,
    /// The station is not ready: no home, no probe, no registry, a full disk.
    NotReady = 3,
    /// The operator's role, or a missing permission, forbids it.
    NotAllowed = 4,
    /// The journal or its audit log could not be written or does not verify.
    AuditRefused = 5,
    /// Some units are held, none failed.
    Held = 6,
    /// Stopped by a signal.
    Interrupted = 130,
}

impl ExitCode {
    /// Every exit code.
    pub const ALL: [Self; 8] = [
        Self::Success,
        Self::UnitsFailed,
        Self::Usage,
        Self::NotReady,
        Self::NotAllowed,
        Self::AuditRefused,
        Self::Held,
        Self::Interrupted,
    ];

    /// The number.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }
}

impl From<ExitCode> for u8 {
    fn from(code: ExitCode) -> Self {
        code.number()
    }
}

impl TryFrom<u8> for ExitCode {
    type Error = String;

    fn try_from(number: u8) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|code| code.number() == number)
            .ok_or_else(|| format!("expected an exit code of this program, got {number}"))
    }
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> Self {
        Self::from(code.number())
    }
}
