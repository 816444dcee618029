//! The readers and verifiers of the audit log before arbitrary input, and beside `signed_note` and `tlog_tiles`: nothing panics, what
//! is accepted is written back as the same bytes, and what they refuse is refused. Where the station alone refuses, the test says why.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that can't go on has failed"
)]

mod edit;
mod note;
mod proof;
