//! Frames in, frames out: who is answered, how often, and whether inside the session.
//!
//! - `Hello` in the clear begins a new conversation, whatever its sequence number.
//! - Within a conversation, sequence numbers grow. The last request, sent again byte for byte, gets the last answer again and is not
//!   carried out a second time. Anything else that does not grow is refused as replayed.
//! - A sealed request is answered inside the session. One that does not open is refused in the clear and leaves no trace: it may be
//!   forged, and the true one must still get through. The same goes for a frame that can't be read.
//!
//! The encoded answer stays where it is until the next request is carried out, so short notices (busy, rejected, replayed) are encoded
//! in a buffer of their own on the stack.

use keyline_protocol::frame::{
    self, ENCODED_LENGTH_MAX, Frame, FrameFault, Header, Kind, PAYLOAD_LENGTH_MAX,
};
use keyline_protocol::identity::Digest;
use keyline_protocol::message::{Refusal, Request, Response};
use sha2::{Digest as _, Sha256};

use crate::hal::Hal;
use crate::unit::{Channel, Unit};

/// The longest payload of a notice: a refusal or a frame fault is at most 16 bytes.
const NOTICE_LENGTH_MAX: usize = 24;

/// The last request that was carried out.
#[derive(Clone, Copy)]
struct Last {
    sequence: u16,
    digest: Digest,
}

/// The state of a conversation.
pub(crate) struct Exchange {
    last: Option<Last>,
    encoded: [u8; ENCODED_LENGTH_MAX],
    encoded_length: usize,
}

impl Exchange {
    /// Before the first `Hello`.
    pub(crate) const fn new() -> Self {
        Self {
            last: None,
            encoded: [0; ENCODED_LENGTH_MAX],
            encoded_length: 0,
        }
    }

    /// Carries out what a frame asks and answers it.
    pub(crate) fn handle<H: Hal>(
        &mut self,
        unit: &mut Unit<H>,
        payload: &mut [u8; PAYLOAD_LENGTH_MAX],
        frame: Frame<'_>,
    ) {
        let Frame {
            header,
            payload: came,
        } = frame;
        let channel = match header.kind {
            Kind::Request => Channel::Clear,
            Kind::SealedRequest => Channel::Session,
            // Frames that only a unit sends: an echo, which must not be answered with another.
            _ => return,
        };
        let digest = Sha256::new()
            .chain_update(header.to_bytes())
            .chain_update(&*came)
            .finalize()
            .into();
        if let Some(last) = self.last
            && (last.sequence, last.digest) == (header.sequence, digest)
        {
            unit.hal.send(self.encoded());
            return;
        }
        let begins = channel == Channel::Clear
            && matches!(frame::decode_message(came), Ok(Request::Hello { .. }));
        let opened = match self.open(unit, header, channel, begins, came) {
            Ok(opened) => opened,
            Err(refusal) => {
                refuse(&mut unit.hal, header.sequence, refusal);
                return;
            }
        };
        // From here on the buffer of the last answer is room for this one's parts.
        self.last = None;
        unit.sequence = header.sequence;
        let response = match frame::decode_message(opened) {
            Ok(request) => unit.answer(&request, channel, &mut self.encoded, payload),
            Err(_) => Err(Refusal::Malformed),
        };
        let response = response.unwrap_or_else(Response::Refused);
        let encoded = frame::encode_message(&response, payload)
            .ok()
            .and_then(|length| self.encode(unit, header.sequence, channel, payload, length));
        if let Some(length) = encoded {
            self.encoded_length = length;
            self.last = Some(Last {
                sequence: header.sequence,
                digest,
            });
            unit.hal.send(self.encoded());
        }
        if unit.reset_wanted {
            unit.hal.reset();
        }
    }

    fn encoded(&self) -> &[u8] {
        self.encoded.get(..self.encoded_length).unwrap_or(&[])
    }

    /// The message in a frame, if it may be carried out.
    fn open<'a, H: Hal>(
        &self,
        unit: &mut Unit<H>,
        header: Header,
        channel: Channel,
        begins: bool,
        came: &'a mut [u8],
    ) -> Result<&'a [u8], Refusal> {
        if let Some(last) = self.last
            && !begins
            && header.sequence <= last.sequence
        {
            return Err(Refusal::Replayed {
                last: last.sequence,
                got: header.sequence,
            });
        }
        if channel == Channel::Clear {
            return Ok(came);
        }
        let session = unit.session.as_mut().ok_or(Refusal::SessionRequired)?;
        match session.open(header, came) {
            Ok(message) => Ok(message),
            Err(_) => Err(Refusal::NotAuthentic),
        }
    }

    /// Makes the answer's frame of the first `length` bytes of `payload`.
    fn encode<H: Hal>(
        &mut self,
        unit: &mut Unit<H>,
        sequence: u16,
        channel: Channel,
        payload: &mut [u8; PAYLOAD_LENGTH_MAX],
        length: usize,
    ) -> Option<usize> {
        let (header, length) = match channel {
            Channel::Clear => {
                let kind = Kind::Response;
                (Header { kind, sequence }, length)
            }
            Channel::Session => {
                let kind = Kind::SealedResponse;
                let header = Header { kind, sequence };
                let sealed = unit.session.as_mut()?.seal(header, payload, length).ok()?;
                (header, sealed)
            }
        };
        frame::encode(header, payload.get(..length)?, &mut self.encoded).ok()
    }
}

/// Says that a frame could not be read.
pub(crate) fn reject(hal: &mut impl Hal, fault: FrameFault) {
    let mut payload = [0; NOTICE_LENGTH_MAX];
    if let Ok(length) = frame::encode_message(&fault, &mut payload) {
        // Whatever number the frame had, it could not be read.
        notify(hal, Kind::Rejected, 0, payload.get(..length));
    }
}

/// Says that the request is understood and takes about `duration_ms`.
pub(crate) fn announce(hal: &mut impl Hal, sequence: u16, duration_ms: u32) {
    notify(hal, Kind::Busy, sequence, Some(&duration_ms.to_le_bytes()));
}

/// Refuses a request without leaving a trace of it.
fn refuse(hal: &mut impl Hal, sequence: u16, refusal: Refusal) {
    let mut payload = [0; NOTICE_LENGTH_MAX];
    if let Ok(length) = frame::encode_message(&Response::Refused(refusal), &mut payload) {
        notify(hal, Kind::Response, sequence, payload.get(..length));
    }
}

/// Sends a short frame from a buffer on the stack, which is gone before any arithmetic needs the room.
#[inline(never)]
fn notify(hal: &mut impl Hal, kind: Kind, sequence: u16, payload: Option<&[u8]>) {
    let mut encoded = [0; ENCODED_LENGTH_MAX];
    let header = Header { kind, sequence };
    let length = frame::encode(header, payload.unwrap_or(&[]), &mut encoded);
    if let Ok(length) = length
        && let Some(encoded) = encoded.get(..length)
    {
        hal.send(encoded);
    }
}
