//! The audit log's key in a PKCS #11 token: a real SoftHSM with a directory of its own for each test, looked at from outside with
//! `pkcs11-tool`; the real `keyline` binary over it.
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
#[path = "../cli/support.rs"]
#[allow(dead_code, reason = "shared by tests; each uses a part")]
mod support;

mod hsm;
mod outage;
mod refusals;
mod roll_over;
mod secrecy;
