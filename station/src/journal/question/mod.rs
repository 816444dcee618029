//! What can be asked, one file a subject. Each question is answered from an index.

pub(super) mod log;
mod operator;
mod order;
mod product;
mod run;
mod unit;

pub(super) use run::interrupted;
pub(super) use unit::{UnitColumns, unit_of};
