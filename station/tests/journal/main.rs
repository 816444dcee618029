//! The journal as the line uses it: what it takes, what it refuses, what it knows after a restart, and what it finds when somebody
//! has been at its file.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod durability;
mod fixture;
mod leaving;
mod log_keys;
mod orders;
mod tampering;
mod units;
mod witnessing;
