//! The tree on disk: its formats, what a foreign reader makes of it, and what becomes of it whatever befalls the station or the disk.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that can't go on fails"
)]

mod damage;
mod fixture;
mod proof_format;
mod proofs;
mod publishing;
mod tile_format;
