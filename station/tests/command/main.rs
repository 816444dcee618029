//! The station's command line as scripts and people use it: the real binary, real files, real signals.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that can't go on has failed"
)]

mod cloud_address;
mod cloud_key;
mod config;
mod core_dump;
mod home;
mod leaves;
mod owner;
mod permission;
mod product;
mod provision;
mod serial;
mod station;
