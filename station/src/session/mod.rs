//! One call at a time: sequence numbers, retries, deadlines, authenticity.
//!
//! A [`Conversation`] owns the [`Target`] that it speaks to. It begins with [`Conversation::hello`]; each further call is one
//! request and one answer, and there is one function a request. What must be secret goes through the encrypted session that
//! [`Conversation::open_session`] opens.

use keyline_protocol::frame::{self, Header, Kind, PAYLOAD_LENGTH_MAX, Receiver};
use keyline_protocol::identity::Digest;
use keyline_protocol::message::{Request, Response};
use keyline_protocol::session::Session;
use keyline_protocol::version;
use zeroize::Zeroizing;

mod calls;
mod entropy;
mod error;
mod exchange;
mod names;
mod secure;

pub use calls::{DevicePublicKey, UnitAuthenticator, UnitProof};
pub use entropy::fresh_bytes;
pub use error::SessionError;

use crate::link::Target;

/// A unit that is being spoken to.
pub struct Conversation {
    target: Box<dyn Target>,
    version: u16,
    sequence: u16,
    secure: Option<Session>,
    receiver: Receiver,
    /// What the link gave and the receiver has not seen yet, from `incoming_read` on.
    incoming: Vec<u8>,
    incoming_read: usize,
    /// The payload of the last answer, opened.
    answer: Zeroizing<Vec<u8>>,
    /// Nobody knows what the unit has half received: the next frame begins with a zero.
    unsettled: bool,
}

impl Conversation {
    /// A conversation that has not begun.
    #[must_use]
    pub fn new(target: Box<dyn Target>) -> Self {
        Self {
            target,
            version: version::OLDEST,
            sequence: 0,
            secure: None,
            receiver: Receiver::new(),
            incoming: Vec::new(),
            incoming_read: 0,
            answer: Zeroizing::new(Vec::new()),
            unsettled: true,
        }
    }

    /// The link to the unit, for what only the link can do.
    pub fn target(&mut self) -> &mut dyn Target {
        &mut *self.target
    }

    /// Ends the conversation and gives the link back.
    #[must_use]
    pub fn into_target(self) -> Box<dyn Target> {
        self.target
    }

    /// The protocol version that was agreed on.
    #[must_use]
    pub const fn version(&self) -> u16 {
        self.version
    }

    /// The hash of the open session, if one is open.
    #[must_use]
    pub fn session_hash(&self) -> Option<Digest> {
        self.secure.as_ref().map(|session| *session.hash())
    }

    /// Whether the unit's key has signed the open session.
    #[must_use]
    pub fn is_authenticated(&self) -> bool {
        self.secure
            .as_ref()
            .is_some_and(|session| session.authenticated)
    }

    /// Whether `mac` is the unit's, under the open session, over `digest`.
    #[must_use]
    pub fn verify_mac(&self, digest: &Digest, mac: &[u8; 32]) -> bool {
        self.secure
            .as_ref()
            .is_some_and(|session| session.verify_mac(digest, mac))
    }

    /// Begins the conversation anew: forgets the session and what was half received, and agrees on a protocol version.
    ///
    /// # Errors
    /// [`SessionError`]; [`Refusal::UnsupportedVersion`](keyline_protocol::message::Refusal) where there is no common version.
    pub fn hello(&mut self) -> Result<u16, SessionError> {
        self.forget();
        // Beginning anywhere keeps an answer to an earlier conversation from being taken for one to this; the upper half stays
        // free for what is asked.
        let [low, high, ..] = fresh_bytes()?;
        self.sequence = u16::from_le_bytes([low, high & 0x7f]);
        let request = Request::Hello {
            minimum: version::OLDEST,
            maximum: version::CURRENT,
        };
        match self.ask(&request)? {
            Response::Hello { version: chosen }
                if (version::OLDEST..=version::CURRENT).contains(&chosen) =>
            {
                self.version = chosen;
                Ok(chosen)
            }
            Response::Hello { version: got } => Err(SessionError::Version {
                minimum: version::OLDEST,
                maximum: version::CURRENT,
                got,
            }),
            other => Err(calls::unexpected("Hello", "Hello", &other)),
        }
    }

