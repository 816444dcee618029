//! A log in memory with its own key: checkpoints and proofs, true and false ones.

use std::sync::Arc;

use futures_util::FutureExt as _;
use keyline_station::audit::{
    AuditError, Checkpoint, CheckpointSigner, CosignatureSigner, FileSigner, Frontier, Hash,
    SignedNote, VerifierKey, WitnessKey, consistency_proof, leaf_hash, node_hash,
};

/// A log's key, in a file of its own.
pub(crate) struct LogKey {
    pub(crate) key: VerifierKey,
    signer: CheckpointSigner,
}

impl LogKey {
    pub(crate) fn new(origin: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let file = FileSigner::generate(&directory.path().join("log.pem")).unwrap();
        let signer = CheckpointSigner::File(file);
        Self {
            key: signer.verifier_key(origin).unwrap(),
            signer,
        }
    }

    /// A note with this key's signature.
    pub(crate) fn sign(&self, checkpoint: &Checkpoint) -> SignedNote {
        checkpoint
            .sign(&self.key, &self.signer)
            .now_or_never()
            .unwrap()
            .unwrap()
    }

    /// A note of any text with this key's signature, checkpoint or not.
    pub(crate) fn sign_text(&self, text: &str) -> SignedNote {
        let mut note = self.sign(&Checkpoint {
            origin: self.key.name().to_owned(),
            size: 0,
            root: [0; 32],
        });
        let signature = self
            .signer
            .sign(text.as_bytes())
            .now_or_never()
            .unwrap()
            .unwrap();
        note.signatures[0].signature = signature.to_vec();
        text.clone_into(&mut note.text);
        note
    }
}

/// A witness's key, in a file of its own.
pub(crate) fn witness(name: &str) -> CosignatureSigner {
    let directory = tempfile::tempdir().unwrap();
    CosignatureSigner::generate(&directory.path().join("key.pem"), name).unwrap()
}

/// A witness's public key.
pub(crate) fn witness_key(name: &str) -> WitnessKey {
    witness(name).key().clone()
}

/// Leaves and what follows from them; `seed` tells forks apart.
pub(crate) struct Log {
    pub(crate) key: Arc<LogKey>,
    levels: Vec<Vec<Hash>>,
    roots: Vec<Hash>,
}

impl Log {
    /// A log of `size` leaves.
    pub(crate) fn new(origin: &str, size: u64) -> Self {
        Self::with_key(Arc::new(LogKey::new(origin)), size, 0)
    }

    /// The same log's key, other leaves from the first one on.
    pub(crate) fn fork(&self) -> Self {
        Self::with_key(Arc::clone(&self.key), self.size(), 1)
    }

    fn with_key(key: Arc<LogKey>, size: u64, seed: u64) -> Self {
        let leaf = |n: u64| leaf_hash(&[seed.to_be_bytes(), n.to_be_bytes()].concat());
        let leaves: Vec<Hash> = (0..size).map(leaf).collect();
        let mut frontier = Frontier::default();
        let mut roots = vec![frontier.root()];
        for leaf in &leaves {
            frontier.append(*leaf);
            roots.push(frontier.root());
        }
        let mut levels = vec![leaves];
        while let Some(below) = levels.last().filter(|level| level.len() > 1) {
            let pairs = below.as_chunks::<2>().0;
            levels.push(pairs.iter().map(|[l, r]| node_hash(l, r)).collect());
        }
        Self { key, levels, roots }
    }

    pub(crate) fn origin(&self) -> &str {
        self.key.key.name()
    }

    pub(crate) fn size(&self) -> u64 {
        self.roots.len() as u64 - 1
    }

    pub(crate) fn root(&self, size: u64) -> Hash {
        self.roots[usize::try_from(size).unwrap()]
    }

    pub(crate) fn checkpoint(&self, size: u64) -> Checkpoint {
        Checkpoint {
            origin: self.origin().to_owned(),
            size,
            root: self.root(size),
        }
    }

    pub(crate) fn note(&self, size: u64) -> String {
        self.key.sign(&self.checkpoint(size)).to_string()
    }

    pub(crate) fn proof(&self, old: u64, new: u64) -> Vec<Hash> {
        let subtree = |level: u32, index: u64| -> Result<Hash, AuditError> {
            Ok(self.levels[level as usize][usize::try_from(index).unwrap()])
        };
        consistency_proof(subtree, old, new).unwrap()
    }
}
