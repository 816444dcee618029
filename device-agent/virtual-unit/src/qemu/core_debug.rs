//! The core's debug registers: ARMv6-M Architecture Reference Manual, chapters C1.6 (debug control) and C1.8 (breakpoints).
//!
//! Registers only; what they make the core do comes back as an [`Action`] for [`super::target`] to carry out.

const DFSR: u32 = 0xE000_ED30;
const AIRCR: u32 = 0xE000_ED0C;
const DHCSR: u32 = 0xE000_EDF0;
const DCRSR: u32 = 0xE000_EDF4;
const DCRDR: u32 = 0xE000_EDF8;
const DEMCR: u32 = 0xE000_EDFC;
const BP_CTRL: u32 = 0xE000_2000;
const BP_COMP_FIRST: u32 = 0xE000_2008;
const BP_COMP_LAST: u32 = 0xE000_2014;

const DHCSR_KEY: u32 = 0xA05F;
const C_DEBUGEN: u32 = 1 << 0;
const C_HALT: u32 = 1 << 1;
const C_STEP: u32 = 1 << 2;
const C_MASKINTS: u32 = 1 << 3;
const S_REGRDY: u32 = 1 << 16;
const S_HALT: u32 = 1 << 17;
const S_LOCKUP: u32 = 1 << 19;
const S_RETIRE_ST: u32 = 1 << 24;
const S_RESET_ST: u32 = 1 << 25;
const AIRCR_KEY: u32 = 0x05FA;
const AIRCR_SYSRESETREQ: u32 = 1 << 2;
const DEMCR_VC_CORERESET: u32 = 1 << 0;
const DEMCR_WRITABLE: u32 = 0x0100_0401;
const BP_CTRL_KEY: u32 = 1 << 1;
const BP_CTRL_ENABLE: u32 = 1 << 0;
/// `BP_CTRL` as it reads: four comparators.
const BP_CTRL_COUNT: u32 = 4 << 4;
const BP_COMP_WRITABLE: u32 = 0xDFFF_FFFD;

/// Identification words of the components that a debugger meets on a Cortex-M0: Technical Reference Manual, chapter 9.
const COMPONENTS: [(u32, u32); 35] = [
    // The list itself, made by Nordic (JEP106 bank 2, code 0x44): system control space, watchpoint and breakpoint unit.
    (0xE00F_F000, 0xFFF0_F003),
    (0xE00F_F004, 0xFFF0_2003),
    (0xE00F_F008, 0xFFF0_3003),
    (0xE00F_F00C, 0),
    (0xE00F_FFD0, 0x02),
    (0xE00F_FFE0, 0x01),
    (0xE00F_FFE4, 0x40),
    (0xE00F_FFE8, 0x0C),
    (0xE00F_FFF0, 0x0D),
    (0xE00F_FFF4, 0x10),
    (0xE00F_FFF8, 0x05),
    (0xE00F_FFFC, 0xB1),
    // System control space.
    (0xE000_EFD0, 0x04),
    (0xE000_EFE0, 0x08),
    (0xE000_EFE4, 0xB0),
    (0xE000_EFE8, 0x0B),
    (0xE000_EFF0, 0x0D),
    (0xE000_EFF4, 0xE0),
    (0xE000_EFF8, 0x05),
    (0xE000_EFFC, 0xB1),
    // Watchpoint unit, without a comparator in this model.
    (0xE000_1FE0, 0x0A),
    (0xE000_1FE4, 0xB0),
    (0xE000_1FE8, 0x0B),
    (0xE000_1FF0, 0x0D),
    (0xE000_1FF4, 0xE0),
    (0xE000_1FF8, 0x05),
    (0xE000_1FFC, 0xB1),
    // Breakpoint unit.
    (0xE000_2FD0, 0x04),
    (0xE000_2FE0, 0x0B),
    (0xE000_2FE4, 0xB0),
    (0xE000_2FE8, 0x0B),
    (0xE000_2FF0, 0x0D),
    (0xE000_2FF4, 0xE0),
    (0xE000_2FF8, 0x05),
    (0xE000_2FFC, 0xB1),
];

