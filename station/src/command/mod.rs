//! The command line: what can be asked for, who may ask, and what is answered.

mod name;
mod request;

pub use name::{Name, NameError};
pub use request::{DemoRequest, DemoUnit, Permit, ProductDraft, ProvisionRequest, Request};
