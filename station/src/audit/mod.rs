//! The audit log's core: leaves, the Merkle tree over them, and the signed checkpoints that vouch for it.
//!
//! Everything is in formats that others can check: RFC 6962 hashing, C2SP signed notes and checkpoints. Nothing here knows a
//! database; the journal stores what is made here, each leaf in the transaction of the change that it stands for.

mod checkpoint;
mod error;
mod leaf;
mod note;
mod proof;
mod signer;
mod tree;

pub use checkpoint::Checkpoint;
pub use error::AuditError;
pub use leaf::{LEAF_VERSION, Leaf, commitment};
pub use note::{NoteSignature, SignedNote, VerifierKey};
pub use proof::{consistency_proof, inclusion_proof, verify_consistency, verify_inclusion};
pub use signer::{
    CheckpointSigner, CheckpointSigners, FileSigner, ModuleError, TokenError, TokenKey, TokenSigner,
};
pub use tree::{Frontier, Hash, empty_root, leaf_hash, node_hash};
