//! Requests, answers and busy frames: as much of a station as a bench needs.

use std::time::{Duration, Instant};

use keyline_protocol::frame::{
    self, ENCODED_LENGTH_MAX, Header, Kind, PAYLOAD_LENGTH_MAX, Receiver,
};
use keyline_protocol::message::{Request, Response};
use keyline_protocol::session::Session;

use crate::BenchError;
use crate::link::Link;

/// How much longer than silicon an emulated chip may take, when the host has other things to do.
const PATIENCE_FACTOR: u32 = 20;

/// One conversation with an agent.
pub struct Station<L> {
    link: L,
    sequence: u16,
    receiver: Receiver,
    busy_ms: u32,
    session: Option<Session>,
}

impl<L: Link> Station<L> {
    /// A conversation over `link` that has not begun.
    pub fn new(link: L) -> Self {
        Self {
            link,
            sequence: 0,
            receiver: Receiver::new(),
            busy_ms: 0,
            session: None,
        }
    }

    /// From now on requests are sealed in `session`, or sent in the clear.
    pub fn set_session(&mut self, session: Option<Session>) {
        self.session = session;
    }

    /// The session that requests are sealed in.
    pub fn session(&self) -> Option<&Session> {
        self.session.as_ref()
    }

    /// The milliseconds that the agent announced in busy frames for the last request.
    pub fn busy_ms(&self) -> u32 {
        self.busy_ms
    }

    /// Sends `request` and hands the answer to `take`.
    ///
    /// # Errors
    /// [`BenchError::Silent`] or [`BenchError::Answer`].
    pub fn ask<T>(
        &mut self,
        name: &str,
        request: &Request<'_>,
        take: impl FnOnce(&Response<'_>) -> Option<T>,
    ) -> Result<T, BenchError> {
        self.sequence += 1;
        self.busy_ms = 0;
        let mut payload = [0; PAYLOAD_LENGTH_MAX];
        let mut encoded = [0; ENCODED_LENGTH_MAX];
        let kind = match self.session {
            Some(_) => Kind::SealedRequest,
            None => Kind::Request,
        };
        let header = Header {
            kind,
            sequence: self.sequence,
        };
        let length = frame::encode_message(request, &mut payload)
            .ok()
            .and_then(|length| match &mut self.session {
                Some(session) => session.seal(header, &mut payload, length).ok(),
                None => Some(length),
            })
            .and_then(|length| frame::encode(header, &payload[..length], &mut encoded).ok())
            .ok_or_else(|| answer_error(name, "a request too long for a frame".to_owned()))?;
        self.link.send(&encoded[..length])?;
        let deadline_ms = request.deadline_ms() * PATIENCE_FACTOR;
        self.await_answer(name, deadline_ms, take)
    }

    fn await_answer<T>(
        &mut self,
        name: &str,
        deadline_ms: u32,
        take: impl FnOnce(&Response<'_>) -> Option<T>,
    ) -> Result<T, BenchError> {
        let mut end = Instant::now() + Duration::from_millis(deadline_ms.into());
        while Instant::now() < end {
            for byte in self.link.receive()? {
                let frame = match self.receiver.push(byte) {
                    None => continue,
                    Some(Ok(frame)) => frame,
                    Some(Err(fault)) => return Err(answer_error(name, fault.to_string())),
                };
                match frame.header.kind {
                    Kind::Busy => {
                        let busy_ms = frame
                            .payload
                            .first_chunk()
                            .map_or(0, |ms| u32::from_le_bytes(*ms));
                        self.busy_ms += busy_ms;
                        end += Duration::from_millis((busy_ms * PATIENCE_FACTOR).into());
                    }
                    Kind::Response | Kind::SealedResponse
                        if frame.header.sequence == self.sequence =>
                    {
                        let message = match (&mut self.session, frame.header.kind) {
                            (Some(session), Kind::SealedResponse) => session
                                .open(frame.header, frame.payload)
                                .map_err(|fault| answer_error(name, fault.to_string()))?,
                            (_, Kind::Response) => frame.payload,
                            _ => return Err(answer_error(name, "a sealed frame".to_owned())),
                        };
                        let response: Response<'_> = frame::decode_message(message)
                            .map_err(|fault| answer_error(name, fault.to_string()))?;
                        return take(&response)
                            .ok_or_else(|| answer_error(name, format!("{response:?}")));
                    }
                    kind => return Err(answer_error(name, format!("a frame of kind {kind:?}"))),
                }
            }
        }
        Err(BenchError::Silent {
            request: name.to_owned(),
            deadline_ms,
        })
    }
}

fn answer_error(name: &str, got: String) -> BenchError {
    BenchError::Answer {
        expected: format!("the answer to {name}"),
        got,
    }
}
