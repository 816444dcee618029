//! The steps of a run against simulated units: every policy and algorithm, and everything that goes wrong on a bench.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests end a test by panicking, as the tests do"
)]

mod bench;
mod closing;
mod faults;
mod keys;
mod refusals;
mod walks;
