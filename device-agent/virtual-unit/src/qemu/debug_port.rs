//! The debug port and the memory access port: ARM Debug Interface v5.2, chapters B2 (DP), B4 (SWD) and C2 (MEM-AP).
//!
//! Modelled as strictly as a debugger can notice: access port transfers need the power-up acknowledgements; a bus error
//! sets the sticky flag, shows as a FAULT at the *next* transfer, and only ABORT clears it; access port reads are posted.

use super::bus::{Bus, BusError};
use super::chip::ChipModel;
use super::counters::Counters;

const DP_ABORT_OR_ID: u8 = 0x0;
const DP_CONTROL: u8 = 0x4;
const DP_SELECT_OR_RESEND: u8 = 0x8;
const DP_READ_BUFFER: u8 = 0xC;
const AP_CONTROL: u8 = 0x00;
const AP_ADDRESS: u8 = 0x04;
const AP_DATA: u8 = 0x0C;

/// CTRL/STAT: the two power-up requests; each acknowledgement is one bit above its request.
const POWER_REQUESTS: u32 = 0x5000_0000;
/// CTRL/STAT: both acknowledgements.
const POWER_ACKNOWLEDGED: u32 = 0xA000_0000;
/// CTRL/STAT: a transfer of the access port met a bus error.
const STICKY_ERROR: u32 = 1 << 5;
/// CTRL/STAT: what a debugger can write besides the power-up requests.
const CONTROL_WRITABLE: u32 = 0x0FFF_FF1D;
/// ABORT: clears the sticky error flag.
const ABORT_CLEAR_ERROR: u32 = 1 << 2;
/// CSW: what a debugger can write: protection, address increment, size.
const CSW_WRITABLE: u32 = 0x7F00_0037;
/// CSW: the port accepts accesses.
const CSW_DEVICE_ENABLED: u32 = 1 << 6;
/// CSW as it is after power-on: word accesses, no increment, data access in privileged mode.
const CSW_RESET: u32 = 0x0300_0002;
/// TAR increments inside blocks of this many bytes.
const INCREMENT_BLOCK: u32 = 1024;
/// Where the access port says that the chip's list of components starts.
const COMPONENT_LIST: u32 = 0xE00F_F003;

/// One transfer of a serial wire debug session. Addresses are A[3:2] as a byte offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Transfer {
    /// Read a debug port register.
    ReadPort(u8),
    /// Write a debug port register.
    WritePort(u8, u32),
    /// Read an access port register; the answer carries what the read before it found.
    ReadAccess(u8),
    /// Write an access port register.
    WriteAccess(u8, u32),
}

/// What the chip answers to a transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// OK, with data.
    Data(u32),
    /// OK to a write.
    Done,
    /// FAULT: a sticky flag is set, or the port has no power.
    Fault,
    /// Nobody drives the wire.
    Silence,
}

/// State of the ports; all of it goes with the power.
#[derive(Debug)]
pub(super) struct DebugPort {
    id: u32,
    access_id: u32,
    control: u32,
    select: u32,
    read_buffer: u32,
    csw: u32,
    tar: u32,
}

impl DebugPort {
    /// The ports as they are after power-on.
    pub(super) fn new(chip: &ChipModel) -> Self {
        Self {
            id: chip.debug_port_id,
            access_id: chip.access_port_id,
            control: 0,
            select: 0,
            read_buffer: 0,
            csw: CSW_RESET,
            tar: 0,
        }
    }

    /// Carries out the transfers of one message. After an answer that is not OK nothing more is carried out or answered:
    /// the client stops reading there and would take a later answer for another's.
    pub(super) fn execute(
        &mut self,
        transfers: &[Transfer],
        bus: &mut dyn Bus,
        counters: &mut Counters,
        answers: &mut Vec<Answer>,
    ) {
        let mut rest = transfers;
        while let Some(&first) = rest.first() {
            let group = self.group(rest, bus);
            let (now, later) = rest.split_at(group);
            count(now, counters);
            let result = if group > 1 {
                self.execute_group(now, bus, counters, answers)
            } else {
                self.execute_one(first, bus, counters)
                    .map(|answer| answers.push(answer))
            };
            if let Err(stop) = result {
                answers.push(stop);
                return;
            }
            rest = later;
        }
    }

