//! The agent as a chip's program sees it.

use keyline_protocol::frame::{ENCODED_LENGTH_MAX, PAYLOAD_LENGTH_MAX, Receiver};
use keyline_protocol::spki;
use zeroize::Zeroize;

use crate::exchange::{self, Exchange};
use crate::hal::Hal;
use crate::record_layout::BODY_LENGTH_MAX;
use crate::unit::Unit;

const _: () = assert!(
    PAYLOAD_LENGTH_MAX >= BODY_LENGTH_MAX && ENCODED_LENGTH_MAX >= spki::LENGTH_MAX,
    "a record is read into the buffer of a payload, a public key into that of an answer"
);

/// A unit's agent on one chip: about 3.5 KiB of state, of which three buffers of a frame's length are the most.
pub struct Agent<H: Hal> {
    receiver: Receiver,
    exchange: Exchange,
    payload: [u8; PAYLOAD_LENGTH_MAX],
    unit: Unit<H>,
}

impl<H: Hal> Agent<H> {
    /// Boots: finishes or clears away what was interrupted before, then waits for bytes.
    ///
    /// Where flash was written by a newer agent, or does not do as it is told, the agent still starts, touches nothing more, and says
    /// so in its answer to every request but `Hello` and `Reset`.
    pub fn new(hal: H) -> Self {
        let mut agent = Self {
            receiver: Receiver::new(),
            exchange: Exchange::new(),
            payload: [0; PAYLOAD_LENGTH_MAX],
            unit: Unit::new(hal),
        };
        agent.reboot();
        agent
    }

    /// Boots anew, in place: what a reset does, for a chip on which [`Hal::reset`] returns.
    pub fn reboot(&mut self) {
        self.receiver.wipe();
        self.exchange = Exchange::new();
        self.unit.boot(&mut self.payload);
        self.payload.zeroize();
    }

    /// Takes one byte from the link. Where it ends a frame, the request is carried out and its answer sent before this returns.
    ///
    /// Any bytes at all are fine: what is no request gets an answer that says so and changes nothing.
    pub fn receive(&mut self, byte: u8) {
        match self.receiver.push(byte) {
            None => return,
            Some(Err(fault)) => exchange::reject(&mut self.unit.hal, fault),
            Some(Ok(frame)) => self
                .exchange
                .handle(&mut self.unit, &mut self.payload, frame),
        }
        // What came, and what was read from flash for it, may have been secret.
        self.payload.zeroize();
        self.receiver.wipe();
    }

    /// The chip.
    pub const fn hal(&self) -> &H {
        &self.unit.hal
    }

    /// The chip.
    pub const fn hal_mut(&mut self) -> &mut H {
        &mut self.unit.hal
    }
}
