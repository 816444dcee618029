//! What the station and the agent on a unit say to each other.
//!
//! One crate for both sides, without `std` and without `alloc`, so that a byte can mean only one thing:
//!
//! - [`identity`]: the words (device id, algorithm, platform) as types;
//! - [`message`]: one enum of requests, one of responses, and how long each may take;
//! - [`version`]: which protocol versions there are, and the rule by which they change;
//! - [`frame`]: how a message travels (COBS, CRC-32, a fixed maximum);
//! - [`session`]: the encrypted session in which every secret travels;
//! - [`transcript`]: what exactly is signed, each purpose in a domain of its own;
//! - [`record`]: the content of the identity record and its digest;
//! - [`spki`]: public keys as the outside knows them.
//!
//! Nothing here allocates, blocks, or knows a link.
#![no_std]
#![forbid(unsafe_code)]

pub mod frame;
pub mod identity;
pub mod message;
pub mod record;
pub mod session;
pub mod spki;
pub mod transcript;
pub mod version;
