//! How a message travels: one frame, the same over RTT, a serial line and memory.
//!
//! Before COBS encoding, little-endian:
//!
//! | offset | size | field |
//! |-|-|-|
//! | 0 | 1 | frame format, [`FORMAT`] |
//! | 1 | 1 | [`Kind`] |
//! | 2 | 2 | sequence number; an answer carries its request's |
//! | 4 | n | payload, at most [`PAYLOAD_LENGTH_MAX`] bytes |
//! | 4 + n | 4 | CRC-32 (IEEE 802.3) of everything before it |
//!
//! then COBS, then one zero byte. A zero byte therefore always ends a frame, and a receiver that lost its place finds it again at
//! the next one.

use crc::{CRC_32_ISO_HDLC, Crc, NoTable};
use serde::{Deserialize, Serialize};
use zeroize::Zeroize;

/// The frame format, first byte of every frame. Frozen for ever.
pub const FORMAT: u8 = 1;

/// The longest payload in bytes. The longest message is an `Inject` with everything at its limit, sealed.
pub const PAYLOAD_LENGTH_MAX: usize = 1040;

/// The bytes before the payload.
pub const HEADER_LENGTH: usize = 4;

const CRC_LENGTH: usize = 4;
const RAW_LENGTH_MAX: usize = HEADER_LENGTH + PAYLOAD_LENGTH_MAX + CRC_LENGTH;

/// The longest frame on the wire: COBS adds a byte for each 254 begun, and the zero ends it.
pub const ENCODED_LENGTH_MAX: usize = RAW_LENGTH_MAX + RAW_LENGTH_MAX.div_ceil(254) + 1;

/// Without a table: 1 KiB of flash is worth more on a small chip than the microseconds.
const CRC: Crc<u32, NoTable> = Crc::<u32, NoTable>::new(&CRC_32_ISO_HDLC);

/// What a frame carries. Frozen for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A [`Request`](crate::message::Request) in the clear.
    Request,
    /// A request inside the session.
    SealedRequest,
    /// A [`Response`](crate::message::Response) in the clear.
    Response,
    /// A response inside the session.
    SealedResponse,
    /// The request of this sequence number was understood and takes a while; the payload is a `u32` of milliseconds, little-endian.
    Busy,
    /// A frame came that could not be read; the payload is one [`FrameFault`], postcard-encoded. Send it again.
    Rejected,
}

impl Kind {
    const ALL: [Self; 6] = [
        Self::Request,
        Self::SealedRequest,
        Self::Response,
        Self::SealedResponse,
        Self::Busy,
        Self::Rejected,
    ];

    const fn code(self) -> u8 {
        match self {
            Self::Request => 1,
            Self::SealedRequest => 2,
            Self::Response => 3,
            Self::SealedResponse => 4,
            Self::Busy => 5,
            Self::Rejected => 6,
        }
    }
}

/// What stands before the payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// What the frame carries.
    pub kind: Kind,
    /// Grows by one with each new request; an answer carries its request's.
    pub sequence: u16,
}

impl Header {
    /// The four bytes, which a sealed payload authenticates as well.
    #[must_use]
    pub fn to_bytes(self) -> [u8; HEADER_LENGTH] {
        let [low, high] = self.sequence.to_le_bytes();
        [FORMAT, self.kind.code(), low, high]
    }
}

/// Why bytes are no frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum FrameFault {
    /// More bytes than a frame can have came before a zero.
    #[error("a frame of more than {ENCODED_LENGTH_MAX} bytes")]
    Oversized,
    /// Fewer bytes than a header and a checksum.
    #[error("a frame of {0} bytes, which is too short for a header and a checksum")]
    Truncated(u16),
    /// Not COBS.
    #[error("a frame that is not COBS-encoded")]
    NotCobs,
    /// The checksum does not fit.
    #[error("a frame whose checksum is {expected:#010x} where {got:#010x} was sent")]
    Checksum {
        /// Computed over what came.
        expected: u32,
        /// What came.
        got: u32,
    },
    /// Another frame format.
    #[error("a frame of format {0} where {FORMAT} was expected")]
    Format(u8),
    /// No kind of frame has this number.
    #[error("a frame of unknown kind {0}")]
    Kind(u8),
    /// The payload does not fit a frame.
    #[error("a payload of more than {PAYLOAD_LENGTH_MAX} bytes")]
    PayloadTooLong,
}

/// Writes a frame to the front of `out` and gives its length, the final zero included.
///
/// # Errors
/// [`FrameFault::PayloadTooLong`] where the payload is longer than [`PAYLOAD_LENGTH_MAX`].
pub fn encode(
    header: Header,
    payload: &[u8],
    out: &mut [u8; ENCODED_LENGTH_MAX],
) -> Result<usize, FrameFault> {
    if payload.len() > PAYLOAD_LENGTH_MAX {
        return Err(FrameFault::PayloadTooLong);
    }
    let header = header.to_bytes();
    let mut digest = CRC.digest();
    digest.update(&header);
    digest.update(payload);
    let mut encoder = cobs::CobsEncoder::new(&mut out[..]);
    for part in [&header[..], payload, &digest.finalize().to_le_bytes()] {
        // The buffer holds the longest frame, so this can't fail; where it did, the payload would be what is too long.
        encoder.push(part).map_err(|_| FrameFault::PayloadTooLong)?;
    }
    let length = encoder.finalize();
    out[length] = 0;
    Ok(length + 1)
}

