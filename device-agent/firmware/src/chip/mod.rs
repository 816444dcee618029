//! The chip behind [`Hal`](keyline_agent::hal::Hal): everything that touches a register, and all of this program's `unsafe`.
//!
//! What differs between chips stands in one file a chip, chosen by a feature of the same name; the blocks that nRF51 and nRF52 share
//! have a file each.

pub(crate) mod clock;
mod fault;
mod generator;
mod image;
mod nvmc;
mod register;
pub(crate) mod rtt_block;
pub(crate) mod serial;

#[cfg(feature = "nrf51822")]
#[path = "nrf51822.rs"]
pub(crate) mod family;

#[cfg(feature = "nrf52832")]
#[path = "nrf52832.rs"]
pub(crate) mod family;

#[cfg(feature = "nrf52840")]
#[path = "nrf52840.rs"]
pub(crate) mod family;

#[cfg(feature = "nrf52840")]
mod heap;

mod entry;
mod unit;

pub(crate) use unit::Chip;
