//! The station's command line as scripts and people use it: the real binary, real files, real signals.

mod cloud_key;
mod config;
mod core_dump;
mod home;
mod owner;
mod permission;
mod product;
mod provision;
mod station;
