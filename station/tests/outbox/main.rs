//! What is held while the registry is out of reach is entered later: exactly once, in order, and none is lost.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that can't go on has failed"
)]

#[path = "../common/mod.rs"]
mod common;
#[path = "../common/cut_proxy.rs"]
mod cut_proxy;
#[path = "../witness/log.rs"]
#[allow(dead_code, reason = "shared by tests; each uses a part")]
mod log;
#[path = "../common/postgres.rs"]
#[allow(
    dead_code,
    unreachable_pub,
    reason = "shared by tests; each uses a part"
)]
mod postgres;
#[path = "../witness/process.rs"]
#[allow(dead_code, reason = "shared by tests; each uses a part")]
mod process;
#[path = "../common/pty.rs"]
#[allow(dead_code, reason = "shared by tests; each uses a part")]
mod pty;
#[path = "../command/station.rs"]
#[allow(dead_code, reason = "shared by tests; each uses a part")]
mod station;
#[path = "../log_faults/stored.rs"]
#[allow(dead_code, reason = "shared by tests; each uses a part")]
mod stored;
#[path = "../cli/support.rs"]
#[allow(dead_code, reason = "shared by tests; each uses a part")]
mod support;
#[path = "../log_faults/witnessed.rs"]
#[allow(dead_code, reason = "shared by tests; each uses a part")]
mod witnessed;

mod beside;
mod command;
mod cut;
mod held;
mod home;
mod killed;
mod refused;
mod registry_server;
mod released;
mod shipped;
