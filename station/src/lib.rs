//! Keyline's station: the library behind the `keyline` command.
//!
//! Data moves one way: a [`link`] carries frames, a [`session`] makes calls of them, [`steps`] make a unit pass from one state to the
//! next and leave evidence, the [`mod@line`] conducts a slot and commits each step to the [`journal`] (with its [`audit`] leaf) and the
//! [`registry`]. `docs/ARCHITECTURE.md` says who may import whom.

pub mod app;
pub mod audit;
pub mod authority;
pub mod clock;
pub mod cloud_key;
pub mod command;
pub mod cosign;
pub mod demo;
pub mod dossier;
pub mod error_text;
pub mod event;
pub mod exit;
pub mod export;
pub mod fleet;
pub mod home;
pub mod journal;
pub mod key_pool;
pub mod line;
pub mod link;
pub mod operator;
pub mod outbox;
pub mod reconcile;
pub mod record;
pub mod registry;
mod regular_file;
pub mod report;
pub mod seal;
pub mod secret;
pub mod session;
pub mod signature;
pub mod socket;
pub mod steps;
pub mod stop;
pub mod tiles;
pub mod witness;

/// What threads that make keys free is wiped; for all others this is the system's allocator.
#[global_allocator]
static ALLOCATOR: secret::WipingAllocator = secret::WipingAllocator;
