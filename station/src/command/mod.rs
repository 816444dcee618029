//! The command line: what can be asked for, who may ask, and what is answered.
//!
//! What is typed (`arguments`) becomes what is wanted ([`Request`]), which is carried out here or by the process that owns the home
//! ([`run()`]). Questions are in `read`, changes in `act`.

mod act;
mod arguments;
mod at_home;
mod audit;
mod audit_arguments;
mod authority;
mod authority_act;
mod authority_arguments;
mod authority_bundle;
mod authority_registry;
mod beside;
mod cloud_key;
mod cloud_key_arguments;
mod demo;
mod doctor;
mod error;
mod execute;
mod export;
mod export_arguments;
mod feasible;
mod fleet;
mod fleet_arguments;
mod fleet_sink;
mod log;
mod log_key;
mod lower;
mod output;
mod pin_act;
mod product_arguments;
mod provision;
mod read;
mod registry_admin;
mod registry_arguments;
mod request;
mod run;
mod serial;
mod ship;
mod signal;
mod station;
mod sync;
mod witness;
mod witness_arguments;

pub use crate::error_text::chain;
pub use crate::record::{Name, NameError};
pub use cloud_key::CloudKeyUnitsRequest;
pub use demo::{DemoRequest, DemoUnit};
pub use error::CommandError;
pub use feasible::InfeasibleProduct;
pub use log::start as start_log;
pub use request::{
    ActDraft, ActOrder, ExportRequest, FleetExportRequest, ImportRequest, Permit,
    ProductBundleRequest, ProductDraft, ProvisionRequest, Request,
};
pub use run::run;
