//! The audit log's core against implementations that nobody here wrote, and against bytes that were changed.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

use keyline_station::audit::{
    AuditError, Checkpoint, CheckpointSigner, FileSigner, Frontier, Hash, SignedNote, VerifierKey,
    consistency_length, consistency_proof, inclusion_proof, leaf_hash, node_hash,
    verify_consistency, verify_inclusion,
};
use signed_note::{Note, StandardVerifier, VerifierList};
use tlog_tiles::{
    Hash as ForeignHash, check_record, check_tree, prove_record, prove_tree, record_hash,
    stored_hashes, tree_hash,
};

/// The sizes of the logs that are compared leaf by leaf.
const SIZE_MAX: u64 = 300;

/// A log in memory, the plain way: every level of complete subtrees.
struct Log {
    levels: Vec<Vec<Hash>>,
    frontier: Frontier,
}

impl Log {
    fn of(size: u64) -> Self {
        let mut frontier = Frontier::default();
        let leaves: Vec<Hash> = (0..size).map(|n| leaf_hash(&n.to_be_bytes())).collect();
        for leaf in &leaves {
            frontier.append(*leaf);
        }
        let mut levels = vec![leaves];
        while let Some(below) = levels.last().filter(|level| level.len() > 1) {
            let pairs = below.as_chunks::<2>().0;
            levels.push(pairs.iter().map(|[l, r]| node_hash(l, r)).collect());
        }
        Self { levels, frontier }
    }

    #[allow(clippy::unnecessary_wraps, reason = "what the proofs ask for may fail")]
    fn subtree(&self, level: u32, index: u64) -> Result<Hash, AuditError> {
        Ok(self.levels[level as usize][usize::try_from(index).unwrap()])
    }
}

/// The same log by `tlog_tiles`, a port of Go's `x/mod/sumdb/tlog`.
fn foreign(size: u64) -> Vec<ForeignHash> {
    let mut stored: Vec<ForeignHash> = Vec::new();
    for n in 0..size {
        let reader = Stored(stored.clone());
        stored.extend(stored_hashes(n, &n.to_be_bytes(), &reader).unwrap());
    }
    stored
}

struct Stored(Vec<ForeignHash>);

impl tlog_tiles::HashReader for Stored {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<ForeignHash>, tlog_tiles::Error> {
        let found = indexes
            .iter()
            .map(|index| self.0[usize::try_from(*index).unwrap()]);
        Ok(found.collect())
    }
}

#[test]
fn roots_and_proofs_are_those_of_a_foreign_implementation() {
    let reader = Stored(foreign(SIZE_MAX));
    for size in 1..=SIZE_MAX {
        let log = Log::of(size);
        let root = log.frontier.root();
        let foreign_root = tree_hash(size, &reader).unwrap();
        assert_eq!(foreign_root.0, root, "{size}");
        for index in 0..size {
            let path = inclusion_proof(|l, n| log.subtree(l, n), index, size).unwrap();
            let theirs = prove_record(size, index, &reader).unwrap();
            let path_bytes: Vec<_> = theirs.iter().map(|hash| hash.0).collect();
            assert_eq!(path, path_bytes, "leaf {index} of {size}");
            let leaf = leaf_hash(&index.to_be_bytes());
            verify_inclusion(&leaf, index, size, &root, &path).unwrap();
            let leaf = record_hash(&index.to_be_bytes());
            check_record(&theirs, size, foreign_root, index, leaf).unwrap();
        }
        for old in 1..=size {
            let proof = consistency_proof(|l, n| log.subtree(l, n), old, size).unwrap();
            let theirs = prove_tree(size, old, &reader).unwrap();
            let proof_bytes: Vec<_> = theirs.iter().map(|hash| hash.0).collect();
            assert_eq!(proof, proof_bytes, "{old} to {size}");
            let old_root = tree_hash(old, &reader).unwrap();
            verify_consistency(old, &old_root.0, size, &root, &proof).unwrap();
            assert_eq!(
                consistency_length(old, size),
                proof.len(),
                "{old} to {size}"
            );
            check_tree(&theirs, size, foreign_root, old, old_root).unwrap();
        }
    }
}

#[test]
fn no_changed_proof_is_accepted() {
    for size in 1..=40_u64 {
        let log = Log::of(size);
        let root = log.frontier.root();
        for index in 0..size {
            let leaf = leaf_hash(&index.to_be_bytes());
            let path = inclusion_proof(|l, n| log.subtree(l, n), index, size).unwrap();
            let accepted = |index, size, path: &[Hash]| {
                verify_inclusion(&leaf, index, size, &root, path).is_ok()
            };
            assert!(!accepted(index, size, &[&path[..], &[[0; 32]]].concat()));
            assert!(!accepted(size, size, &path));
            for other in (0..size).filter(|other| *other != index) {
                assert!(
                    !accepted(other, size, &path),
                    "{index} as {other} of {size}"
                );
            }
            for n in 0..path.len() {
                let mut changed = path.clone();
                changed[n][usize::try_from(index).unwrap() % 32] ^= 1;
                assert!(!accepted(index, size, &changed));
                assert!(!accepted(index, size, &path[..n]));
            }
        }
        for old in 0..size {
            let old_root = Log::of(old).frontier.root();
            let proof = consistency_proof(|l, n| log.subtree(l, n), old, size).unwrap();
            let accepted = |old_root: &Hash, proof: &[Hash]| {
                verify_consistency(old, old_root, size, &root, proof).is_ok()
            };
            assert!(accepted(&old_root, &proof));
            assert!(!accepted(&[0; 32], &proof));
            assert!(!accepted(&root, &proof), "{old} to {size}");
            assert!(!accepted(&old_root, &[&proof[..], &[[0; 32]]].concat()));
            for n in 0..proof.len() {
                let mut changed = proof.clone();
                changed[n][0] ^= 0x80;
                assert!(!accepted(&old_root, &changed), "{old} to {size}");
                assert!(!accepted(&old_root, &proof[..n]));
            }
        }
    }
}

