//! The chip as the agent sees it.
#![allow(unsafe_code, reason = "flash has no safe form")]

use keyline_agent::hal::{Hal, Work};
use keyline_agent::layout::Layout;
use keyline_protocol::identity::Platform;

use super::{clock, family, fault, generator, image, nvmc, serial};
use crate::link::Link;

/// FICR.DEVICEID (nRF51 Series Reference Manual v3.0, 7.1.9; the same on nRF52).
const DEVICE_ID: u32 = 0x1000_0060;

/// The chip that the program runs on.
pub(crate) struct Chip {
    /// The link that spoke last, which is answered.
    pub(crate) link: Link,
}

impl Chip {
    /// Starts the chip's blocks. The links start with it.
    pub(super) fn start() -> Self {
        clock::start();
        generator::start();
        serial::start();
        crate::link::rtt::start();
        Self { link: Link::Rtt }
    }
}

/// Whether `length` bytes from `address` on lie in the pages that the layout gives to the agent.
fn is_ours(address: u32, length: u32) -> bool {
    let layout = family::LAYOUT;
    layout.start() <= address
        && address
            .checked_add(length)
            .is_some_and(|end| end <= layout.end())
}

impl Hal for Chip {
    fn platform(&self) -> Platform {
        family::PLATFORM
    }

    fn layout(&self) -> &'static Layout {
        family::LAYOUT
    }

    fn chip_id(&self) -> (u32, u32) {
        // SAFETY: FICR is mapped, and reading it has no effect.
        unsafe { (nvmc::load_word(DEVICE_ID), nvmc::load_word(DEVICE_ID + 4)) }
    }

    fn read(&self, address: u32, into: &mut [u8]) {
        let length = u32::try_from(into.len()).unwrap_or(u32::MAX);
        if is_ours(address, length) {
            // SAFETY: it is flash, as was checked, and reading it has no effect.
            unsafe { nvmc::load(address, into) }
        } else {
            into.fill(0xFF);
        }
    }

    fn write_word(&mut self, address: u32, word: u32) {
        if address.is_multiple_of(4) && is_ours(address, 4) {
            // SAFETY: it is a word of the agent's own pages, as was checked, which hold no part of the image.
            unsafe { nvmc::write_word(address, word) }
        }
    }

    fn erase_page(&mut self, address: u32) {
        let length = family::LAYOUT.page_length;
        if address.is_multiple_of(length) && is_ours(address, length) {
            // SAFETY: it is one of the agent's own pages, as was checked, which hold no part of the image.
            unsafe { nvmc::erase_page(address) }
        }
    }

    fn random_byte(&mut self) -> Option<u8> {
        generator::random_byte()
    }

    fn image(&self, take: &mut dyn FnMut(&[u8])) {
        image::read(take);
    }

    fn signs_rsa(&self) -> bool {
        family::SIGNS_RSA
    }

    fn protected(&self) -> bool {
        // SAFETY: UICR is mapped, and reading it has no effect.
        family::is_protected(unsafe { nvmc::load_word(family::PROTECTION) })
    }

    fn protect(&mut self) {
        // SAFETY: it is a word of UICR.
        unsafe { nvmc::write_word(family::PROTECTION, family::PROTECTED) }
    }

    fn duration_ms(&self, work: Work) -> u32 {
        family::duration_ms(work)
    }

    fn send(&mut self, frame: &[u8]) {
        self.link.send(frame);
    }

    fn reset(&mut self) {
        self.link.drain();
        fault::reset()
    }
}