/// What a write to a debug register makes the core do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    /// Nothing.
    Nothing,
    /// Stop.
    Halt,
    /// Go on from a halt.
    Resume,
    /// Execute one instruction.
    Step,
    /// Copy the register of this selector to DCRDR.
    ReadRegister(u32),
    /// Copy DCRDR to the register of this selector.
    WriteRegister(u32),
    /// The set of breakpoints, or whether they count, has changed.
    Breakpoints,
    /// Reset the system, debug registers excepted.
    SystemReset,
}

/// Why a core is in debug state: the bits of DFSR.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum Cause {
    /// A halt request or a step.
    Request = 1 << 0,
    /// A breakpoint.
    Breakpoint = 1 << 1,
    /// A caught reset.
    ResetCatch = 1 << 3,
}

/// The debug registers; a system reset leaves them, the power takes them along.
#[derive(Debug, Default)]
pub(super) struct CoreDebug {
    control: u32,
    halted: bool,
    reset_seen: bool,
    /// DCRDR: the register that passes core registers to and fro.
    pub(super) transfer_word: u32,
    exceptions: u32,
    causes: u32,
    comparators_enabled: bool,
    comparators: [u32; 4],
}

impl CoreDebug {
    /// Whether the core is in debug state.
    pub(super) fn halted(&self) -> bool {
        self.halted
    }

    /// Whether a debugger has taken the core over.
    pub(super) fn enabled(&self) -> bool {
        self.control & C_DEBUGEN != 0
    }

    /// Enters debug state.
    pub(super) fn enter(&mut self, cause: Cause) {
        self.halted = true;
        self.control |= C_HALT;
        self.causes |= cause as u32;
    }

    /// Leaves debug state.
    pub(super) fn leave(&mut self) {
        self.halted = false;
        self.control &= !C_HALT;
    }

    /// Notes a system reset, which clears the halt request; says whether the core halts before its first instruction.
    pub(super) fn reset(&mut self) -> bool {
        self.reset_seen = true;
        self.leave();
        self.enabled() && self.exceptions & DEMCR_VC_CORERESET != 0
    }

    /// The addresses of the halfwords before whose execution the core halts.
    pub(super) fn breakpoints(&self) -> Vec<u32> {
        let active = self.enabled() && self.comparators_enabled;
        let enabled = |comparator: &&u32| active && **comparator & 1 != 0;
        let halfwords = |comparator: &u32| {
            let word = comparator & 0x1FFF_FFFC;
            let lower = (comparator & 1 << 30 != 0).then_some(word);
            let upper = (comparator & 1 << 31 != 0).then_some(word + 2);
            lower.into_iter().chain(upper)
        };
        self.comparators
            .iter()
            .filter(enabled)
            .flat_map(halfwords)
            .collect()
    }

    /// Reads a register that this model has; `None` for any other of the core's registers.
    pub(super) fn read(&mut self, address: u32, locked_up: bool) -> Option<u32> {
        Some(match address {
            DHCSR => self.status(locked_up),
            DCRDR => self.transfer_word,
            DEMCR => self.exceptions,
            DFSR => self.causes,
            DCRSR => 0,
            BP_CTRL => BP_CTRL_COUNT | u32::from(self.comparators_enabled),
            BP_COMP_FIRST..=BP_COMP_LAST => self.comparators[comparator_index(address)],
            _ => {
                let (_, word) = COMPONENTS.iter().find(|(place, _)| *place == address)?;
                *word
            }
        })
    }

    fn status(&mut self, locked_up: bool) -> u32 {
        let mut status = self.control | S_REGRDY;
        if self.halted {
            status |= S_HALT;
        } else if locked_up {
            status |= S_LOCKUP;
        } else {
            status |= S_RETIRE_ST;
        }
        if std::mem::take(&mut self.reset_seen) {
            status |= S_RESET_ST;
        }
        status
    }

