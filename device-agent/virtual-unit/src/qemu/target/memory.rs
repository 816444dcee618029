//! The chip's memory as a debugger reaches it: read-back protection, debug registers, and the emulator for the rest.

use super::{BusError, Target};
use crate::qemu::bus::Bus;
use crate::qemu::chip::{NVMC_ERASE_ALL, NVMC_ERASE_END, NVMC_ERASE_FIRST, Region};

impl Target {
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
