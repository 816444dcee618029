//! The audit log's core: leaves, the Merkle tree over them, and the signed checkpoints that vouch for it.
//!
//! Everything is in formats that others can check: RFC 6962 hashing, C2SP signed notes and checkpoints. Nothing here knows a
//! database; the journal stores what is made here, each leaf in the transaction of the change that it stands for.

mod checkpoint;
mod cosignature;
mod error;
mod key;
mod leaf;
mod note;
mod policy;
mod proof;
mod shared_proof;
mod signer;
mod statement;
mod tile;
mod tlog_proof;
mod tree;

pub use checkpoint::Checkpoint;
pub use cosignature::{Cosignature, CosignatureSigner, WitnessKey};
pub use error::AuditError;
pub use leaf::{LEAF_VERSION, Leaf, commitment};
pub use note::{NoteSignature, SignedNote, VerifierKey};
pub use policy::{PolicyWitness, TrustPolicy, Trusted};
pub use proof::{
    consistency_length, consistency_proof, inclusion_proof, tree_root, verify_consistency,
    verify_inclusion,
};
pub use shared_proof::{shared_proof, verify_shared};
pub use signer::{
    CheckpointSigner, CheckpointSigners, FileSigner, ModuleError, TokenError, TokenKey, TokenSigner,
};
pub use statement::sign_statement;
pub use tile::{
    ENTRY_LENGTH_MAX, HashTile, TILE_HEIGHT, TILE_WIDTH, TileContent, TileId, hash_bundle,
    parse_bundle, push_entry,
};
pub use tlog_proof::{EXTRA_LENGTH_MAX, TlogProof};
pub use tree::{Frontier, Hash, empty_root, leaf_hash, node_hash};