    /// Writes a register that this model has; `None` for any other of the core's registers.
    pub(super) fn write(&mut self, address: u32, value: u32) -> Option<Action> {
        Some(match address {
            DHCSR => self.write_control(value),
            DCRSR if !self.halted => Action::Nothing,
            DCRSR if value & 1 << 16 != 0 => Action::WriteRegister(value & 0x1F),
            DCRSR => Action::ReadRegister(value & 0x1F),
            DCRDR => {
                self.transfer_word = value;
                Action::Nothing
            }
            DEMCR => {
                self.exceptions = value & DEMCR_WRITABLE;
                Action::Nothing
            }
            DFSR => {
                self.causes &= !value;
                Action::Nothing
            }
            AIRCR if value >> 16 == AIRCR_KEY && value & AIRCR_SYSRESETREQ != 0 => {
                Action::SystemReset
            }
            BP_CTRL if value & BP_CTRL_KEY != 0 => {
                self.comparators_enabled = value & BP_CTRL_ENABLE != 0;
                Action::Breakpoints
            }
            AIRCR | BP_CTRL => Action::Nothing,
            BP_COMP_FIRST..=BP_COMP_LAST => {
                self.comparators[comparator_index(address)] = value & BP_COMP_WRITABLE;
                Action::Breakpoints
            }
            _ => return None,
        })
    }

    fn write_control(&mut self, value: u32) -> Action {
        if value >> 16 != DHCSR_KEY {
            return Action::Nothing;
        }
        let debugged = self.enabled();
        let mask = if value & C_DEBUGEN == 0 {
            C_DEBUGEN
        } else {
            C_DEBUGEN | C_HALT | C_STEP | C_MASKINTS
        };
        self.control = value & mask;
        let halt = self.control & C_HALT != 0;
        match (self.halted, halt) {
            (false, true) => Action::Halt,
            (true, false) if self.control & C_STEP != 0 => Action::Step,
            (true, false) => Action::Resume,
            (false, false) if debugged != self.enabled() => Action::Breakpoints,
            (true, true) | (false, false) => Action::Nothing,
        }
    }
}

fn comparator_index(address: u32) -> usize {
    ((address - BP_COMP_FIRST) / 4) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn enabled() -> CoreDebug {
        let mut core = CoreDebug::default();
        assert_eq!(core.write(DHCSR, 0xA05F_0001), Some(Action::Breakpoints));
        core
    }

    #[test]
    fn control_needs_its_key() {
        let mut core = enabled();
        assert_eq!(core.write(DHCSR, 0x1234_0003), Some(Action::Nothing));
        assert_eq!(core.write(DHCSR, 0xA05F_0003), Some(Action::Halt));
    }

    #[test]
    fn a_reset_is_seen_once_and_caught_when_asked_for() {
        let mut core = enabled();
        assert!(!core.reset());
        assert_ne!(core.read(DHCSR, false).unwrap() & S_RESET_ST, 0);
        assert_eq!(core.read(DHCSR, false).unwrap() & S_RESET_ST, 0);
        core.write(DEMCR, DEMCR_VC_CORERESET);
        assert!(core.reset());
    }

    #[test]
    fn breakpoints_count_only_while_enabled() {
        let mut core = enabled();
        core.write(BP_COMP_FIRST, 0x4000_0101);
        core.write(BP_COMP_LAST, 0xC000_0201);
        assert!(core.breakpoints().is_empty());
        core.write(BP_CTRL, 3);
        assert_eq!(core.breakpoints(), [0x100, 0x200, 0x202]);
    }

    #[test]
    fn lockup_shows_until_the_core_is_halted() {
        let mut core = enabled();
        assert_ne!(core.read(DHCSR, true).unwrap() & S_LOCKUP, 0);
        core.enter(Cause::Request);
        assert_eq!(core.read(DHCSR, true).unwrap() & S_LOCKUP, 0);
    }
}