    /// How many transfers from the first on are data accesses to consecutive words that can be made in one go.
    fn group(&self, transfers: &[Transfer], bus: &dyn Bus) -> usize {
        let words = self.csw & 0x37 == 0x12;
        if !words || self.select & 0xFF00_00F0 != 0 || self.refuses() || self.tar & 3 != 0 {
            return 1;
        }
        let kind = |transfer: &Transfer| match transfer {
            Transfer::ReadAccess(AP_DATA) => Some(false),
            Transfer::WriteAccess(AP_DATA, _) => Some(true),
            _ => None,
        };
        let Some(first) = transfers.first().and_then(kind) else {
            return 1;
        };
        let room = (INCREMENT_BLOCK - self.tar % INCREMENT_BLOCK) / 4;
        let alike = transfers
            .iter()
            .take(room as usize)
            .take_while(|transfer| kind(transfer) == Some(first))
            .count();
        let length = u32::try_from(alike).unwrap_or(1);
        if bus.uniform(self.tar, length) {
            alike
        } else {
            1
        }
    }

    /// Carries out a group that [`Self::group`] found.
    fn execute_group(
        &mut self,
        group: &[Transfer],
        bus: &mut dyn Bus,
        counters: &mut Counters,
        answers: &mut Vec<Answer>,
    ) -> Result<(), Answer> {
        let count = group.len();
        let mut words: Vec<u32> = group
            .iter()
            .filter_map(|transfer| match transfer {
                Transfer::WriteAccess(_, value) => Some(*value),
                _ => None,
            })
            .collect();
        let result = if words.is_empty() {
            words.resize(count, 0);
            counters.words_read += count as u64;
            let result = bus.read_words(self.tar, &mut words);
            for word in words {
                let before = std::mem::replace(&mut self.read_buffer, word);
                answers.push(Answer::Data(before));
            }
            result
        } else {
            counters.words_written += count as u64;
            answers.extend(group.iter().map(|_| Answer::Done));
            bus.write_words(self.tar, &words)
        };
        let bytes = u32::try_from(count * 4).unwrap_or(0);
        self.advance(bytes);
        match result {
            Ok(()) => Ok(()),
            Err(BusError::Lost) => {
                answers.truncate(answers.len() - count);
                Err(Answer::Silence)
            }
            Err(BusError::Refused) => {
                // The first access failed; the second of them is the one that a FAULT answers.
                answers.truncate(answers.len() - count + 1);
                self.control |= STICKY_ERROR;
                Err(Answer::Fault)
            }
        }
    }

    fn execute_one(
        &mut self,
        transfer: Transfer,
        bus: &mut dyn Bus,
        counters: &mut Counters,
    ) -> Result<Answer, Answer> {
        match transfer {
            Transfer::ReadPort(register) => self.read_port(register),
            Transfer::WritePort(register, value) => self.write_port(register, value),
            Transfer::ReadAccess(_) | Transfer::WriteAccess(..) if self.refuses() => {
                Err(Answer::Fault)
            }
            Transfer::ReadAccess(register) => {
                let found = self.read_access(register, bus, counters);
                let value = self.settle(found)?;
                let before = std::mem::replace(&mut self.read_buffer, value.unwrap_or(0));
                Ok(Answer::Data(before))
            }
            Transfer::WriteAccess(register, value) => {
                let result = self.write_access(register, value, bus, counters);
                self.settle(result)?;
                Ok(Answer::Done)
            }
        }
    }

