//! Who may say yes: the formats, without a home, and the `keyline` command on homes whose root is pinned.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that can't go on has failed"
)]

#[path = "../command/station.rs"]
#[allow(dead_code, reason = "shared by tests; each uses a part")]
mod station;

mod acts;
mod bundles;
mod ceremony;
mod cloud_keys;
mod demonstration;
mod fixture;
mod policies;
#[path = "../common/postgres.rs"]
#[allow(
    dead_code,
    unreachable_pub,
    reason = "shared by tests; each uses a part"
)]
mod postgres;
mod production;
