//! The bench's inside: frames in, frames out, power.

use std::collections::VecDeque;

use keyline_agent::Agent;
use keyline_protocol::frame::ENCODED_LENGTH_MAX;

use super::chip::SimChip;
use super::faults::{Direction, Faults};
use super::newer::NewerAgent;
use super::unit::SimError;

/// A sender that never ends a frame gets no further than this; a chip would have given up on it long before.
const INCOMING_LENGTH_MAX: usize = 4 * ENCODED_LENGTH_MAX;

/// One unit and what it is connected to.
pub(crate) struct Bench {
    agent: Box<Agent<SimChip>>,
    newer: NewerAgent,
    powered: bool,
    cable: bool,
    pub(crate) faults: Faults,
    /// Bytes of a frame that has not ended yet.
    incoming: Vec<u8>,
    /// Bytes that the station has not read yet.
    outgoing: VecDeque<u8>,
}

impl Bench {
    /// A bench with power and cable, and the chip on it booted.
    pub(crate) fn new(mut chip: SimChip) -> Self {
        chip.begin_boot();
        let agent = Box::new(Agent::new(chip));
        Self {
            powered: agent.hal().flash.is_powered(),
            agent,
            newer: NewerAgent::default(),
            cable: true,
            faults: Faults::default(),
            incoming: Vec::new(),
            outgoing: VecDeque::new(),
        }
    }

    pub(crate) const fn chip(&self) -> &SimChip {
        self.agent.hal()
    }

    pub(crate) const fn chip_mut(&mut self) -> &mut SimChip {
        self.agent.hal_mut()
    }

    pub(crate) const fn is_powered(&self) -> bool {
        self.powered
    }

    pub(crate) const fn require_cable(&self) -> Result<(), SimError> {
        if self.cable {
            Ok(())
        } else {
            Err(SimError::CablePulled)
        }
    }

    pub(crate) const fn require_power(&self) -> Result<(), SimError> {
        if self.powered {
            Ok(())
        } else {
            Err(SimError::NoPower)
        }
    }

    pub(crate) fn set_cable(&mut self, connected: bool) {
        self.cable = connected;
        if !connected {
            self.forget_wire();
        }
    }

    fn forget_wire(&mut self) {
        self.incoming.clear();
        self.outgoing.clear();
    }

    pub(crate) fn power_off(&mut self) {
        self.powered = false;
        self.chip_mut().flash.set_power(false);
        self.chip_mut().outbox.clear();
        self.forget_wire();
    }

    pub(crate) fn power_on(&mut self) {
        if !self.powered {
            self.chip_mut().flash.set_power(true);
            self.boot();
        }
    }

    fn boot(&mut self) {
        self.chip_mut().begin_boot();
        self.agent.reboot();
        self.powered = self.chip().flash.is_powered();
    }

    /// Takes bytes of the station; each frame that ends is carried out.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), SimError> {
        for byte in bytes {
            self.require_cable()?;
            self.incoming.push(*byte);
            if *byte == 0 || self.incoming.len() > INCOMING_LENGTH_MAX {
                let frame = core::mem::take(&mut self.incoming);
                let passed = self.faults.pass(Direction::ToUnit, frame);
                self.suffer(passed.cable_pulled, passed.power_cut);
                passed.frames.iter().for_each(|frame| self.deliver(frame));
            }
        }
        self.require_cable()
    }

    /// Hands the station what the unit sent.
    pub(crate) fn read(&mut self, into: &mut Vec<u8>) -> usize {
        let count = self.outgoing.len();
        into.extend(self.outgoing.drain(..));
        count
    }

    fn suffer(&mut self, cable_pulled: bool, power_cut: bool) {
        if cable_pulled {
            self.set_cable(false);
        }
        if power_cut {
            self.power_off();
        }
    }

    fn deliver(&mut self, frame: &[u8]) {
        for byte in frame {
            if !self.powered {
                return;
            }
            match self.chip().options.newer_protocol {
                Some(versions) => {
                    let answer = self.newer.receive(*byte, versions);
                    self.chip_mut().outbox.extend(answer);
                }
                None => self.agent.receive(*byte),
            }
            self.collect();
            if !self.chip().flash.is_powered() {
                // The cut came in the middle of the work; what was already sent is on its way.
                self.powered = false;
                self.incoming.clear();
            } else if self.chip().reset_requested {
                self.boot();
            }
        }
    }

    /// Takes the frames that the unit sent onto the wire.
    fn collect(&mut self) {
        while let Some(frame) = self.chip_mut().outbox.pop_front() {
            let passed = self.faults.pass(Direction::ToStation, frame);
            self.suffer(passed.cable_pulled, passed.power_cut);
            if self.cable {
                self.outgoing.extend(passed.frames.into_iter().flatten());
            }
        }
    }
}
