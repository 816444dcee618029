//! What a chip keeps without power, and the rules of read-back protection that follow from it.

use super::chip::{FLASH_ARRAY_BYTES, UICR_BYTES};

/// Offset of RBPCONF in the user information registers.
const PROTECTION_OFFSET: usize = 0x04;
/// Offset of BOOTLOADERADDR in the user information registers.
const BOOTLOADER_OFFSET: usize = 0x14;
/// Offset of the first of the 32 CUSTOMER words in the user information registers.
const CUSTOMER_OFFSET: usize = 0x80;

/// Flash and user information registers, as of the last moment at which they were looked at.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Retained {
    /// The whole flash array.
    pub(super) flash: Vec<u8>,
    /// The user information registers.
    pub(super) user: [u8; UICR_BYTES],
}

impl Retained {
    /// A chip as it leaves the factory: all erased.
    pub(super) fn erased() -> Self {
        Self {
            flash: vec![0xFF; FLASH_ARRAY_BYTES],
            user: [0xFF; UICR_BYTES],
        }
    }

    /// Whether read-back protection of all memory is set, as the chip finds it when it comes out of a reset.
    ///
    /// RBPCONF.PALL is bits 15 to 8: 0xFF off, 0x00 on; the manual defines no other value, and this model takes any as on.
    pub(super) fn protected(&self) -> bool {
        self.user[PROTECTION_OFFSET + 1] != 0xFF
    }

    /// Presets BOOTLOADERADDR.
    pub(super) fn set_bootloader_address(&mut self, address: u32) {
        self.set_user_word(BOOTLOADER_OFFSET, address);
    }

    /// Presets one of the CUSTOMER words, 0 to 31; others do not exist and are ignored.
    pub(super) fn set_customer_word(&mut self, index: usize, value: u32) {
        self.set_user_word(CUSTOMER_OFFSET + index * 4, value);
    }

    fn set_user_word(&mut self, offset: usize, value: u32) {
        if let Some(place) = self.user.get_mut(offset..offset + 4) {
            place.copy_from_slice(&value.to_le_bytes());
        }
    }

    /// The reset vector and the hard fault vector.
    pub(super) fn vectors(&self) -> (u32, u32) {
        (self.flash_word(4), self.flash_word(12))
    }

    fn flash_word(&self, offset: usize) -> u32 {
        self.flash[offset..offset + 4]
            .iter()
            .rev()
            .fold(0, |word, &byte| word << 8 | u32::from(byte))
    }
}

impl std::fmt::Debug for Retained {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Retained")
            .field("protected", &self.protected())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_erased_pall_leaves_the_chip_open() {
        let mut retained = Retained::erased();
        assert!(!retained.protected());
        retained.user[PROTECTION_OFFSET] = 0;
        assert!(!retained.protected(), "PR0 alone protects no whole chip");
        retained.user[PROTECTION_OFFSET + 1] = 0;
        assert!(retained.protected());
    }

    #[test]
    fn presets_land_where_the_manual_has_them() {
        let mut retained = Retained::erased();
        retained.set_bootloader_address(0x0003_C000);
        retained.set_customer_word(31, 0x0403_0201);
        retained.set_customer_word(32, 0);
        assert_eq!(retained.user[0x14..0x18], [0x00, 0xC0, 0x03, 0x00]);
        assert_eq!(retained.user[0xFC..], [1, 2, 3, 4]);
    }
}
