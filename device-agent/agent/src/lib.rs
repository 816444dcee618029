//! The agent: what a unit does with each message, over a small [`hal::Hal`].
//!
//! Bytes come in through [`Agent::receive`], frames go out through [`hal::Hal::send`]; in between, each request is handled to its end.
//! There is no other thread, no allocation (but for RSA, feature `rsa`) and no clock.
//!
//! | module | its idea |
//! |-|-|
//! | `exchange` | frames in and out: sequence, retransmission, sealing |
//! | `unit` | which request is answered how, and what a sealed unit refuses |
//! | `keys`, `sessions`, `records`, `closing` | the answers |
//! | `generator` | random bytes, health-tested |
//! | `comb`, `p256`, `rsa` | the arithmetic |
//! | [`layout`], `flash`, `key_store`, `record_layout`, `record_store`, `seal`, `erasure` | what stands in flash, and how it survives a power cut |
//! | `authority` | one-shot permits on a sealed unit |
#![no_std]
#![forbid(unsafe_code)]

mod agent;
mod authority;
mod closing;
mod comb;
mod erasure;
mod exchange;
mod flash;
mod generator;
pub mod hal;
mod key_store;
mod keys;
pub mod layout;
mod p256;
mod record_layout;
mod record_store;
mod records;
#[cfg(feature = "rsa")]
mod rsa;
mod seal;
mod sessions;
mod unit;

pub use agent::Agent;
pub use generator::START_UP_SAMPLES;

/// Grows with each release of the agent; an older agent refuses flash that a newer one wrote.
pub const AGENT_VERSION: u32 = 1;
