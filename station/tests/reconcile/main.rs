//! Deep verification: a station with everything that happens on a line has no violation, and each tampering is found, with words that
//! say what and where.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that can't go on fails"
)]

mod by_people;
#[path = "../common/mod.rs"]
mod common;
mod evidence;
mod forged;
#[path = "../authority/fixture.rs"]
#[allow(dead_code, reason = "shared by tests; each uses a part")]
mod people;
mod rolled_back;
mod shipped;
mod story;
mod tables;
mod verify;
mod whole;
mod wrong_registry;
