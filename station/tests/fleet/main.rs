//! Fleets that exist already: what is read, what is refused and with which words, what an interruption leaves, what comes back.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that can't go on fails"
)]

#[path = "../command/station.rs"]
#[allow(dead_code, reason = "shared by tests; each uses a part")]
mod station;

mod command;
mod exported;
mod file;
mod fixture;
mod forms;
mod huge;
mod leaves;
mod property;
mod resumed;
mod rows;
mod weak_keys;
