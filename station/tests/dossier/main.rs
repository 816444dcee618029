//! A unit's dossier: what the command writes holds on a machine that has nothing but the file and the keys, and nothing else does.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that can't go on has failed"
)]

#[path = "../command/station.rs"]
#[allow(dead_code, reason = "shared by tests; each uses a part")]
mod station;

mod advised;
mod changed;
mod command;
mod documented;
mod forged;
mod line;
mod rolled_over;
mod troubled;
mod witnessed;
