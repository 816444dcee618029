//! What can be asked, one file a subject. Each question is answered from an index.

mod checkpoint;
mod entry;
mod operator;
mod order;
mod product;
mod run;
mod station;
mod unit;

pub(super) use run::{Columns as RunColumns, interrupted, run as run_of};
pub(super) use unit::{UnitColumns, unit_of};
