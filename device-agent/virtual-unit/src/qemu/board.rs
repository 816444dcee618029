//! One unit on the bench: chip, debug ports, cables, counters.

use super::counters::Counters;
use super::debug_port::{Answer, DebugPort, Transfer};
use super::error::UnitError;
use super::machine::MachineOptions;
use super::retained::Retained;
use super::target::Target;

/// Everything of a unit but its sockets.
#[derive(Debug)]
pub(super) struct Board {
    options: MachineOptions,
    pub(super) target: Target,
    port: DebugPort,
    /// Whether the debug cable is in.
    pub(super) cable: bool,
    /// Whether the serial cable is in.
    pub(super) serial_cable: bool,
    /// Transfers until the power goes.
    pub(super) transfers_left: Option<u64>,
    pub(super) counters: Counters,
}

impl Board {
    /// A unit without power, cables in.
    pub(super) fn new(options: MachineOptions, retained: Retained) -> Self {
        Self {
            target: Target::new(options.clone(), retained),
            port: DebugPort::new(&options.chip),
            options,
            cable: true,
            serial_cable: true,
            transfers_left: None,
            counters: Counters::default(),
        }
    }

    /// Puts the unit under power; its debug ports start from scratch.
    pub(super) fn power_on(&mut self) -> Result<(), UnitError> {
        if self.target.machine().is_none() {
            self.port = DebugPort::new(&self.options.chip);
        }
        self.target.power_on()
    }

    /// Takes the unit's power away.
    pub(super) fn power_off(&mut self) {
        self.transfers_left = None;
        self.target.power_off();
    }

    /// Carries out the transfers of one message and gives the answers to send.
    pub(super) fn transfer(&mut self, transfers: &[Transfer]) -> Vec<Answer> {
        let mut answers = Vec::with_capacity(transfers.len());
        if !self.cable || self.target.machine().is_none() {
            self.counters.transfers += 1;
            answers.push(Answer::Silence);
            return answers;
        }
        let allowed = self.allowed(transfers.len());
        let (now, cut) = transfers.split_at(allowed);
        self.port
            .execute(now, &mut self.target, &mut self.counters, &mut answers);
        if let Some(left) = &mut self.transfers_left {
            *left = left.saturating_sub(allowed as u64);
        }
        if self.transfers_left == Some(0) {
            self.power_off();
            let complete = answers.len() == allowed;
            if !cut.is_empty() && complete {
                answers.push(Answer::Silence);
            }
        }
        self.target.look();
        self.counters.resets += std::mem::take(&mut self.target.resets);
        answers
    }

    /// Drives the reset line; the chip resets when it is let go.
    pub(super) fn reset_line(&mut self, asserted: bool) {
        if !asserted && self.cable {
            // A chip that is gone does not notice; the next transfer says so.
            let _ = self.target.system_reset();
        }
    }

    fn allowed(&self, count: usize) -> usize {
        self.transfers_left
            .and_then(|left| usize::try_from(left).ok())
            .map_or(count, |left| left.min(count))
    }
}
