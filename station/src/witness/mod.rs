//! The witness (C2SP `tlog-witness`): a process of its own, with its own key and store, that vouches for a log never having taken anything
//! back.
//!
//! A log shows it each new checkpoint and a proof that the last one is a prefix of it. The witness remembers one checkpoint a log; it cosigns
//! what follows from that and nothing else. So a log can't show two histories to people who ask for the cosignature of the same witness.
//!
//! ```text
//! POST /add-checkpoint            old size, proof, checkpoint → cosignature
//! GET  /<SHA-256 of the origin>/checkpoint                    → the latest cosigned checkpoint
//! ```
//!
//! **The promise**: a cosignature leaves the process only after the checkpoint that it stands on is on disk, directory included; and a
//! checkpoint is compared with what is on disk and takes its place in one step. A store that was put back from an old copy breaks the
//! promise and can't notice: never restore one, make a new witness.
//!
//! Plain HTTP is enough. Everything that is carried is public and signed, and whoever answers with the right key is the right witness;
//! where TLS is wanted, or the address is open to the world, a proxy goes in front.
//!
//! The keys are Ed25519. The specification would rather see ML-DSA-44 for new deployments; policies of this station know Ed25519 only.

mod client;
mod error;
mod evidence;
mod listen;
mod log_file;
mod refusal;
mod request;
mod server;
mod store;
mod submission;

pub use client::{WitnessClient, WitnessError};
pub use error::WitnessStoreError;
pub use evidence::Suspicion;
pub use refusal::Refusal;
pub use request::{AddCheckpoint, PROOF_LINES_MAX};
pub use server::WitnessServer;
pub use store::{TrackedLogView, WitnessStore, WitnessStoreView};

/// The content type of a size that is answered with 409 (C2SP `tlog-witness`).
const SIZE_CONTENT_TYPE: &str = "text/x.tlog.size";
