//! The way of a unit through a run, as types: each step consumes the unit and gives the next state and what it leaves as evidence.
//!
//! ```text
//! attach → Attached → identify → Identified ─ key → Keyed → (claim) → Claimed → inject → Injected ─ prove → Proven
//!                                    └─ recognise (a unit that is finished, sealed or locked) ───────────────┘
//! Proven → (pin) → Pinned → seal → Sealed → lock → Locked
//! ```
//!
//! - Claim and pin are carried out by the line with [`Keyed::claim`] and [`Proven::proof`]; steps never see a database.
//! - Only `key`, `inject`, `prove`/`recognise` (a reset), `seal` and `lock` have an effect on the unit, and `identify` may write the
//!   agent's own pages: the line journals the intent before it calls them.
//! - Whatever fails gives the [`Target`](crate::link::Target) back in [`Failed`]; attaching it again and walking the same way goes on
//!   where it stopped.

mod attach;
mod bench;
mod error;
mod failure_code;
mod identify;
mod inject;
mod key;
mod key_material;
mod lock;
mod pin;
mod plan;
mod possession;
mod prove;
mod recognise;
mod seal;

pub use attach::{Attached, attach};
pub use error::{Failed, StepError};
pub use identify::Identified;
pub use inject::{Claimed, Injected};
pub use key::Keyed;
pub use key_material::{NoStationKeys, StationKey, StationKeySource};
pub use lock::Locked;
pub use pin::Pinned;
pub use plan::{CredentialsSource, Plan};
pub use prove::Proven;
pub use seal::Sealed;