    /// Resets the unit and begins the conversation anew with the agent that comes up cold.
    ///
    /// # Errors
    /// [`SessionError`] where the unit can't be asked, reset or spoken to again.
    pub fn reset(&mut self) -> Result<(), SessionError> {
        if !self.target.resets_by_itself() {
            self.ask_for_reset()?;
        }
        self.target.reset().map_err(|source| SessionError::Link {
            call: "Reset",
            source,
        })?;
        self.hello().map(drop)
    }

    fn forget(&mut self) {
        self.secure = None;
        self.receiver.wipe();
        self.incoming.clear();
        self.incoming_read = 0;
        self.unsettled = true;
    }

    /// Makes a request in the clear.
    fn ask(&mut self, request: &Request<'_>) -> Result<Response<'_>, SessionError> {
        let call = names::request(request);
        let mut message = [0; PAYLOAD_LENGTH_MAX];
        let length = frame::encode_message(request, &mut message)
            .map_err(|source| SessionError::TooLong { call, source })?;
        let header = self.next_header(Kind::Request)?;
        match self.exchange(call, header, &message[..length], request.deadline_ms())? {
            Kind::Response => self.read_answer(call, 0..self.answer.len()),
            other => Err(SessionError::UnexpectedAnswer {
                call,
                expected: "an answer in the clear",
                got: names::kind(other),
            }),
        }
    }

    /// Makes a request inside the open session.
    fn ask_sealed(&mut self, request: &Request<'_>) -> Result<Response<'_>, SessionError> {
        let call = names::request(request);
        let mut message = Zeroizing::new([0; PAYLOAD_LENGTH_MAX]);
        let length = frame::encode_message(request, &mut *message)
            .map_err(|source| SessionError::TooLong { call, source })?;
        let header = self.next_header(Kind::SealedRequest)?;
        let secure = self
            .secure
            .as_mut()
            .ok_or(SessionError::NoSession { call })?;
        let sealed = secure
            .seal(header, &mut *message, length)
            .map_err(|source| SessionError::Secure { call, source })?;
        match self.exchange(call, header, &message[..sealed], request.deadline_ms())? {
            Kind::SealedResponse => {
                let header = Header {
                    kind: Kind::SealedResponse,
                    ..header
                };
                let opened = self.open_answer(call, header)?;
                self.read_answer(call, 0..opened)
            }
            // A unit that lost the session can only say so in the clear; nothing but a refusal is believed from there.
            Kind::Response => {
                let other = self.read_answer(call, 0..self.answer.len())?;
                Err(SessionError::UnexpectedAnswer {
                    call,
                    expected: "an answer in the session",
                    got: names::answer(&other),
                })
            }
            other => Err(SessionError::UnexpectedAnswer {
                call,
                expected: "an answer in the session",
                got: names::kind(other),
            }),
        }
    }

    fn next_header(&mut self, kind: Kind) -> Result<Header, SessionError> {
        self.sequence = self
            .sequence
            .checked_add(1)
            .ok_or(SessionError::SequenceExhausted)?;
        Ok(Header {
            kind,
            sequence: self.sequence,
        })
    }

    /// Opens the answer in place and gives the length of the message in it.
    fn open_answer(&mut self, call: &'static str, header: Header) -> Result<usize, SessionError> {
        let secure = self
            .secure
            .as_mut()
            .ok_or(SessionError::NoSession { call })?;
        secure
            .open(header, &mut self.answer)
            .map(|message| message.len())
            .map_err(|source| SessionError::Secure { call, source })
    }

    fn read_answer(
        &self,
        call: &'static str,
        place: std::ops::Range<usize>,
    ) -> Result<Response<'_>, SessionError> {
        match frame::decode_message(&self.answer[place]) {
            Ok(Response::Refused(refusal)) => Err(SessionError::Refused { call, refusal }),
            Ok(response) => Ok(response),
            Err(source) => Err(SessionError::Malformed { call, source }),
        }
    }
}
