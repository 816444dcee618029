//! The steps of a run against simulated units: every policy and algorithm, and everything that goes wrong on a bench.

mod bench;
mod closing;
mod faults;
mod keys;
mod refusals;
mod walks;
