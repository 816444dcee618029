//! The wire between probe-rs and the probe: Glasgow's `probe-rs` applet, protocol `v01`.
//!
//! Both directions are a stream of COBS frames, each ended by a zero byte. The first decoded byte is the endpoint (0 the
//! probe itself, 1 the serial wire), the rest continues that endpoint's own byte stream. Source: probe-rs 0.32,
//! `probe/glasgow/{proto,mux}.rs`, and tried against it.

use super::debug_port::{Answer, Transfer};

/// What the applet says of itself, twelve bytes.
pub(super) const IDENTIFIER: &[u8; 12] = b"probe-rs,v01";
/// What a second client is told in place of the identifier: probe-rs shows it as `unsupported probe: "probe in use"`.
pub(super) const BUSY_IDENTIFIER: &[u8; 12] = b"probe in use";
/// The clock that the applet divides, in hertz.
const REFERENCE_CLOCK_HZ: u32 = 48_000_000;
/// A client that sends more than this without ending a frame speaks another protocol.
const FRAME_BYTES_MAX: usize = 1024 * 1024;

const ENDPOINT_PROBE: u8 = 0;
const ENDPOINT_WIRE: u8 = 1;
const PROBE_IDENTIFY: u8 = 0x00;
const PROBE_REFERENCE_CLOCK: u8 = 0x10;
const PROBE_DIVISOR: u8 = 0x11;
const PROBE_SET_DIVISOR: u8 = 0x12;
const PROBE_ASSERT_RESET: u8 = 0x20;
const PROBE_CLEAR_RESET: u8 = 0x21;
const WIRE_SEQUENCE: u8 = 0x20;
const WIRE_ACCESS_PORT: u8 = 0x01;
const WIRE_READ: u8 = 0x02;
const WIRE_ADDRESS: u8 = 0x0C;
const REPLY_OK_DATA: u8 = 0x01;
const REPLY_OK: u8 = 0x11;
const REPLY_FAULT: u8 = 0x14;
/// Protocol error: all three acknowledgement bits read high on a wire that nobody drives.
const REPLY_SILENCE: u8 = 0x27;

/// Why a client's stream can't be understood.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(super) enum StreamError {
    /// A frame is no COBS.
    #[error("a frame of {length} bytes is not COBS encoded")]
    NotCobs {
        /// Length of the frame as it came.
        length: usize,
    },
    /// A frame is for an endpoint that the applet does not have.
    #[error("a frame is for endpoint {found:?}: expected 0 or 1")]
    Endpoint {
        /// The endpoint, or none in an empty frame.
        found: Option<u8>,
    },
    /// The probe has no such command.
    #[error("the probe has no command {found:#04x}")]
    Command {
        /// The first byte of the command.
        found: u8,
    },
    /// A frame does not end.
    #[error("more than {FRAME_BYTES_MAX} bytes came without the end of a frame")]
    Endless,
}

/// Something that a client asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Request {
    /// Bytes to answer from the probe's own endpoint.
    Probe(Vec<u8>),
    /// The reset line, asserted or not.
    Reset(bool),
    /// Transfers that arrived in one message; a FAULT ends them all.
    Transfers(Vec<Transfer>),
}

/// The receiving side of one client's stream.
#[derive(Debug, Default)]
pub(super) struct Receiver {
    received: Vec<u8>,
    probe: Vec<u8>,
    wire: Vec<u8>,
    divisor: u16,
}

