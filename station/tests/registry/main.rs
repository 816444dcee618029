//! The registry's promises: one device a key for ever, one active pin a device, history that only grows, and nothing trusted that
//! has not proven itself.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that can't go on fails"
)]

mod acts;
mod checkpoints;
mod cloud_keys;
mod concurrency;
mod crowd;
mod fixture;
mod life;
mod migrations;
#[path = "../authority/fixture.rs"]
#[allow(dead_code, reason = "shared by tests; each uses a part")]
mod people;
#[path = "../common/postgres.rs"]
#[allow(
    dead_code,
    unreachable_pub,
    clippy::expect_used,
    reason = "shared by tests; each uses a part"
)]
mod postgres;
mod program;
mod reconcile;
mod refusals;
mod restore;
mod roles;
mod sequences;
mod serial_roles;
mod serials;
mod server_command;
mod tls;
