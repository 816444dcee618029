//! The tree on disk: its formats, what a foreign reader makes of it, and what becomes of it whatever befalls the station or the disk.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that can't go on fails"
)]

#[path = "../command/station.rs"]
#[allow(dead_code, reason = "shared by tests; each uses a part")]
mod station;

mod damage;
mod fixture;
mod memory;
mod proof_format;
mod proofs;
mod publishing;
mod station_disk;
mod station_killed;
mod tile_format;