impl Receiver {
    /// Takes bytes in and gives the requests that are complete.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<Vec<Request>, StreamError> {
        self.received.extend_from_slice(bytes);
        let mut requests = Vec::new();
        while let Some(end) = self.received.iter().position(|&byte| byte == 0) {
            let frame: Vec<u8> = self.received.drain(..=end).collect();
            self.frame(&frame[..end], &mut requests)?;
        }
        if self.received.len() > FRAME_BYTES_MAX {
            return Err(StreamError::Endless);
        }
        Ok(requests)
    }

    fn frame(&mut self, frame: &[u8], requests: &mut Vec<Request>) -> Result<(), StreamError> {
        let length = frame.len();
        let decoded = cobs::decode_vec(frame).map_err(|_| StreamError::NotCobs { length })?;
        match decoded.split_first() {
            Some((&ENDPOINT_PROBE, content)) => {
                self.probe.extend_from_slice(content);
                self.probe_requests(requests)
            }
            Some((&ENDPOINT_WIRE, content)) => {
                self.wire.extend_from_slice(content);
                let transfers = self.transfers();
                if !transfers.is_empty() {
                    requests.push(Request::Transfers(transfers));
                }
                Ok(())
            }
            other => Err(StreamError::Endpoint {
                found: other.map(|(&endpoint, _)| endpoint),
            }),
        }
    }

    fn probe_requests(&mut self, requests: &mut Vec<Request>) -> Result<(), StreamError> {
        while let Some(&command) = self.probe.first() {
            let (length, request) = match command {
                PROBE_IDENTIFY => (1, Request::Probe(IDENTIFIER.to_vec())),
                PROBE_REFERENCE_CLOCK => {
                    (1, Request::Probe(REFERENCE_CLOCK_HZ.to_le_bytes().to_vec()))
                }
                PROBE_DIVISOR => (1, Request::Probe(self.divisor.to_le_bytes().to_vec())),
                PROBE_SET_DIVISOR => {
                    let &[_, low, high, ..] = self.probe.as_slice() else {
                        break;
                    };
                    self.divisor = u16::from_le_bytes([low, high]);
                    self.probe.drain(..3);
                    continue;
                }
                PROBE_ASSERT_RESET => (1, Request::Reset(true)),
                PROBE_CLEAR_RESET => (1, Request::Reset(false)),
                found => return Err(StreamError::Command { found }),
            };
            self.probe.drain(..length);
            requests.push(request);
        }
        Ok(())
    }

    /// Takes the complete commands off the wire endpoint's stream. Raw sequences (line resets, protocol switches) are
    /// swallowed: this port speaks serial wire from the start.
    fn transfers(&mut self) -> Vec<Transfer> {
        let mut transfers = Vec::new();
        let mut rest = self.wire.as_slice();
        while let [command, tail @ ..] = rest {
            let address = command & WIRE_ADDRESS;
            let sequence = command & WIRE_SEQUENCE != 0;
            let access = command & WIRE_ACCESS_PORT != 0;
            if !sequence && command & WIRE_READ != 0 {
                transfers.push(if access {
                    Transfer::ReadAccess(address)
                } else {
                    Transfer::ReadPort(address)
                });
                rest = tail;
                continue;
            }
            let Some((word, tail)) = tail.split_first_chunk() else {
                break;
            };
            let value = u32::from_le_bytes(*word);
            if !sequence {
                transfers.push(if access {
                    Transfer::WriteAccess(address, value)
                } else {
                    Transfer::WritePort(address, value)
                });
            }
            rest = tail;
        }
        let consumed = self.wire.len() - rest.len();
        self.wire.drain(..consumed);
        transfers
    }
}

/// Encodes bytes of the probe's own endpoint as a frame.
pub(super) fn probe_frame(content: &[u8]) -> Vec<u8> {
    encode(ENDPOINT_PROBE, content)
}

/// Encodes answers of the serial wire as a frame.
pub(super) fn wire_frame(answers: &[Answer]) -> Vec<u8> {
    let mut content = Vec::with_capacity(answers.len() * 5);
    for answer in answers {
        match answer {
            Answer::Data(word) => {
                content.push(REPLY_OK_DATA);
                content.extend_from_slice(&word.to_le_bytes());
            }
            Answer::Done => content.push(REPLY_OK),
            Answer::Fault => content.push(REPLY_FAULT),
            Answer::Silence => content.push(REPLY_SILENCE),
        }
    }
    encode(ENDPOINT_WIRE, &content)
}

fn encode(endpoint: u8, content: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(content.len() + 1);
    plain.push(endpoint);
    plain.extend_from_slice(content);
    let mut frame = cobs::encode_vec(&plain);
    frame.push(0);
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `DPIDR` read and a data write, in one message, cut into single bytes on the way.
    #[test]
    fn requests_survive_any_cut_of_the_stream() {
        let stream = encode(ENDPOINT_WIRE, &[0x02, 0x0D, 0x78, 0x56, 0x00, 0x12]);
        let mut receiver = Receiver::default();
        let mut requests = Vec::new();
        for byte in stream {
            requests.extend(receiver.push(&[byte]).unwrap());
        }
        let expected = vec![
            Transfer::ReadPort(0),
            Transfer::WriteAccess(0x0C, 0x1200_5678),
        ];
        assert_eq!(requests, [Request::Transfers(expected)]);
    }

    #[test]
    fn sequences_are_swallowed_and_the_divisor_is_kept() {
        let mut receiver = Receiver::default();
        let sequence = encode(ENDPOINT_WIRE, &[0x20 | 7, 0xFF, 0xFF, 0xFF, 0xFF]);
        assert_eq!(receiver.push(&sequence).unwrap(), []);
        let divisor = probe_frame(&[PROBE_SET_DIVISOR, 0x34, 0x12, PROBE_DIVISOR]);
        let expected = [Request::Probe(vec![0x34, 0x12])];
        assert_eq!(receiver.push(&divisor).unwrap(), expected);
    }

    #[test]
    fn answers_have_the_applets_literal_bytes() {
        let frame = wire_frame(&[Answer::Data(0x0BB1_1477), Answer::Done, Answer::Fault]);
        let plain = cobs::decode_vec(&frame[..frame.len() - 1]).unwrap();
        assert_eq!(plain, [1, 0x01, 0x77, 0x14, 0xB1, 0x0B, 0x11, 0x14]);
    }

    #[test]
    fn another_protocol_is_refused() {
        let mut receiver = Receiver::default();
        let error = receiver.push(b"GET / HTTP/1.1\r\n\0").unwrap_err();
        assert!(matches!(
            error,
            StreamError::NotCobs { .. } | StreamError::Endpoint { .. }
        ));
        let error = Receiver::default().push(&probe_frame(&[0x77])).unwrap_err();
        assert_eq!(error, StreamError::Command { found: 0x77 });
    }
}
