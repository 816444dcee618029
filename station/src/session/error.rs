//! Why a call failed.

use keyline_protocol::frame::{FrameFault, MessageFault};
use keyline_protocol::message::Refusal;
use keyline_protocol::session::SessionFault;

use crate::link::LinkError;
use crate::signature::SignatureError;

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The link gave out.
    #[error("{call} did not reach the unit or its answer did not come back")]
    Link {
        /// The call.
        call: &'static str,
        /// What the link said.
        #[source]
        source: LinkError,
    },
    /// The same request was sent several times and nothing came.
    #[error("expected an answer to {call}, got silence after {attempts} attempts")]
    Silent {
        /// The call.
        call: &'static str,
        /// How often it was sent.
        attempts: u32,
    },
    /// What came could not be read, however often it was asked for.
    #[error("expected an answer to {call}, got unreadable frames after {attempts} attempts")]
    Unreadable {
        /// The call.
        call: &'static str,
        /// How often it was sent.
        attempts: u32,
        /// What was wrong with the last one.
        #[source]
        source: FrameFault,
    },
    /// The unit could not read the request, however often it was sent.
    #[error("the unit could not read {call} in {attempts} attempts")]
    Rejected {
        /// The call.
        call: &'static str,
        /// How often it was sent.
        attempts: u32,
    },
    /// Only answers to other requests came.
    #[error("expected the answer to {call} with sequence number {expected}, got {got}")]
    OutOfSequence {
        /// The call.
        call: &'static str,
        /// The request's sequence number.
        expected: u16,
        /// The last answer's.
        got: u16,
    },
    /// The unit announced work without an end.
    #[error("the unit was still busy with {call} after {waited_ms} ms")]
    BusyTooLong {
        /// The call.
        call: &'static str,
        /// How long the station waited.
        waited_ms: u64,
    },
    /// The answer is none of this protocol.
    #[error("the answer to {call} could not be read")]
    Malformed {
        /// The call.
        call: &'static str,
        /// What is wrong with it.
        #[source]
        source: MessageFault,
    },
    /// The answer belongs to another request.
    #[error("expected {expected} in answer to {call}, got {got}")]
    UnexpectedAnswer {
        /// The call.
        call: &'static str,
        /// What answers it.
        expected: &'static str,
        /// What came.
        got: &'static str,
    },
    /// The unit chose a version that it was not offered.
    #[error("expected a protocol version from {minimum} to {maximum}, got {got}")]
    Version {
        /// The lowest that the station speaks.
        minimum: u16,
        /// The highest.
        maximum: u16,
        /// What the unit chose.
        got: u16,
    },
    /// The unit did not do it.
    #[error("the unit refused {call}")]
    Refused {
        /// The call.
        call: &'static str,
        /// Why.
        #[source]
        refusal: Refusal,
    },
    /// The request does not fit a frame.
    #[error("{call} does not fit a frame")]
    TooLong {
        /// The call.
        call: &'static str,
        /// What the frame said.
        #[source]
        source: MessageFault,
    },
    /// A sealed message was not made or not opened.
    #[error("the encrypted session failed at {call}")]
    Secure {
        /// The call.
        call: &'static str,
        /// Why.
        #[source]
        source: SessionFault,
    },
    /// A request that needs a session was made without one.
    #[error("{call} travels in an encrypted session only, and none is open")]
    NoSession {
        /// The call.
        call: &'static str,
    },
    /// The unit's ephemeral key is no point of P-256.
    #[error("expected a point on P-256 as the unit's session key, got other coordinates")]
    InvalidPoint,
    /// The device key did not sign the session.
    #[error("the session's other end could not sign it with the unit's key")]
    NotTheDeviceKey {
        /// What is wrong with the signature.
        #[source]
        source: SignatureError,
    },
    /// The operating system gave no random bytes.
    #[error("the operating system's random generator failed")]
    Entropy {
        /// What it said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// More requests than one conversation can number.
    #[error("the conversation has used all its sequence numbers")]
    SequenceExhausted,
}
