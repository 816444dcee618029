//! Exports as an auditor meets them: made by the real binary, read by programs that nobody here wrote, held against the log, and
//! refused where anything was changed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that can't go on has failed"
)]

#[path = "../journal/fixture.rs"]
#[allow(dead_code, reason = "shared by tests; each uses a part")]
mod fixture;
#[path = "../command/station.rs"]
#[allow(dead_code, reason = "shared by tests; each uses a part")]
mod station;

mod customers;
mod factory;
mod filters;
mod leaves;
mod manifest;
mod moment;
mod place;
#[path = "../common/python.rs"]
mod python;
mod reader;
mod role;
mod sealed;
mod texts;
mod units;
