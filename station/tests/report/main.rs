//! Lot reports: what they show of every kind of unit, that they verify with nothing but the file and the keys, and that every change
//! of them is found.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that can't go on has failed"
)]

#[path = "../common/mod.rs"]
mod common;
#[path = "../command/station.rs"]
#[allow(dead_code, reason = "shared by tests; each uses a part")]
mod station;

mod changes;
mod command;
mod customers;
mod format;
mod lot;
mod shown;
mod window;
