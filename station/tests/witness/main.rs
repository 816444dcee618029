//! Witnesses: their formats against the specifications' words and foreign implementations, the process over real HTTP, on disks that fail
//! and under SIGKILL. After each act the one promise is checked: no acknowledged size is forgotten, and no second root at one is cosigned.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that can't go on has failed"
)]

mod client;
mod command;
mod cosignature;
mod evidence;
mod faults;
mod kept;
mod limits;
mod log;
mod policy;
mod process;
mod race;
mod replies;
mod store;
