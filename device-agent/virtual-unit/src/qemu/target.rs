//! The chip as its debug ports see it: an emulator process with the debug registers, the read-back protection and the
//! lock-up that the emulator lacks.

use super::bus::{Bus, BusError};
use super::chip::{NVMC_ERASE_ALL, NVMC_ERASE_END, NVMC_ERASE_FIRST, Region, UICR};
use super::core_debug::{Action, Cause, CoreDebug};
use super::error::UnitError;
use super::gdb::{LR, PC, Registers, SP, Stop, Trap, XPSR};
use super::machine::{Machine, MachineOptions};
use super::retained::Retained;

/// xPSR: the core executes Thumb instructions, the only ones it has.
const XPSR_THUMB: u32 = 1 << 24;

/// A program that resets the chip more often than this, whenever it is stopped, can't be stopped.
const PAUSES_MAX: usize = 16;

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
    registers: Option<Registers>,
    registers_changed: bool,
    /// Traps that the emulator has at present.
    breakpoints: Vec<u32>,
    watching: bool,
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
            registers: None,
            registers_changed: false,
            breakpoints: Vec::new(),
            watching: false,
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
        self.breakpoints.clear();
        self.watching = false;
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

    /// A pin or power reset, or one that the debugger asked for.
    pub(super) fn system_reset(&mut self) -> Result<(), BusError> {
        if let Some(Stop::Watchpoint) = self.with(Machine::interrupt)? {
            self.write_happened()?;
        }
        self.finish_reset()
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
        self.registers = None;
        self.registers_changed = false;
    }

    fn finish_reset(&mut self) -> Result<(), BusError> {
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
    fn stopped(&mut self, stop: Stop) -> Result<(), BusError> {
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
    fn write_happened(&mut self) -> Result<(), BusError> {
        self.set_watching(false)?;
        self.with(|machine| machine.gdb.step())?;
        self.count_write()
    }

    fn count_write(&mut self) -> Result<(), BusError> {
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

    fn set_watching(&mut self, on: bool) -> Result<(), BusError> {
        if self.watching == on {
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
        self.watching = on;
        Ok(())
    }

    /// Stops a running core without entering debug state.
    fn pause(&mut self) -> Result<(), BusError> {
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

    fn halt(&mut self) -> Result<(), BusError> {
        self.pause()?;
        if !self.core.halted() {
            self.core.enter(Cause::Request);
        }
        self.locked_up = false;
        self.forget_core();
        Ok(())
    }

    /// Lets the core go on from where it stands.
    fn resume(&mut self) -> Result<(), BusError> {
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
    fn go(&mut self) -> Result<(), BusError> {
        if self.core.halted() || self.locked_up {
            return Ok(());
        }
        self.sync_breakpoints()?;
        self.set_watching(self.writes_left.is_some())?;
        self.forget_core();
        self.unseen = true;
        self.with(Machine::run)
    }

    fn step(&mut self) -> Result<(), BusError> {
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
        if let Some(registers) = self.registers {
            return Ok(registers);
        }
        let registers = self.with(|machine| machine.gdb.registers())?;
        self.registers = Some(registers);
        Ok(registers)
    }

    fn flush_registers(&mut self) -> Result<(), BusError> {
        if let Some(registers) = self.registers
            && std::mem::take(&mut self.registers_changed)
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
            traps(&self.breakpoints, &wanted),
            traps(&wanted, &self.breakpoints),
        );
        self.with(|machine| {
            machine.change_traps(&stale, false)?;
            machine.change_traps(&new, true)
        })?;
        self.breakpoints = wanted;
        Ok(())
    }

    fn act(&mut self, action: Action) -> Result<(), BusError> {
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
                    self.registers = Some(registers);
                    self.registers_changed = true;
                }
                Ok(())
            }
        }
    }

    /// What an address is to a debugger: nothing there, or behind the protection, is a bus error.
    fn reach(&self, address: u32) -> Result<Region, BusError> {
        let region = self.options.chip.region(address).ok_or(BusError::Refused)?;
        // With PALL set a debugger reaches the flash controller, to erase the chip, and the core's own registers, which is
        // what the published bypass of this protection uses.
        let open = matches!(region, Region::FlashController | Region::Core);
        if self.protected && !open {
            return Err(BusError::Refused);
        }
        Ok(region)
    }

    /// Whether a write changes flash or the user information registers.
    fn changes_flash(region: Region, address: u32) -> bool {
        let erases = (NVMC_ERASE_FIRST..NVMC_ERASE_END).contains(&address);
        matches!(region, Region::Flash | Region::User)
            || region == Region::FlashController && erases
    }
}

impl Bus for Target {
    fn read(&mut self, address: u32, size: u32) -> Result<u32, BusError> {
        if self.machine.is_none() {
            return Err(BusError::Lost);
        }
        let overlaid = self
            .options
            .chip
            .overlay
            .iter()
            .find(|(place, _)| *place == address);
        if let Some((_, word)) = overlaid
            && size == 4
        {
            return Ok(*word);
        }
        if self.reach(address)? == Region::Core {
            self.poll();
            if let Some(word) = self.core.read(address, self.locked_up) {
                return Ok(word);
            }
        }
        self.with(|machine| machine.qtest.read(address, size))
    }

    fn write(&mut self, address: u32, size: u32, value: u32) -> Result<(), BusError> {
        if self.machine.is_none() {
            return Err(BusError::Lost);
        }
        let region = self.reach(address)?;
        if region == Region::Core {
            self.poll();
            if let Some(action) = self.core.write(address, value) {
                return self.act(action);
            }
        }
        let changes_flash = Self::changes_flash(region, address);
        if self.protected && changes_flash && address != NVMC_ERASE_ALL {
            // The controller takes no other erase from a debugger while the chip is protected.
            return Ok(());
        }
        self.with(|machine| machine.qtest.write(address, size, value))?;
        if changes_flash {
            self.unseen = true;
            if self.protected {
                self.look();
                self.protected = self.retained.protected();
            }
            self.count_write()?;
        }
        Ok(())
    }

    fn uniform(&self, address: u32, words: u32) -> bool {
        let last = address
            .saturating_add(words.saturating_mul(4))
            .saturating_sub(4);
        let (Ok(first), Ok(last)) = (self.reach(address), self.reach(last)) else {
            return false;
        };
        let counted = first == Region::Flash && self.writes_left.is_some();
        first == last && matches!(first, Region::Ram | Region::Flash) && !counted
    }

    fn read_words(&mut self, address: u32, words: &mut [u32]) -> Result<(), BusError> {
        let count = words.len();
        let read = self.with(|machine| {
            let mut read = vec![0; count];
            machine.qtest.read_words(address, &mut read)?;
            Ok(read)
        })?;
        words.copy_from_slice(&read);
        Ok(())
    }

    fn write_words(&mut self, address: u32, words: &[u32]) -> Result<(), BusError> {
        self.unseen = true;
        self.with(|machine| machine.qtest.write_words(address, words))
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

fn lost(_: BusError) -> UnitError {
    UnitError::NoPower
}
