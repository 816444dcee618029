//! The agent: what a unit does with each message, over a small [`hal::Hal`].
#![no_std]
#![forbid(unsafe_code)]

pub mod hal;
pub mod layout;
