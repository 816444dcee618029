//! Logs to verify: real leaves, real checkpoints, and every proof that can be asked of them.

use std::collections::BTreeMap;

use futures_util::FutureExt as _;
use keyline_protocol::identity::DeviceId;
use keyline_station::audit::{
    AuditError, Checkpoint, CheckpointSigner, FileSigner, Frontier, Hash, Leaf, VerifierKey,
    commitment, consistency_proof, inclusion_proof, leaf_hash, node_hash,
};
use keyline_station::record::{DeviceIdText, RunId};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use crate::case::Case;

/// The origin of the made logs.
const ORIGIN: &str = "factory.example/station-7";

/// A log with checkpoints at some of its sizes.
pub(crate) struct Log {
    pub(crate) key: VerifierKey,
    pub(crate) leaves: Vec<Vec<u8>>,
    /// Signed notes by the size that they vouch for.
    notes: BTreeMap<u64, String>,
    /// The roots of the complete subtrees, by their height.
    levels: Vec<Vec<Hash>>,
}

impl Log {
    /// A log of `size` leaves, with checkpoints at its end and at `sizes`.
    pub(crate) fn made(seed: u64, size: u64, sizes: impl IntoIterator<Item = u64>) -> Self {
        let mut random = SmallRng::seed_from_u64(seed);
        let leaves = (0..size).map(|index| leaf(&mut random, index)).collect();
        let directory = tempfile::tempdir().unwrap();
        let signer = FileSigner::generate(&directory.path().join("audit.pem")).unwrap();
        let signer = CheckpointSigner::File(signer);
        let mut log = Self::of(
            signer.verifier_key(ORIGIN).unwrap(),
            leaves,
            BTreeMap::new(),
        );
        let signed = sizes.into_iter().chain([size]).map(|size| {
            let note = signed(&log.checkpoint(size), &log.key, &signer);
            (size, note)
        });
        log.notes = signed.collect();
        log
    }

    /// A log that is there already.
    pub(crate) fn of(key: VerifierKey, leaves: Vec<Vec<u8>>, notes: BTreeMap<u64, String>) -> Self {
        let mut levels = vec![leaves.iter().map(|leaf| leaf_hash(leaf)).collect()];
        while let Some(below) = levels.last().filter(|level: &&Vec<_>| level.len() > 1) {
            let pairs = below.as_chunks::<2>().0;
            levels.push(pairs.iter().map(|[l, r]| node_hash(l, r)).collect());
        }
        Self {
            key,
            leaves,
            notes,
            levels,
        }
    }

    pub(crate) fn size(&self) -> u64 {
        self.leaves.len() as u64
    }

    /// The sizes that have a checkpoint.
    pub(crate) fn sizes(&self) -> impl DoubleEndedIterator<Item = u64> {
        self.notes.keys().copied()
    }

    /// The question for the checkpoint at a size.
    pub(crate) fn checkpoint_case(&self, size: u64) -> Case {
        Case::Checkpoint {
            note: self.note(size),
        }
    }

    /// The question for a leaf of the tree at a size.
    pub(crate) fn inclusion_case(&self, index: u64, size: u64) -> Case {
        Case::Inclusion {
            note: self.note(size),
            leaf: self.leaves[usize::try_from(index).unwrap()].clone(),
            index,
            path: inclusion_proof(|level, n| self.subtree(level, n), index, size).unwrap(),
        }
    }

    /// The question for two checkpoints.
    pub(crate) fn consistency_case(&self, old: u64, size: u64) -> Case {
        Case::Consistency {
            old_note: self.note(old),
            note: self.note(size),
            path: consistency_proof(|level, n| self.subtree(level, n), old, size).unwrap(),
        }
    }

    /// What the log says of itself at a size.
    pub(crate) fn checkpoint(&self, size: u64) -> Checkpoint {
        let (mut edge, mut first) = (Vec::new(), 0);
        for level in (0..u64::BITS).rev().filter(|bit| size >> bit & 1 == 1) {
            edge.extend(self.subtree(level, first >> level).unwrap());
            first += 1 << level;
        }
        Checkpoint {
            origin: self.key.name().to_owned(),
            size,
            root: Frontier::from_bytes(size, &edge).unwrap().root(),
        }
    }

    fn note(&self, size: u64) -> Vec<u8> {
        self.notes[&size].clone().into_bytes()
    }

    #[allow(clippy::unnecessary_wraps, reason = "what the proofs ask for may fail")]
    fn subtree(&self, level: u32, index: u64) -> Result<Hash, AuditError> {
        Ok(self.levels[level as usize][usize::try_from(index).unwrap()])
    }
}

/// The only place where these tests sign.
fn signed(checkpoint: &Checkpoint, key: &VerifierKey, signer: &CheckpointSigner) -> String {
    checkpoint
        .sign(key, signer)
        .now_or_never()
        .unwrap()
        .unwrap()
        .to_string()
}

/// A leaf as a station writes them, with and without a run and a unit.
fn leaf(random: &mut SmallRng, index: u64) -> Vec<u8> {
    let kinds = ["started", "run-started", "step-done", "run-ended"];
    let kind = kinds[random.random_range(0..kinds.len())];
    let of_run = kind != "started";
    let body = format!("{{\"kind\":\"{kind}\",\"n\":{index}}}");
    Leaf {
        kind,
        wall_ms: 1_790_000_000_000 + index,
        monotonic_ms: index,
        boot_id: [7; 16],
        run: of_run.then(|| RunId::from_bytes(random.random())),
        device_id: (of_run && !index.is_multiple_of(3))
            .then(|| DeviceIdText(DeviceId::from_bytes(random.random()))),
        commitment: commitment(&random.random(), body.as_bytes()),
    }
    .encode()
}
