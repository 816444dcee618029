//! The chip as its debug ports see it: an emulator process with the debug registers, the read-back protection and the
//! lock-up that the emulator lacks.

mod memory;
mod run_control;

use super::bus::BusError;
use super::core_debug::CoreDebug;
use super::error::UnitError;
use super::gdb::Registers;
use super::machine::{Machine, MachineOptions};
use super::retained::Retained;

/// The core's registers, while it stands still and a debugger has asked for them.
#[derive(Debug, Default)]
struct RegisterFile {
    known: Option<Registers>,
    /// The debugger has written some that the emulator does not have yet.
    changed: bool,
}

/// The traps that the emulator has at present.
#[derive(Debug, Default)]
struct Traps {
    breakpoints: Vec<u32>,
    /// Writes of flash stop the core.
    watching: bool,
}

/// The chip of one unit, with or without power.
#[derive(Debug)]
pub(super) struct Target {
    options: MachineOptions,
    machine: Option<Machine>,
    retained: Retained,
    core: CoreDebug,
    /// Read-back protection, as the chip found it at its last reset.
    protected: bool,
    locked_up: bool,
    registers: RegisterFile,
    traps: Traps,
    /// The chip may have written its memories since they were looked at last.
    unseen: bool,
    /// Flash writes and erases until the power goes.
    writes_left: Option<u64>,
    /// System resets since the power came.
    pub(super) resets: u64,
}

impl Target {
    /// A chip without power.
    pub(super) fn new(options: MachineOptions, retained: Retained) -> Self {
        Self {
            options,
            machine: None,
            retained,
            core: CoreDebug::default(),
            protected: false,
            locked_up: false,
            registers: RegisterFile::default(),
            traps: Traps::default(),
            unseen: false,
            writes_left: None,
            resets: 0,
        }
    }

    /// The emulator, while the unit has power.
    pub(super) fn machine(&self) -> Option<&Machine> {
        self.machine.as_ref()
    }

    /// As [`Self::machine`], to be changed.
    pub(super) fn machine_mut(&mut self) -> Option<&mut Machine> {
        self.machine.as_mut()
    }

    /// Puts the chip under power; it starts to run. Nothing happens if it has power already.
    pub(super) fn power_on(&mut self) -> Result<(), UnitError> {
        if self.machine.is_none() {
            self.start()?;
            self.core = CoreDebug::default();
            self.locked_up = false;
            // A core that cannot run is no failure to power on.
            let _ = self.resume();
        }
        Ok(())
    }

    fn start(&mut self) -> Result<(), UnitError> {
        self.machine = Some(Machine::start(&self.options, &self.retained)?);
        self.protected = self.retained.protected();
        self.forget_core();
        self.traps = Traps::default();
        Ok(())
    }

    /// Takes the power away; flash and user information registers are kept as of this moment.
    pub(super) fn power_off(&mut self) {
        self.writes_left = None;
        self.unseen = false;
        if let Some(machine) = self.machine.take() {
            machine.cut_power(&mut self.retained);
        }
    }

    /// Cuts the power after so many more writes and erases of flash, each carried out.
    pub(super) fn cut_after_writes(&mut self, writes: Option<u64>) -> Result<(), UnitError> {
        self.writes_left = writes;
        let running = self.machine.as_ref().is_some_and(Machine::running);
        if running {
            self.pause().and_then(|()| self.go()).map_err(lost)?;
        }
        Ok(())
    }

    /// What the chip keeps, as of now.
    pub(super) fn kept(&mut self) -> &Retained {
        self.unseen = self.machine.is_some();
        self.look();
        &self.retained
    }

    /// Changes what the chip keeps; only without power.
    pub(super) fn kept_mut(&mut self) -> &mut Retained {
        &mut self.retained
    }

    /// Looks at the chip's memories if it may have written them. Called before anything that the chip has said leaves for
    /// the outside: whatever an observer knows of is then kept, even when the process is killed the next moment.
    pub(super) fn look(&mut self) {
        if !self.unseen {
            return;
        }
        if let Some(machine) = &mut self.machine {
            self.unseen = machine.running();
            // An emulator that has just ended keeps what was looked at before.
            let _ = machine.look(&mut self.retained);
        }
    }

    /// Deals with what the core has done by itself; returns at once.
    pub(super) fn poll(&mut self) {
        for _ in 0..2 {
            let Some(machine) = &mut self.machine else {
                return;
            };
            match machine.poll_stop() {
                Ok(None) => return,
                Ok(Some(stop)) => {
                    // Nothing is asked here, so nobody needs the answer that the chip is gone.
                    let _ = self.stopped(stop);
                    return;
                }
                Err(error) => self.recover(&error),
            }
        }
    }

    /// Runs an operation on the emulator. One that ended because its core locked up is replaced, and asked again.
    fn with<T>(
        &mut self,
        operation: impl Fn(&mut Machine) -> Result<T, UnitError>,
    ) -> Result<T, BusError> {
        for _ in 0..2 {
            let machine = self.machine.as_mut().ok_or(BusError::Lost)?;
            match operation(machine) {
                Ok(value) => return Ok(value),
                Err(error) => self.recover(&error),
            }
        }
        Err(BusError::Lost)
    }

    /// Finds out why the emulator does not answer. It aborts when its core locks up, which real silicon survives: then a
    /// new one stands in for it, locked up. Any other end is a loss of power.
    fn recover(&mut self, error: &UnitError) {
        let Some(machine) = self.machine.take() else {
            return;
        };
        let process = machine.process();
        let locked_up = machine.aborted();
        tracing::debug!(unit.process = process, unit.locked_up = locked_up, %error, "the emulator ended");
        if locked_up && self.start().is_ok() {
            self.locked_up = true;
            if self.core.halted() {
                self.core.leave();
            }
        }
    }

    /// Deals with an emulator whose UART has closed.
    pub(super) fn gone(&mut self) {
        self.recover(&UnitError::NoPower);
    }

    fn forget_core(&mut self) {
        self.registers = RegisterFile::default();
    }
}

fn lost(_: BusError) -> UnitError {
    UnitError::NoPower
}
