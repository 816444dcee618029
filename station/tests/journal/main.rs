//! The journal as the line uses it: what it takes, what it refuses, what it knows after a restart, and what it finds when somebody
//! has been at its file.

mod durability;
mod fixture;
mod orders;
mod tampering;
mod units;
