//! The command line as a new user and as a script meet it: the real binary, units that outlive it, full disks, readers that go away.
//! After each act the whole station is looked at: no run is open, no unit is in between, the audit log verifies.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that can't go on has failed"
)]

#[path = "../common/pty.rs"]
#[allow(dead_code, reason = "shared by tests; each uses a part")]
mod pty;
#[path = "../command/station.rs"]
#[allow(dead_code, reason = "shared by tests; each uses a part")]
mod station;

mod demo;
mod disk;
mod finished;
mod links;
mod output;
mod owner;
mod stopped;
mod support;