    /// Turns a bus error into the sticky flag: the transfer itself was accepted.
    fn settle<T>(&mut self, result: Result<T, BusError>) -> Result<Option<T>, Answer> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(BusError::Lost) => Err(Answer::Silence),
            Err(BusError::Refused) => {
                self.control |= STICKY_ERROR;
                Ok(None)
            }
        }
    }

    /// Whether access port transfers are refused at present.
    fn refuses(&self) -> bool {
        self.control & STICKY_ERROR != 0 || self.control & POWER_ACKNOWLEDGED != POWER_ACKNOWLEDGED
    }

    /// Whether the first bank of debug port registers is selected.
    fn bank_zero(&self) -> bool {
        self.select.trailing_zeros() >= 4
    }

    fn read_port(&self, register: u8) -> Result<Answer, Answer> {
        let sticky = self.control & STICKY_ERROR != 0;
        match register {
            DP_ABORT_OR_ID => Ok(Answer::Data(self.id)),
            DP_CONTROL if self.bank_zero() => Ok(Answer::Data(self.control)),
            _ if sticky => Err(Answer::Fault),
            DP_SELECT_OR_RESEND | DP_READ_BUFFER => Ok(Answer::Data(self.read_buffer)),
            // DLCR: turnaround of one cycle.
            _ => Ok(Answer::Data(0)),
        }
    }

    fn write_port(&mut self, register: u8, value: u32) -> Result<Answer, Answer> {
        match register {
            DP_ABORT_OR_ID if value & ABORT_CLEAR_ERROR != 0 => self.control &= !STICKY_ERROR,
            DP_ABORT_OR_ID => {}
            _ if self.control & STICKY_ERROR != 0 => return Err(Answer::Fault),
            DP_CONTROL if self.bank_zero() => {
                let requests = value & POWER_REQUESTS;
                self.control = value & CONTROL_WRITABLE | requests | requests << 1;
            }
            DP_SELECT_OR_RESEND => self.select = value,
            _ => {}
        }
        Ok(Answer::Done)
    }

    /// Full offset of an access port register, if the selected access port exists.
    fn selected(&self, register: u8) -> Option<u8> {
        let [bank, _, _, port] = self.select.to_le_bytes();
        (port == 0).then_some(bank & 0xF0 | register)
    }

    fn read_access(
        &mut self,
        register: u8,
        bus: &mut dyn Bus,
        counters: &mut Counters,
    ) -> Result<u32, BusError> {
        Ok(match self.selected(register) {
            Some(AP_CONTROL) => self.csw | CSW_DEVICE_ENABLED,
            Some(AP_ADDRESS) => self.tar,
            Some(AP_DATA) => {
                counters.words_read += 1;
                let (address, size) = (self.tar, self.size());
                self.advance_if_enabled(size);
                let shift = 8 * (address & (4 - size) & 3);
                bus.read(address & !(size - 1), size)? << shift
            }
            Some(banked @ 0x10..=0x1C) => {
                counters.words_read += 1;
                bus.read(self.tar & !0xF | u32::from(banked & 0xC), 4)?
            }
            Some(0xF8) => COMPONENT_LIST,
            Some(0xFC) => self.access_id,
            _ => 0,
        })
    }

    fn write_access(
        &mut self,
        register: u8,
        value: u32,
        bus: &mut dyn Bus,
        counters: &mut Counters,
    ) -> Result<(), BusError> {
        match self.selected(register) {
            Some(AP_CONTROL) => self.set_csw(value),
            Some(AP_ADDRESS) => self.tar = value,
            Some(AP_DATA) => {
                counters.words_written += 1;
                let (address, size) = (self.tar, self.size());
                self.advance_if_enabled(size);
                let shift = 8 * (address & (4 - size) & 3);
                let mask = u32::MAX >> (32 - 8 * size);
                bus.write(address & !(size - 1), size, value >> shift & mask)?;
            }
            Some(banked @ 0x10..=0x1C) => {
                counters.words_written += 1;
                bus.write(self.tar & !0xF | u32::from(banked & 0xC), 4, value)?;
            }
            _ => {}
        }
        Ok(())
    }

    /// This port has byte, halfword and word accesses and no packed transfers; what it lacks reads back as the nearest that it has.
    fn set_csw(&mut self, value: u32) {
        self.csw = value & CSW_WRITABLE;
        if self.csw & 0x7 > 2 {
            self.csw = self.csw & !0x7 | 2;
        }
        if self.csw & 0x30 > 0x10 {
            self.csw &= !0x30;
        }
    }

    fn size(&self) -> u32 {
        1 << (self.csw & 0x7)
    }

    fn advance_if_enabled(&mut self, bytes: u32) {
        if self.csw & 0x30 == 0x10 {
            self.advance(bytes);
        }
    }

    fn advance(&mut self, bytes: u32) {
        let inside = INCREMENT_BLOCK - 1;
        self.tar = self.tar & !inside | self.tar.wrapping_add(bytes) & inside;
    }
}

fn count(transfers: &[Transfer], counters: &mut Counters) {
    for transfer in transfers {
        counters.transfers += 1;
        match transfer {
            Transfer::ReadPort(_) => counters.dp_reads += 1,
            Transfer::WritePort(..) => counters.dp_writes += 1,
            Transfer::ReadAccess(_) => counters.ap_reads += 1,
            Transfer::WriteAccess(..) => counters.ap_writes += 1,
        }
    }
}

#[cfg(test)]
#[path = "debug_port_tests.rs"]
mod tests;
