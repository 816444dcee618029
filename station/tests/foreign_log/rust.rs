//! The verifiers that are crates: every decision is theirs.

use ct_merkle::{ConsistencyProof, InclusionProof, RootHash};
use sha2::Sha256;
use signed_note::{Note, StandardVerifier, VerifierList};
use tlog_tiles::{
    Checkpoint, Hash, HashReader, check_record, check_tree, record_hash, stored_hashes, tree_hash,
};

use crate::case::Case;
use crate::judge::Verdict;
use crate::log::Log;

/// The hashes of a tree as `tlog_tiles` stores them.
struct Stored<'a>(&'a [Hash]);

impl HashReader for Stored<'_> {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<Hash>, tlog_tiles::Error> {
        let at = |index: &u64| self.0.get(usize::try_from(*index).ok()?).copied();
        indexes
            .iter()
            .map(at)
            .collect::<Option<_>>()
            .ok_or(tlog_tiles::Error::IndexesNotInTree)
    }
}

/// Verifies a note and reads the checkpoint in it.
fn open(key: &str, note: &[u8]) -> Result<Checkpoint, String> {
    let verifier = StandardVerifier::new(key).unwrap();
    let note = Note::from_bytes(note).map_err(said)?;
    note.verify(&VerifierList::new(vec![Box::new(verifier)]))
        .map_err(said)?;
    Checkpoint::from_bytes(note.text()).map_err(said)
}

pub(crate) fn tlog_tiles(log: &Log, cases: impl Iterator<Item = Case>) -> Vec<Verdict> {
    let key = log.key.to_string();
    let mut stored = Vec::new();
    for (index, leaf) in log.leaves.iter().enumerate() {
        let hashes = stored_hashes(index as u64, leaf, &Stored(&stored)).unwrap();
        stored.extend(hashes);
    }
    let judged = |case| match case {
        Case::Checkpoint { note } => {
            let head = open(&key, &note)?;
            let root = tree_hash(head.size(), &Stored(&stored)).map_err(said)?;
            (root == *head.hash())
                .then_some(())
                .ok_or_else(|| "the leaves have another root".to_owned())
        }
        Case::Inclusion {
            note,
            leaf,
            index,
            path,
        } => {
            let head = open(&key, &note)?;
            let path = path.into_iter().map(Hash).collect();
            check_record(&path, head.size(), *head.hash(), index, record_hash(&leaf)).map_err(said)
        }
        Case::Consistency {
            old_note,
            note,
            path,
        } => {
            let (old, new) = (open(&key, &old_note)?, open(&key, &note)?);
            let path = path.into_iter().map(Hash).collect();
            check_tree(&path, new.size(), *new.hash(), old.size(), *old.hash()).map_err(said)
        }
    };
    cases.map(judged).collect()
}

pub(crate) fn ct_merkle(log: &Log, cases: impl Iterator<Item = Case>) -> Vec<Verdict> {
    let key = log.key.to_string();
    let root = |note: &[u8]| {
        let head = open(&key, note)?;
        Ok::<_, String>(RootHash::<Sha256>::new(head.hash().0.into(), head.size()))
    };
    let judged = |case| match case {
        Case::Checkpoint { .. } => panic!("ct-merkle knows no checkpoints"),
        Case::Inclusion {
            note,
            leaf,
            index,
            path,
        } => {
            let path = InclusionProof::try_from_bytes(path.concat()).map_err(said)?;
            root(&note)?
                .verify_inclusion(&leaf, index, &path)
                .map_err(said)
        }
        Case::Consistency {
            old_note,
            note,
            path,
        } => {
            let path = ConsistencyProof::try_from_bytes(path.concat()).map_err(said)?;
            root(&note)?
                .verify_consistency(&root(&old_note)?, &path)
                .map_err(said)
        }
    };
    cases.map(judged).collect()
}

#[allow(clippy::needless_pass_by_value, reason = "for map_err")]
fn said(error: impl ToString) -> String {
    error.to_string()
}
