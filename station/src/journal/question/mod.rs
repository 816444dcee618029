//! What can be asked, one file a subject. Each question is answered from an index.

mod authority;
mod cosignature;
mod entry;
pub(super) mod log;
mod log_key;
mod lot;
mod operator;
mod order;
mod outbox;
mod product;
mod run;
mod station;
mod unit;

pub use lot::LotRun;

pub(super) use log_key::{checkpoint_covering, log_keys};
pub(super) use run::{Columns as RunColumns, interrupted, run as run_of};
pub(super) use unit::{UnitColumns, unit_of};
