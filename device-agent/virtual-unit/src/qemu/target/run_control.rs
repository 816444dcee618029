//! What the core does: run, halt, step, reset, lock up; its registers and its breakpoints.

use super::{BusError, RegisterFile, Target};
use crate::qemu::chip::{NVMC_ERASE_END, NVMC_ERASE_FIRST, UICR};
use crate::qemu::core_debug::{Action, Cause};
use crate::qemu::gdb::{LR, PC, Registers, SP, Stop, Trap, XPSR};
use crate::qemu::machine::Machine;

/// xPSR: the core executes Thumb instructions, the only ones it has.
const XPSR_THUMB: u32 = 1 << 24;

/// A program that resets the chip more often than this, whenever it is stopped, can't be stopped.
const PAUSES_MAX: usize = 16;

impl Target {
    /// A pin or power reset, or one that the debugger asked for.
    pub(in crate::qemu) fn system_reset(&mut self) -> Result<(), BusError> {
        if let Some(Stop::Watchpoint) = self.with(Machine::interrupt)? {
            self.write_happened()?;
        }
        self.finish_reset()
    }

    pub(super) fn finish_reset(&mut self) -> Result<(), BusError> {
        self.resets += 1;
        if let Some(machine) = &mut self.machine {
            machine
                .look(&mut self.retained)
                .map_err(|_| BusError::Lost)?;
            let retained = &self.retained;
            machine.reset(retained).map_err(|_| BusError::Lost)?;
        }
        self.protected = self.retained.protected();
        self.forget_core();
        self.locked_up = false;
        if self.core.reset() {
            self.core.enter(Cause::ResetCatch);
            Ok(())
        } else {
            self.resume()
        }
    }

    /// Deals with a stop of the core.
    pub(super) fn stopped(&mut self, stop: Stop) -> Result<(), BusError> {
        tracing::trace!(?stop, "the core stopped");
        self.forget_core();
        match stop {
            Stop::GuestReset => self.finish_reset(),
            Stop::Watchpoint => {
                self.write_happened()?;
                self.go()
            }
            Stop::Breakpoint | Stop::Interrupted => {
                self.core.enter(Cause::Breakpoint);
                Ok(())
            }
        }
    }

    /// The core stands before a write of flash: lets it happen, and cuts the power if it was the last.
    pub(super) fn write_happened(&mut self) -> Result<(), BusError> {
        self.set_watching(false)?;
        self.with(|machine| machine.gdb.step())?;
        self.count_write()
    }

    pub(super) fn count_write(&mut self) -> Result<(), BusError> {
        let Some(left) = self.writes_left else {
            return Ok(());
        };
        self.writes_left = Some(left.saturating_sub(1));
        if left <= 1 {
            self.power_off();
            return Err(BusError::Lost);
        }
        Ok(())
    }

    pub(super) fn set_watching(&mut self, on: bool) -> Result<(), BusError> {
        if self.traps.watching == on {
            return Ok(());
        }
        let traps = [
            Trap::Write {
                address: 0,
                length: self.options.chip.flash_bytes,
            },
            Trap::Write {
                address: UICR,
                length: 0x100,
            },
            Trap::Write {
                address: NVMC_ERASE_FIRST,
                length: NVMC_ERASE_END - NVMC_ERASE_FIRST,
            },
        ];
        self.with(|machine| machine.change_traps(&traps, on))?;
        self.traps.watching = on;
        Ok(())
    }

    /// Stops a running core without entering debug state.
    pub(super) fn pause(&mut self) -> Result<(), BusError> {
        // A program that resets the chip in this very moment runs again after it, so it is stopped again.
        for _ in 0..PAUSES_MAX {
            match self.with(Machine::interrupt)? {
                Some(Stop::GuestReset) => self.finish_reset()?,
                Some(Stop::Watchpoint) => return self.write_happened(),
                Some(Stop::Breakpoint) => {
                    self.core.enter(Cause::Breakpoint);
                    return Ok(());
                }
                Some(Stop::Interrupted) | None => return Ok(()),
            }
        }
        Err(BusError::Refused)
    }

    pub(super) fn halt(&mut self) -> Result<(), BusError> {
        self.pause()?;
        if !self.core.halted() {
            self.core.enter(Cause::Request);
        }
        self.locked_up = false;
        self.forget_core();
        Ok(())
    }

    /// Lets the core go on from where it stands.
    pub(super) fn resume(&mut self) -> Result<(), BusError> {
        self.core.leave();
        self.look();
        let registers = self.registers()?;
        if self.would_lock_up(&registers) {
            self.locked_up = true;
            return Ok(());
        }
        self.flush_registers()?;
        self.go()
    }