/// A frame as it was received.
#[derive(Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// What stands before the payload.
    pub header: Header,
    /// The payload; mutable, so that a sealed one can be opened in place.
    pub payload: &'a mut [u8],
}

/// Collects bytes until a frame is whole.
pub struct Receiver {
    buffer: [u8; ENCODED_LENGTH_MAX],
    length: usize,
    overflowed: bool,
}

impl Default for Receiver {
    fn default() -> Self {
        Self::new()
    }
}

impl Receiver {
    /// An empty receiver.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            buffer: [0; ENCODED_LENGTH_MAX],
            length: 0,
            overflowed: false,
        }
    }

    /// Takes one byte. At the zero that ends a frame it gives the frame, or what is wrong with it, and is ready for the next.
    ///
    /// Zeros without anything between them are passed over: a sender may begin with one to end whatever came before.
    ///
    /// # Errors
    /// Any [`FrameFault`] but [`FrameFault::PayloadTooLong`].
    pub fn push(&mut self, byte: u8) -> Option<Result<Frame<'_>, FrameFault>> {
        if byte != 0 {
            match self.buffer.get_mut(self.length) {
                Some(place) => {
                    *place = byte;
                    self.length += 1;
                }
                None => self.overflowed = true,
            }
            return None;
        }
        let length = core::mem::take(&mut self.length);
        if core::mem::take(&mut self.overflowed) {
            return Some(Err(FrameFault::Oversized));
        }
        (length > 0).then(|| decode(&mut self.buffer[..length]))
    }

    /// Overwrites what was received: it may have been a secret.
    pub fn wipe(&mut self) {
        self.buffer.zeroize();
        self.length = 0;
        self.overflowed = false;
    }
}

/// Reads one COBS-encoded frame, without its final zero, in place.
fn decode(encoded: &mut [u8]) -> Result<Frame<'_>, FrameFault> {
    let length = cobs::decode_in_place(encoded).map_err(|_| FrameFault::NotCobs)?;
    let raw = encoded.get_mut(..length).ok_or(FrameFault::NotCobs)?;
    #[expect(clippy::cast_possible_truncation, reason = "shorter than a frame")]
    let truncated = FrameFault::Truncated(length as u16);
    let (covered, checksum) = raw.split_last_chunk_mut::<CRC_LENGTH>().ok_or(truncated)?;
    let got = u32::from_le_bytes(*checksum);
    let expected = CRC.checksum(covered);
    let (&mut [format, kind, low, high], payload) = covered
        .split_first_chunk_mut::<HEADER_LENGTH>()
        .ok_or(truncated)?;
    if got != expected {
        return Err(FrameFault::Checksum { expected, got });
    }
    if format != FORMAT {
        return Err(FrameFault::Format(format));
    }
    if payload.len() > PAYLOAD_LENGTH_MAX {
        return Err(FrameFault::PayloadTooLong);
    }
    let kind = Kind::ALL
        .into_iter()
        .find(|known| known.code() == kind)
        .ok_or(FrameFault::Kind(kind))?;
    Ok(Frame {
        header: Header {
            kind,
            sequence: u16::from_le_bytes([low, high]),
        },
        payload,
    })
}

/// Why a payload is no message, or a message no payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MessageFault {
    /// The message does not fit the buffer.
    #[error("the message is longer than its buffer")]
    TooLong,
    /// The bytes are no such message.
    #[error("the bytes are no message of this protocol")]
    Malformed,
    /// Bytes were left over after the message.
    #[error("{0} bytes stand behind the message")]
    Trailing(usize),
}

/// Encodes a message to the front of `out` and gives its length.
///
/// # Errors
/// [`MessageFault::TooLong`] where it does not fit.
pub fn encode_message(message: &impl Serialize, out: &mut [u8]) -> Result<usize, MessageFault> {
    postcard::to_slice(message, out)
        .map(|written| written.len())
        .map_err(|_| MessageFault::TooLong)
}

/// Decodes a message that fills `payload` to the last byte.
///
/// # Errors
/// [`MessageFault::Malformed`] or [`MessageFault::Trailing`].
pub fn decode_message<'a, T: Deserialize<'a>>(payload: &'a [u8]) -> Result<T, MessageFault> {
    match postcard::take_from_bytes(payload) {
        Ok((message, [])) => Ok(message),
        Ok((_, rest)) => Err(MessageFault::Trailing(rest.len())),
        Err(_) => Err(MessageFault::Malformed),
    }
}
