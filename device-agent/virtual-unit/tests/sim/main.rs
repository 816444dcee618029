//! The agent on the simulated chip: what a unit does, and what it survives.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::cast_possible_truncation,
    reason = "a test's helpers fail as the test does, and its numbers are small"
)]

mod client;
mod closing;
mod exchange;
mod generator;
mod keys;
mod power_cuts;
mod proofs;
mod records;
mod unit;