    /// Starts a stopped core that is not in debug state.
    pub(super) fn go(&mut self) -> Result<(), BusError> {
        if self.core.halted() || self.locked_up {
            return Ok(());
        }
        self.sync_breakpoints()?;
        self.set_watching(self.writes_left.is_some())?;
        self.forget_core();
        self.unseen = true;
        self.with(Machine::run)
    }

    pub(super) fn step(&mut self) -> Result<(), BusError> {
        let registers = self.registers()?;
        if self.would_lock_up(&registers) {
            self.core.enter(Cause::Request);
            return Ok(());
        }
        self.flush_registers()?;
        self.set_watching(false)?;
        self.unseen = true;
        let stop = self.with(|machine| machine.gdb.step())?;
        self.forget_core();
        self.core.enter(Cause::Request);
        if stop == Stop::GuestReset {
            self.finish_reset()?;
        }
        Ok(())
    }

    /// Empty or senseless flash: the first fetch fails, the fetch of the fault handler fails, the core locks up.
    fn would_lock_up(&self, registers: &Registers) -> bool {
        let fetches = |address: u32| self.options.chip.executable(address);
        let runs = fetches(registers[PC]) && registers[XPSR] & XPSR_THUMB != 0;
        let (_, fault_handler) = self.retained.vectors();
        !runs && (fault_handler & 1 == 0 || !fetches(fault_handler))
    }

    fn registers(&mut self) -> Result<Registers, BusError> {
        if let Some(registers) = self.registers.known {
            return Ok(registers);
        }
        let registers = self.with(|machine| machine.gdb.registers())?;
        self.registers.known = Some(registers);
        Ok(registers)
    }

    fn flush_registers(&mut self) -> Result<(), BusError> {
        if let Some(registers) = self.registers.known
            && std::mem::take(&mut self.registers.changed)
        {
            self.with(|machine| machine.set_registers(&registers))?;
        }
        Ok(())
    }

    /// Gives the emulator the breakpoints of the comparators, and one where the link register points at a BKPT
    /// instruction: flash loaders return to one, and the emulator does not halt there by itself.
    fn sync_breakpoints(&mut self) -> Result<(), BusError> {
        let mut wanted = self.core.breakpoints();
        if self.core.enabled() {
            let address = self.registers()?[LR] & !1;
            let in_memory = self.options.chip.executable(address);
            if in_memory && self.with(|machine| machine.qtest.read(address, 2))? >> 8 == 0xBE {
                wanted.push(address);
            }
        }
        wanted.sort_unstable();
        wanted.dedup();
        let traps = |addresses: &[u32], others: &[u32]| -> Vec<Trap> {
            let missing = addresses.iter().filter(|address| !others.contains(address));
            missing
                .map(|&address| Trap::Instruction { address })
                .collect()
        };
        let (stale, new) = (
            traps(&self.traps.breakpoints, &wanted),
            traps(&wanted, &self.traps.breakpoints),
        );
        self.with(|machine| {
            machine.change_traps(&stale, false)?;
            machine.change_traps(&new, true)
        })?;
        self.traps.breakpoints = wanted;
        Ok(())
    }

    pub(super) fn act(&mut self, action: Action) -> Result<(), BusError> {
        match action {
            Action::Nothing => Ok(()),
            Action::Halt => self.halt(),
            Action::Resume => self.resume(),
            Action::Step => self.step(),
            Action::SystemReset => self.system_reset(),
            Action::Breakpoints => {
                if self.machine.as_ref().is_some_and(Machine::running) {
                    self.pause()?;
                    self.go()?;
                }
                Ok(())
            }
            Action::ReadRegister(selector) => {
                let registers = self.registers()?;
                self.core.transfer_word =
                    register_place(selector).map_or(0, |place| registers[place]);
                Ok(())
            }
            Action::WriteRegister(selector) => {
                let mut registers = self.registers()?;
                if let Some(place) = register_place(selector) {
                    registers[place] = self.core.transfer_word;
                    self.registers = RegisterFile {
                        known: Some(registers),
                        changed: true,
                    };
                }
                Ok(())
            }
        }
    }
}

/// The place of a core register in the emulator's register file. The emulator's stub has neither PSP nor the special
/// registers: they read as zero here. The main stack pointer is the current one, as long as the program uses no other.
fn register_place(selector: u32) -> Option<usize> {
    match selector {
        0..=15 => Some(selector as usize),
        16 => Some(XPSR),
        17 => Some(SP),
        _ => None,
    }
}
