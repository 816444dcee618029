//! What the station records: the words of the domain as types, shared by everything that stores, shows or makes them.
//!
//! Nothing here reaches a device, a database or a page.

mod change;
mod claim;
mod evidence;
mod failure;
mod id;
mod label;
mod name;
mod order;
mod product;
mod proof_transcript;
mod run;

pub use change::{Change, ImportedFile};
pub use claim::{Claim, ClaimPlan, ClaimReceipt, Pin, PinReceipt, Proof};
pub use evidence::{
    AgentDigestSource, AlgorithmName, Evidence, KeyPolicyName, LockPolicyName, PlatformName,
    ProbeReading, ProtectionStrength,
};
pub use failure::{Disposition, Failure, FailureCode};
pub use id::{OrderId, ProductId, RunId, StationId};
pub use label::{Label, Labelled};
pub use name::{Name, NameError};
pub use order::{Order, OrderState};
pub use product::{Product, WhenRegistryUnreachable};
pub use proof_transcript::parse_proof_transcript;
pub use run::{DeviceIdText, Run, RunResult, Step, StepPhase, UnitState};
