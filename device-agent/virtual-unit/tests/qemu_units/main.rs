//! Emulated units, driven by the real probe-rs through their emulated probes.
//!
//! They need `qemu-system-arm`: without it every test fails with a message that says what to install.

mod debug;
mod faults;
mod flash;
mod programs;
mod protection;
mod support;
