//! Where things lie in a chip's flash. One constant a chip; another layout is another constant.
//!
//! | area | pages | holds |
//! |-|-|-|
//! | key | 1 | the device key, write-once (`key_store`) |
//! | seal | 1 | the seal word (`seal`) |
//! | record A, record B | n each | the identity record, the newer valid one wins (`record_store`) |
//!
//! The areas are chosen to lie below where the maker's bootloaders end up and above where its `SoftDevices` do, and the station refuses
//! a unit whose own bootloader or `SoftDevice` overlaps them all the same.

use keyline_protocol::identity::Platform;

/// The pages that an agent uses besides its own image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// A name for the log.
    pub name: &'static str,
    /// Bytes a page.
    pub page_length: u32,
    /// Bytes of flash in all.
    pub flash_length: u32,
    /// The first byte of the key area: one page.
    pub key: u32,
    /// The first byte of the seal area: one page.
    pub seal: u32,
    /// The first bytes of the two record areas.
    pub records: [u32; 2],
    /// Pages a record area.
    pub record_pages: u32,
}

impl Layout {
    /// The first byte that the areas occupy.
    #[must_use]
    pub const fn start(&self) -> u32 {
        self.key
    }

    /// The first byte behind the areas.
    #[must_use]
    pub const fn end(&self) -> u32 {
        self.records[1] + self.record_pages * self.page_length
    }

    /// Lays the areas one after the other from `start` on.
    const fn contiguous(
        name: &'static str,
        page_length: u32,
        flash_length: u32,
        start: u32,
        record_pages: u32,
    ) -> Self {
        let layout = Self {
            name,
            page_length,
            flash_length,
            key: start,
            seal: start + page_length,
            records: [
                start + 2 * page_length,
                start + (2 + record_pages) * page_length,
            ],
            record_pages,
        };
        assert!(start.is_multiple_of(page_length), "areas begin at a page");
        assert!(layout.end() <= flash_length, "areas end within flash");
        layout
    }
}

/// nRF51822: 256 KiB in pages of 1 KiB. The usual bootloader begins at 0x3C000.
pub const NRF51822: Layout = Layout::contiguous("nrf51822-v1", 0x400, 0x4_0000, 0x3_A800, 2);

/// nRF52832: 512 KiB in pages of 4 KiB. The usual bootloader begins at 0x78000.
pub const NRF52832: Layout = Layout::contiguous("nrf52832-v1", 0x1000, 0x8_0000, 0x7_4000, 1);

/// nRF52840: 1 MiB in pages of 4 KiB. The lowest of the usual bootloaders begins at 0xE0000.
pub const NRF52840: Layout = Layout::contiguous("nrf52840-v1", 0x1000, 0x10_0000, 0xD_C000, 1);

impl Layout {
    /// The layout of a chip.
    #[must_use]
    pub const fn of(platform: Platform) -> &'static Self {
        match platform {
            Platform::Nrf51822 => &NRF51822,
            Platform::Nrf52832 => &NRF52832,
            Platform::Nrf52840 => &NRF52840,
        }
    }
}
