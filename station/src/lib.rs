//! Keyline's station: the library behind the `keyline` command.
//!
//! Data moves one way: a [`link`] carries frames, a [`session`] makes calls of them, [`steps`] make a unit pass from one state to the
//! next and leave evidence, the [`line`] conducts a slot and commits each step to the [`journal`] (with its [`audit`] leaf) and the
//! [`registry`]. `docs/ARCHITECTURE.md` says who may import whom.
#![forbid(unsafe_code)]

pub mod clock;
pub mod link;
pub mod record;
