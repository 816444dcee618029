//! Memory through a debug port, with as few transfers as the debug port allows.
//!
//! probe-rs' own memory interface reads the access port's identity and configuration each time it is made, and writes the address
//! before each access. Here both are remembered: a word that is polled costs two transfers in one round trip, and a block costs one
//! transfer a word, one each KiB for the address, and one in the end.
//! Register numbers and behaviour: ARM Debug Interface Architecture Specification ADIv5.2 (IHI 0031), chapter C2.

use probe_rs::architecture::arm::dp::{DpAddress, DpRegisterAddress};
use probe_rs::architecture::arm::{ArmDebugInterface, ArmError, FullyQualifiedApAddress};
use probe_rs::{Core, Error, Session};

/// Control and status word.
const CSW: u64 = 0x00;
/// Transfer address.
const TAR: u64 = 0x04;
/// Data at the transfer address.
const DRW: u64 = 0x0c;
/// The first of four words in the 16 bytes around the transfer address.
const BANKED: u64 = 0x10;

/// CSW: size (bits 2:0) and address increment (bits 5:4).
const CSW_MODE: u32 = 0b11_0111;
/// CSW: words, and the address grows by one of them with each access.
const CSW_WORDS_GROWING: u32 = 0b01_0010;

/// The debug port's ABORT register, and its bits that clear the sticky error flags (ADIv5.2, B2.2.1).
const ABORT: DpRegisterAddress = DpRegisterAddress {
    address: 0,
    bank: None,
};
const ABORT_CLEAR: u32 = 0b1_1110;

/// The address grows within its lowest ten bits only.
const INCREMENT_BOUNDARY: u32 = 0x400;

/// An open session with a chip.
pub(super) struct Bus {
    session: Session,
    access_port: FullyQualifiedApAddress,
    /// The chip's own bits of CSW, once read.
    csw: Option<u32>,
    /// Whether CSW is as this bus needs it.
    ready: bool,
    /// What TAR holds, where it is known.
    address: Option<u32>,
}

impl Bus {
    pub(super) fn new(session: Session) -> Self {
        Self {
            session,
            access_port: FullyQualifiedApAddress::v1_with_default_dp(0),
            csw: None,
            ready: false,
            address: None,
        }
    }

    /// The session, for what probe-rs does better. What it leaves in the access port is not known afterwards.
    pub(super) fn session(&mut self) -> &mut Session {
        self.ready = false;
        self.address = None;
        &mut self.session
    }

    /// The core, for what probe-rs does better.
    pub(super) fn with_core<T>(
        &mut self,
        work: impl FnOnce(&mut Core<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        work(&mut self.session().core(0)?)
    }

    /// Reads words from `address` on, a multiple of 4.
    pub(super) fn read(&mut self, address: u32, into: &mut [u32]) -> Result<(), Error> {
        self.block(address, into.len(), |interface, port, range| {
            interface.read_raw_ap_register_repeated(port, DRW, &mut into[range])
        })
    }

    /// Writes words from `address` on, a multiple of 4.
    pub(super) fn write(&mut self, address: u32, words: &[u32]) -> Result<(), Error> {
        self.block(address, words.len(), |interface, port, range| {
            interface.write_raw_ap_register_repeated(port, DRW, &words[range])
        })
    }

    pub(super) fn read_word(&mut self, address: u32) -> Result<u32, Error> {
        let mut word = 0;
        self.read(address, std::slice::from_mut(&mut word))?;
        Ok(word)
    }

    pub(super) fn write_word(&mut self, address: u32, word: u32) -> Result<(), Error> {
        self.write(address, &[word])
    }

    /// Reads a word that will be read again and again: the address is written once.
    pub(super) fn poll(&mut self, address: u32) -> Result<u32, Error> {
        let register = self.aim_bank(address)?;
        let port = self.access_port.clone();
        let result = self.interface()?.read_raw_ap_register(&port, register);
        self.settle(result)
    }

    /// Writes a word near one that is polled.
    pub(super) fn write_near(&mut self, address: u32, word: u32) -> Result<(), Error> {
        let register = self.aim_bank(address)?;
        let port = self.access_port.clone();
        let result = self
            .interface()?
            .write_raw_ap_register(&port, register, word);
        self.settle(result)
    }

    /// Points at the 16 bytes around `address` and gives the register that shows its word.
    fn aim_bank(&mut self, address: u32) -> Result<u64, Error> {
        self.prepare()?;
        self.aim(address & !0xf)?;
        Ok(BANKED + u64::from(address & 0xc))
    }

    fn block(
        &mut self,
        address: u32,
        length: usize,
        mut work: impl FnMut(
            &mut dyn ArmDebugInterface,
            &FullyQualifiedApAddress,
            std::ops::Range<usize>,
        ) -> Result<(), ArmError>,
    ) -> Result<(), Error> {
        self.prepare()?;
        let port = self.access_port.clone();
        let mut done = 0;
        let mut address = address;
        while done < length {
            let to_boundary = INCREMENT_BOUNDARY - address % INCREMENT_BOUNDARY;
            let count = (to_boundary / 4).min(u32::try_from(length - done).unwrap_or(u32::MAX));
            self.aim(address)?;
            let range = done..done + count as usize;
            let result = work(self.interface()?, &port, range);
            self.settle(result)?;
            done += count as usize;
            address = address.wrapping_add(4 * count);
            // Whether the address wraps or carries at the boundary is the chip's choice.
            self.address = (!address.is_multiple_of(INCREMENT_BOUNDARY)).then_some(address);
        }
        Ok(())
    }

    fn interface(&mut self) -> Result<&mut dyn ArmDebugInterface, Error> {
        Ok(self.session.get_arm_interface()?)
    }

    /// Sets the access port up for words, where somebody else may have left it otherwise.
    fn prepare(&mut self) -> Result<(), Error> {
        if self.ready {
            return Ok(());
        }
        let port = self.access_port.clone();
        let csw = match self.csw {
            Some(csw) => csw,
            None => self.interface()?.read_raw_ap_register(&port, CSW)? & !CSW_MODE,
        };
        self.csw = Some(csw);
        self.interface()?
            .write_raw_ap_register(&port, CSW, csw | CSW_WORDS_GROWING)?;
        self.ready = true;
        Ok(())
    }

    fn aim(&mut self, address: u32) -> Result<(), Error> {
        if self.address != Some(address) {
            let port = self.access_port.clone();
            let result = self.interface()?.write_raw_ap_register(&port, TAR, address);
            self.settle(result)?;
            self.address = Some(address);
        }
        Ok(())
    }

    /// After an error nothing is known of the access port any more, and a fault keeps every later access from being carried out until
    /// its flag is cleared.
    fn settle<T>(&mut self, result: Result<T, ArmError>) -> Result<T, Error> {
        if result.is_err() {
            self.ready = false;
            self.address = None;
            // Where this fails too, the next access says so.
            let _ = self.interface().and_then(|interface| {
                Ok(interface.write_raw_dp_register(DpAddress::Default, ABORT, ABORT_CLEAR)?)
            });
        }
        Ok(result?)
    }
}
