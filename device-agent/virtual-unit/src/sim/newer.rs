//! An agent of a newer protocol, as far as this one's stations can tell: it refuses their versions.

use keyline_protocol::frame::{self, ENCODED_LENGTH_MAX, Header, Kind, Receiver};
use keyline_protocol::message::{Refusal, Response};

/// Answers every request alike. `Hello` and this answer to it are frozen for ever, so any station understands it.
#[derive(Default)]
pub(crate) struct NewerAgent {
    receiver: Receiver,
}

impl NewerAgent {
    /// Takes one byte; at the end of a request it gives the encoded answer.
    pub(crate) fn receive(&mut self, byte: u8, (minimum, maximum): (u16, u16)) -> Option<Vec<u8>> {
        let sequence = self.receiver.push(byte)?.ok()?.header.sequence;
        let response = Response::Refused(Refusal::UnsupportedVersion { minimum, maximum });
        let mut payload = [0; 32];
        let length = frame::encode_message(&response, &mut payload).ok()?;
        let mut encoded = [0; ENCODED_LENGTH_MAX];
        let kind = Kind::Response;
        let header = Header { kind, sequence };
        let length = frame::encode(header, payload.get(..length)?, &mut encoded).ok()?;
        encoded.get(..length).map(<[u8]>::to_vec)
    }
}