fn signer() -> (tempfile::TempDir, CheckpointSigner) {
    let home = tempfile::tempdir().unwrap();
    let signer = FileSigner::generate(&home.path().join("audit.pem")).unwrap();
    (home, CheckpointSigner::File(signer))
}

async fn signed(signer: &CheckpointSigner) -> (VerifierKey, String) {
    let key = signer.verifier_key("factory.example/station-7").unwrap();
    let checkpoint = Checkpoint {
        origin: key.name().to_owned(),
        size: 70,
        root: Log::of(70).frontier.root(),
    };
    let note = checkpoint.sign(&key, signer).await.unwrap().to_string();
    assert_eq!(Checkpoint::verify(&note, &key).unwrap(), checkpoint);
    (key, note)
}

#[tokio::test]
async fn a_foreign_verifier_accepts_a_checkpoint() {
    let (_home, signer) = signer();
    let (key, note) = signed(&signer).await;
    let verifier = StandardVerifier::new(&key.to_string()).unwrap();
    let foreign = Note::from_bytes(note.as_bytes()).unwrap();
    let (accepted, unknown) = foreign
        .verify(&VerifierList::new(vec![Box::new(verifier)]))
        .unwrap();
    assert_eq!((accepted.len(), unknown.len()), (1, 0));
    let checkpoint = tlog_tiles::Checkpoint::from_bytes(foreign.text()).unwrap();
    assert_eq!(checkpoint.origin(), "factory.example/station-7");
    assert_eq!(checkpoint.size(), 70);
    assert_eq!(checkpoint.hash().0, Log::of(70).frontier.root());
    assert_eq!(VerifierKey::parse(&key.to_string()).unwrap(), key);
}

#[tokio::test]
async fn every_flipped_bit_of_a_checkpoint_is_found() {
    let (_home, signer) = signer();
    let (key, note) = signed(&signer).await;
    for position in 0..note.len() {
        for bit in 0..8 {
            let mut bytes = note.clone().into_bytes();
            bytes[position] ^= 1 << bit;
            let Ok(text) = String::from_utf8(bytes) else {
                continue;
            };
            assert!(
                Checkpoint::verify(&text, &key).is_err(),
                "bit {bit} of byte {position}: {text}"
            );
        }
    }
}

#[tokio::test]
async fn a_checkpoint_of_another_key_or_log_is_refused() {
    let (_home, first) = signer();
    let (_other_home, second) = signer();
    let (key, note) = signed(&first).await;
    let (other_key, _) = signed(&second).await;
    assert!(matches!(
        Checkpoint::verify(&note, &other_key),
        Err(AuditError::NotSigned { .. })
    ));
    let foreign_origin = Checkpoint {
        origin: "factory.example/station-8".to_owned(),
        size: 1,
        root: [0; 32],
    };
    let note = foreign_origin.sign(&key, &first).await.unwrap().to_string();
    assert!(Checkpoint::verify(&note, &key).is_err());
    for bad in ["", "with space", "with+plus", "new\nline"] {
        assert!(first.verifier_key(bad).is_err(), "{bad:?}");
    }
    for bad in [
        "",
        "\n\n",
        "text\n",
        "a\n01\nAAAA\n",
        "text\n\n\u{2014} name !!!\n",
    ] {
        assert!(SignedNote::parse(bad).is_err(), "{bad:?}");
    }
    for bad in ["a\n01\n", "a\n1\n!\n", "a\n-1\nAAAA\n", "\n1\nAAAA\n"] {
        assert!(Checkpoint::parse(bad).is_err(), "{bad:?}");
    }
}

#[test]
fn the_key_file_is_made_once_and_kept_from_others() {
    use std::os::unix::fs::PermissionsExt as _;
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("audit.pem");
    let made = CheckpointSigner::File(FileSigner::generate(&path).unwrap());
    let opened = CheckpointSigner::File(FileSigner::open(&path).unwrap());
    assert_eq!(made.public_key(), opened.public_key());
    let permissions = std::fs::metadata(&path).unwrap().permissions();
    assert_eq!(permissions.mode() & 0o777, 0o600);
    assert!(matches!(
        FileSigner::generate(&path),
        Err(AuditError::KeyFile { .. })
    ));
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    assert!(matches!(
        FileSigner::open(&path),
        Err(AuditError::KeyFileOpenToOthers { mode: 0o640, .. })
    ));
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::write(&path, "no key").unwrap();
    assert!(matches!(
        FileSigner::open(&path),
        Err(AuditError::KeyFormat { .. })
    ));
}
