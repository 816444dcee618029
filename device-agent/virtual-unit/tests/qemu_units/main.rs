//! Emulated units, driven by the real probe-rs through their emulated probes.
//!
//! They need `qemu-system-arm`: without it every test fails with a message that says what to install.

// The permissions that clippy.toml gives to tests do not reach the helpers of an integration test; and a test's numbers are small.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::cast_possible_truncation
)]

mod debug;
mod faults;
mod figures;
mod flash;
mod program;
mod programs;
mod protection;
mod support;
