//! A unit from end to end on emulated chips: the real firmware image, unmodified probe-rs, the real stores, the real command.
//!
//! Needs `qemu-system-arm`; without it the tests fail and say what to install. Points in time are drawn from a seed that is printed
//! with each failure; `KEYLINE_SEED=n` draws the same ones again.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "helpers of tests end a test by panicking, as the tests do, and say which seed they used"
)]

#[path = "../common/mod.rs"]
mod common;
#[path = "../command/station.rs"]
#[allow(dead_code, reason = "shared with the tests of the command line")]
mod station;

mod cable;
mod fixture;
mod flash;
mod identity;
mod key_policy;
mod openssl;
mod power;
mod process;
mod protection;
mod search;
mod second_record;
mod secrecy;
mod serial;
mod wrong_bench;
