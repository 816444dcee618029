//! One request, one answer: what is sent again, how often, and for how long the station waits.

use std::time::{Duration, Instant};

use keyline_protocol::frame::{self, ENCODED_LENGTH_MAX, FrameFault, Header, Kind, MessageFault};

use super::{Conversation, SessionError};
use crate::link::LinkError;

/// How often a request is sent again after silence or damage. The same bytes go out each time: a unit that already did the work
/// answers from memory.
const RETRANSMISSIONS: u32 = 3;

/// How long busy frames may hold a call up in all. The slowest work there is, an RSA signature on the slowest chip that makes one,
/// takes 41 s (measured; `firmware-budget`).
const BUSY_MAX: Duration = Duration::from_mins(2);

/// What a unit may be late on its own announcement: a frame's time on a slow line, and the model's error.
const BUSY_GRACE: Duration = Duration::from_secs(2);

/// Answers to earlier requests that one call passes over: each retransmission can leave one behind.
const STALE_FRAMES_MAX: u32 = 16;

/// Why one attempt gave no answer, though the link works.
enum Trouble {
    Silent,
    Unreadable(FrameFault),
    Rejected,
    OutOfSequence(u16),
}

/// What a frame means to the call that waits.
enum Sign {
    Answer(Kind),
    Busy(Duration),
    Trouble(Trouble),
    Stale(u16),
}

impl Conversation {
    /// Sends `payload` and waits for the answer, whose payload then stands in `self.answer`.
    pub(super) fn exchange(
        &mut self,
        call: &'static str,
        header: Header,
        payload: &[u8],
        deadline_ms: u32,
    ) -> Result<Kind, SessionError> {
        let mut encoded = [0; ENCODED_LENGTH_MAX];
        let length =
            frame::encode(header, payload, &mut encoded).map_err(|_| SessionError::TooLong {
                call,
                source: MessageFault::TooLong,
            })?;
        let encoded = &encoded[..length];
        let give_up = Instant::now() + BUSY_MAX;
        let mut trouble = Trouble::Silent;
        for attempt in 0..=RETRANSMISSIONS {
            let sent = if attempt == 0 && !self.unsettled {
                self.target.send(encoded)
            } else {
                // A zero ends whatever the unit has half received.
                self.target.send(&[&[0], encoded].concat())
            };
            sent.map_err(|source| SessionError::Link { call, source })?;
            let patience = Duration::from_millis(u64::from(deadline_ms));
            match self.wait(call, header.sequence, patience, give_up)? {
                Ok(kind) => {
                    self.unsettled = false;
                    return Ok(kind);
                }
                Err(found) => trouble = found,
            }
        }
        Err(trouble.into_error(call, header.sequence))
    }

    /// Waits for the answer to one attempt.
    fn wait(
        &mut self,
        call: &'static str,
        sequence: u16,
        patience: Duration,
        give_up: Instant,
    ) -> Result<Result<Kind, Trouble>, SessionError> {
        let mut deadline = Instant::now() + patience;
        let mut stale = None;
        let mut stale_frames = 0;
        while stale_frames < STALE_FRAMES_MAX {
            match self.next_sign(call, sequence, deadline)? {
                Sign::Answer(kind) => return Ok(Ok(kind)),
                Sign::Trouble(Trouble::Silent) => break,
                Sign::Trouble(trouble) => return Ok(Err(trouble)),
                Sign::Stale(got) => {
                    stale = Some(got);
                    stale_frames += 1;
                }
                Sign::Busy(_) if Instant::now() >= give_up => {
                    return Err(SessionError::BusyTooLong {
                        call,
                        waited_ms: u64::try_from(BUSY_MAX.as_millis()).unwrap_or(u64::MAX),
                    });
                }
                Sign::Busy(announced) => {
                    deadline = (Instant::now() + announced + BUSY_GRACE).min(give_up);
                }
            }
        }
        Ok(Err(stale.map_or(Trouble::Silent, Trouble::OutOfSequence)))
    }

    /// Reads on to the next whole frame, or to the deadline.
    fn next_sign(
        &mut self,
        call: &'static str,
        sequence: u16,
        deadline: Instant,
    ) -> Result<Sign, SessionError> {
        loop {
            // A unit that never stops sending, and never ends a frame, is as good as silent.
            if Instant::now() >= deadline {
                return Ok(Sign::Trouble(Trouble::Silent));
            }
            while let Some(&byte) = self.incoming.get(self.incoming_read) {
                self.incoming_read += 1;
                if let Some(frame) = self.receiver.push(byte) {
                    return Ok(match frame {
                        Err(fault) => Sign::Trouble(Trouble::Unreadable(fault)),
                        Ok(frame) => {
                            self.answer.clear();
                            self.answer.extend_from_slice(frame.payload);
                            read_sign(frame.header, sequence, &self.answer)
                        }
                    });
                }
            }
            self.incoming.clear();
            self.incoming_read = 0;
            match self.target.receive(deadline, &mut self.incoming) {
                Ok(()) => {}
                Err(LinkError::Timeout { .. }) => return Ok(Sign::Trouble(Trouble::Silent)),
                Err(source) => return Err(SessionError::Link { call, source }),
            }
        }
    }
}

fn read_sign(header: Header, sequence: u16, payload: &[u8]) -> Sign {
    match header.kind {
        // The unit could not read the frame, so it can't know its number either.
        Kind::Rejected => Sign::Trouble(Trouble::Rejected),
        _ if header.sequence != sequence => Sign::Stale(header.sequence),
        Kind::Busy => match payload.try_into() {
            Ok(announced_ms) => Sign::Busy(
                Duration::from_millis(u64::from(u32::from_le_bytes(announced_ms))).min(BUSY_MAX),
            ),
            Err(_) => Sign::Stale(header.sequence),
        },
        kind => Sign::Answer(kind),
    }
}

impl Trouble {
    fn into_error(self, call: &'static str, expected: u16) -> SessionError {
        let attempts = RETRANSMISSIONS + 1;
        match self {
            Self::Silent => SessionError::Silent { call, attempts },
            Self::Unreadable(source) => SessionError::Unreadable {
                call,
                attempts,
                source,
            },
            Self::Rejected => SessionError::Rejected { call, attempts },
            Self::OutOfSequence(got) => SessionError::OutOfSequence {
                call,
                expected,
                got,
            },
        }
    }
}
