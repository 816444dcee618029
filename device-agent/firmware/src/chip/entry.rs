//! Where start-up hands over to the program.
#![allow(unsafe_code, reason = "an entry point has no safe form")]

use cortex_m_rt::entry;

use super::Chip;

#[entry]
fn start() -> ! {
    #[cfg(feature = "nrf52840")]
    super::heap::start();
    crate::run(Chip::start())
}
