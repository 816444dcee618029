//! Which code each way to fail has: one table a layer.

use keyline_protocol::message::Refusal;

use super::StepError;
use crate::link::LinkError;
use crate::record::FailureCode;
use crate::session::SessionError;

impl StepError {
    /// The code that scripts see.
    #[must_use]
    pub fn code(&self) -> FailureCode {
        match self {
            Self::Link(error) => of_link(error),
            Self::Session(error) => of_session(error),
            Self::WrongChip { .. } => FailureCode::WrongChip,
            Self::LockedOut => FailureCode::LockedUnknown,
            Self::LayoutConflict { .. } => FailureCode::LayoutConflict,
            Self::WrongImage { .. } | Self::AgentDigest { .. } => FailureCode::AgentDigest,
            Self::DeviceIdMismatch { .. } => FailureCode::DeviceIdMismatch,
            Self::AlreadySealed | Self::SealedAsAnother { .. } => FailureCode::UnitSealed,
            Self::KeyMissing => FailureCode::KeyMissing,
            Self::AlgorithmUnsupported { .. }
            | Self::KeyUnsuitable { .. }
            | Self::PossessionUnprovable { .. }
            | Self::SessionUnsignable { .. } => FailureCode::KeyUnsuitable,
            Self::KeyChanged { .. } => FailureCode::DeviceHasAnotherKey,
            Self::StationKeyOverSerial => FailureCode::LinkUnsuitable,
            Self::StationKey { .. } => FailureCode::StationKeyUnavailable,
            Self::PossessionFailed { .. } => FailureCode::PossessionFailed,
            Self::CredentialsUnreadable { .. } | Self::CredentialsLength { .. } => {
                FailureCode::CredentialsUnreadable
            }
            Self::RecordMismatch { .. } => FailureCode::RecordMismatch,
            Self::ProofInvalid { .. } | Self::SealedAnother { .. } => FailureCode::ProofInvalid,
            Self::ProtectionNotHeld => FailureCode::ProtectionNotHeld,
        }
    }
}

fn of_link(error: &LinkError) -> FailureCode {
    match error {
        LinkError::ProbeNotFound { .. } => FailureCode::ProbeNotFound,
        LinkError::Busy { .. } => FailureCode::ProbeBusy,
        LinkError::NoUnit { .. } => FailureCode::UnitNotConnected,
        LinkError::WrongChip { .. } => FailureCode::WrongChip,
        LinkError::Lost { .. } => FailureCode::ConnectionLost,
        LinkError::Timeout { .. } | LinkError::ControlBlock { .. } => FailureCode::UnitTimeout,
        LinkError::Protected => FailureCode::LockedUnknown,
        LinkError::ImageMismatch { .. } => FailureCode::FlashFault,
    }
}

fn of_session(error: &SessionError) -> FailureCode {
    match error {
        SessionError::Link { source, .. } => of_link(source),
        SessionError::Silent { .. } | SessionError::BusyTooLong { .. } => FailureCode::UnitTimeout,
        SessionError::Version { .. } => FailureCode::ProtocolVersion,
        SessionError::Refused { refusal, .. } => of_refusal(refusal),
        SessionError::Secure { .. } | SessionError::NotTheDeviceKey { .. } => {
            FailureCode::SessionNotAuthentic
        }
        SessionError::Unreadable { .. }
        | SessionError::Rejected { .. }
        | SessionError::OutOfSequence { .. }
        | SessionError::Malformed { .. }
        | SessionError::UnexpectedAnswer { .. }
        | SessionError::TooLong { .. }
        | SessionError::NoSession { .. }
        | SessionError::InvalidPoint
        | SessionError::SequenceExhausted => FailureCode::ProtocolError,
        SessionError::Entropy { .. } => FailureCode::StationKeyUnavailable,
    }
}

fn of_refusal(refusal: &Refusal) -> FailureCode {
    match refusal {
        Refusal::UnsupportedVersion { .. } => FailureCode::ProtocolVersion,
        Refusal::Malformed
        | Refusal::NoHello
        | Refusal::InvalidPoint
        | Refusal::KeyTransfer { .. }
        | Refusal::Replayed { .. } => FailureCode::ProtocolError,
        Refusal::NotAuthentic => FailureCode::SessionNotAuthentic,
        Refusal::NoKey => FailureCode::KeyMissing,
        Refusal::KeyExists | Refusal::UnsupportedAlgorithm => FailureCode::KeyUnsuitable,
        Refusal::GeneratorUnhealthy(_) => FailureCode::GeneratorUnhealthy,
        Refusal::Flash(..) => FailureCode::FlashFault,
        Refusal::NoRecord => FailureCode::RecordMismatch,
        Refusal::Sealed | Refusal::NotAuthorised => FailureCode::UnitSealed,
        Refusal::OlderAgent { .. } => FailureCode::AgentDigest,
        Refusal::ProtectionFailed => FailureCode::ProtectionNotHeld,
        Refusal::SessionRequired
        | Refusal::AuthenticationRequired
        | Refusal::InvalidKey
        | Refusal::InvalidRecord(_) => FailureCode::UnitRefused,
    }
}
