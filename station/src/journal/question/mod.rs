//! What can be asked, one file a subject. Each question is answered from an index.

mod log_key;
mod operator;
mod order;
mod product;
mod run;
mod unit;

pub(super) use log_key::{checkpoint_covering, log_keys};
pub(super) use run::interrupted;
pub(super) use unit::{UnitColumns, unit_of};
