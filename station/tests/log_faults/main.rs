//! Everything that can happen to the audit log from outside: SIGKILL under load, disks that fail at any write, flush and rename, witnesses
//! that go away, homes that come back from an old copy, two stations with one name. After each act the log is held against everything that
//! anybody was ever told of it: no acknowledged leaf is lost, no index is used twice, and it verifies.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that can't go on has failed"
)]

#[path = "../witness/log.rs"]
#[allow(dead_code, reason = "shared by tests; each uses a part")]
mod log;
#[path = "../witness/process.rs"]
#[allow(dead_code, reason = "shared by tests; each uses a part")]
mod process;
#[path = "../common/pty.rs"]
#[allow(dead_code, reason = "shared by tests; each uses a part")]
mod pty;
#[path = "../command/station.rs"]
#[allow(dead_code, reason = "shared by tests; each uses a part")]
mod station;
#[path = "../cli/support.rs"]
#[allow(dead_code, reason = "shared by tests; each uses a part")]
mod support;

mod ahead;
mod disk;
mod judged;
mod killed;
mod pools;
mod restored;
mod stored;
mod told;
mod traced;
mod two;
mod witnessed;
