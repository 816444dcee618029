//! What the emulated chips are: identity, sizes, memory map. nRF51 Series Reference Manual 3.0, chapters 4 (memory), 6
//! (NVMC), 7 (FICR) and 8 (UICR).

/// Size of the emulator's flash, in bytes. It can't be set; a smaller chip hides the upper part.
pub(super) const FLASH_ARRAY_BYTES: usize = 256 * 1024;
/// Size of the emulator's user information registers, in bytes.
pub(super) const UICR_BYTES: usize = 256;
/// Where the factory information registers start.
pub(super) const FICR: u32 = 0x1000_0000;
/// Where the user information registers start.
pub(super) const UICR: u32 = 0x1000_1000;
/// Where RAM starts.
pub(super) const RAM: u32 = 0x2000_0000;
/// Flash controller: what writing does (read, program, erase).
pub(super) const NVMC_CONFIG: u32 = 0x4001_E504;
/// Flash controller: the first erase register (a page).
pub(super) const NVMC_ERASE_FIRST: u32 = 0x4001_E508;
/// Flash controller: erases flash and the user information registers.
pub(super) const NVMC_ERASE_ALL: u32 = 0x4001_E50C;
/// Flash controller: one past the last erase register.
pub(super) const NVMC_ERASE_END: u32 = 0x4001_E518;

/// What kind of chip a unit has. The emulated core is a Cortex-M0 whatever is chosen here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChipModel {
    /// What it is called, as probe-rs names its targets.
    pub name: &'static str,
    /// Flash, in bytes: at most 256 KiB, a multiple of the page of 1,024 bytes.
    pub flash_bytes: u32,
    /// RAM, in bytes.
    pub ram_bytes: u32,
    /// Identification of the debug port.
    pub debug_port_id: u32,
    /// Identification of the memory access port.
    pub access_port_id: u32,
    /// Lower half of FICR.CONFIGID: the hardware id, by which probe-rs detects the chip.
    pub hardware_id: u16,
    /// Words that the debug probe reads in place of what the emulator has: address and value. They make one chip look like another from outside.
    pub overlay: Vec<(u32, u32)>,
}

impl ChipModel {
    /// The nRF51822 of 256 KiB flash and 16 KiB RAM.
    #[must_use]
    pub fn nrf51822_xxaa() -> Self {
        Self {
            name: "nRF51822_xxAA",
            flash_bytes: 256 * 1024,
            ram_bytes: 16 * 1024,
            debug_port_id: 0x0BB1_1477,
            access_port_id: 0x0477_0021,
            hardware_id: 0x0072,
            overlay: Vec::new(),
        }
    }

    /// The nRF51822 of 128 KiB flash and 16 KiB RAM: a wrong chip for an image that needs more.
    #[must_use]
    pub fn nrf51822_xxab() -> Self {
        Self {
            name: "nRF51822_xxAB",
            flash_bytes: 128 * 1024,
            hardware_id: 0x007B,
            ..Self::nrf51822_xxaa()
        }
    }

    /// The nRF51822 of 256 KiB flash and 32 KiB RAM.
    #[must_use]
    pub fn nrf51822_xxac() -> Self {
        Self {
            name: "nRF51822_xxAC",
            ram_bytes: 32 * 1024,
            hardware_id: 0x0083,
            ..Self::nrf51822_xxaa()
        }
    }

    /// A chip that looks like an nRF52832 to a debugger: another debug port, another core id, other factory information.
    /// It is there to be refused; no nRF52 program runs on it.
    #[must_use]
    pub fn nrf52832_lookalike() -> Self {
        Self {
            name: "nRF52832_xxAA",
            debug_port_id: 0x2BA0_1477,
            access_port_id: 0x2477_0011,
            hardware_id: 0xFFFF,
            overlay: vec![
                (0x1000_0010, 4096),
                (0x1000_0014, 128),
                (0x1000_0100, 0x0005_2832),
                (0x1000_0104, 0x4141_4230),
                (0x1000_0108, 0x2000),
                (0x1000_010C, 64),
                (0x1000_0110, 512),
                (0xE000_ED00, 0x410F_C241),
            ],
            ..Self::nrf51822_xxaa()
        }
    }

    /// The words of the factory information registers that differ from the emulator's, as offset and value.
    pub(super) fn factory_words(&self, device_id: [u8; 8]) -> [(usize, u32); 7] {
        let half = |bytes: &[u8]| {
            bytes
                .iter()
                .rev()
                .fold(0, |word, &byte| word << 8 | u32::from(byte))
        };
        let block_bytes = 8 * 1024;
        [
            (0x14, self.flash_bytes / 1024),
            (0x34, self.ram_bytes / block_bytes),
            (0x38, block_bytes),
            (0x3C, block_bytes),
            (0x5C, 0xFFFF_0000 | u32::from(self.hardware_id)),
            (0x60, half(&device_id[..4])),
            (0x64, half(&device_id[4..])),
        ]
    }

    /// What lies at an address, if anything does.
    pub(super) fn region(&self, address: u32) -> Option<Region> {
        Some(match address {
            _ if address < self.flash_bytes => Region::Flash,
            FICR..0x1000_1000 => Region::Factory,
            UICR..0x1000_2000 => Region::User,
            _ if (RAM..RAM + self.ram_bytes).contains(&address) => Region::Ram,
            0x4001_E000..0x4001_F000 => Region::FlashController,
            0x4000_0000..0x4002_0000 | 0x5000_0000..0x5000_1000 => Region::Peripheral,
            0xE000_0000..0xE010_0000 => Region::Core,
            _ => return None,
        })
    }

    /// Whether the core could fetch an instruction from there.
    pub(super) fn executable(&self, address: u32) -> bool {
        matches!(self.region(address), Some(Region::Flash | Region::Ram))
    }
}

/// A part of the chip's address space.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Region {
    /// The program.
    Flash,
    /// What the factory wrote: sizes, ids.
    Factory,
    /// What the customer wrote: protection, customer words, bootloader address.
    User,
    /// Working memory.
    Ram,
    /// The controller that programs and erases flash.
    FlashController,
    /// All other peripherals.
    Peripheral,
    /// The core's own registers, debug registers among them.
    Core,
}
