//! `.tlog-proof` files.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use futures_util::FutureExt as _;
use keyline_station::audit::{
    AuditError, Checkpoint, CheckpointSigner, FileSigner, Frontier, Hash, HashTile, TlogProof,
    VerifierKey, inclusion_proof, leaf_hash,
};
use proptest::prelude::*;

const ORIGIN: &str = "factory.example/station-7";

/// A signed log of `size` leaves, whose bytes are their numbers.
struct Log {
    tile: HashTile,
    key: VerifierKey,
    note: String,
}

impl Log {
    fn of(size: u32) -> Self {
        let home = tempfile::tempdir().unwrap();
        let signer = FileSigner::generate(&home.path().join("audit.pem")).unwrap();
        let signer = CheckpointSigner::File(signer);
        let key = signer.verifier_key(ORIGIN).unwrap();
        let leaves: Vec<_> = (0..size).map(|n| leaf_hash(&n.to_be_bytes())).collect();
        let mut frontier = Frontier::default();
        for leaf in &leaves {
            frontier.append(*leaf);
        }
        let checkpoint = Checkpoint {
            origin: ORIGIN.to_owned(),
            size: size.into(),
            root: frontier.root(),
        };
        let note = checkpoint
            .sign(&key, &signer)
            .now_or_never()
            .unwrap()
            .unwrap()
            .to_string();
        let tile = HashTile::new(leaves).unwrap();
        Self { tile, key, note }
    }

    fn proof(&self, index: u64) -> TlogProof {
        let subtree = |height, n| Ok::<_, AuditError>(self.tile.subtree(height, n).unwrap());
        let size = self.tile.hashes().len() as u64;
        TlogProof {
            extra: None,
            index,
            path: inclusion_proof(subtree, index, size).unwrap(),
            note: self.note.clone(),
        }
    }

    fn check(&self, note: &str) -> Result<Checkpoint, AuditError> {
        Checkpoint::verify(note, &self.key)
    }
}

#[test]
fn every_leaf_of_small_logs_proves_itself_and_nothing_else() {
    for size in 1..=20_u32 {
        let log = Log::of(size);
        for index in 0..size {
            let text = log.proof(index.into()).to_string();
            let proof: TlogProof = text.parse().unwrap();
            assert_eq!(proof.to_string(), text);
            let entry = index.to_be_bytes();
            let checkpoint = proof.verify(&entry, |note| log.check(note)).unwrap();
            assert_eq!(checkpoint.size, u64::from(size));
            let other = (index + 1).to_be_bytes();
            assert!(proof.verify(&other, |note| log.check(note)).is_err());
            let stranger = Log::of(1);
            assert!(proof.verify(&entry, |note| stranger.check(note)).is_err());
        }
    }
}

#[test]
fn no_flipped_bit_of_a_proof_is_accepted() {
    let log = Log::of(5);
    let text = log.proof(3).to_string();
    for position in 0..text.len() {
        for bit in 0..8 {
            let mut bytes = text.clone().into_bytes();
            bytes[position] ^= 1 << bit;
            let Ok(changed) = String::from_utf8(bytes) else {
                continue;
            };
            let verified = changed
                .parse::<TlogProof>()
                .and_then(|proof| proof.verify(&3_u32.to_be_bytes(), |note| log.check(note)));
            assert!(verified.is_err(), "bit {bit} of byte {position}: {changed}");
        }
    }
}

#[test]
fn what_is_no_proof_is_refused() {
    let log = Log::of(3);
    let good = log.proof(1).to_string();
    let note = &log.note;
    let hash = BASE64.encode([1; 32]);
    let with_hashes = |count| {
        let hashes = format!("{hash}\n").repeat(count);
        format!("c2sp.org/tlog-proof@v1\nindex 1\n{hashes}\n{note}")
    };
    assert!(with_hashes(64).parse::<TlogProof>().is_ok());
    let huge = BASE64.encode(vec![0; 65_537]);
    for bad in [
        String::new(),
        note.clone(),
        good.replace("@v1", "@v2"),
        good.replace("index 1", "index 01"),
        good.replace("index 1", "index +1"),
        good.replace("index 1", "index -1"),
        good.replace("index 1", "index 18446744073709551616"),
        good.replace("index 1\n", ""),
        good.replace("index 1", "extra \nindex 1"),
        good.replace("index 1", "extra !\nindex 1"),
        good.replace("index 1", "index 1\nextra AAAA"),
        good.replace("index 1", &format!("extra {huge}\nindex 1")),
        good.replace('\n', "\r\n"),
        good.trim_end().to_owned(),
        format!("{good}\n"),
        format!("\n{good}"),
        with_hashes(65),
        format!("c2sp.org/tlog-proof@v1\nindex 1\n{hash}=\n\n{note}"),
        format!("c2sp.org/tlog-proof@v1\nindex 1\nAAAA\n\n{note}"),
        format!("c2sp.org/tlog-proof@v1\nindex 1\n\n\n{note}"),
        "c2sp.org/tlog-proof@v1\nindex 1\n\nno checkpoint\n".to_owned(),
    ] {
        let shown: String = bad.chars().take(120).collect();
        assert!(bad.parse::<TlogProof>().is_err(), "{shown:?}");
    }
}

fn hashes() -> impl Strategy<Value = Vec<Hash>> {
    prop::collection::vec(any::<[u8; 32]>(), 0..=64)
}

proptest! {
    #[test]
    fn any_proof_reads_back(
        extra in prop::option::of(prop::collection::vec(any::<u8>(), 1..300)),
        index in any::<u64>(),
        path in hashes(),
    ) {
        let proof = TlogProof { extra, index, path, note: Log::of(1).note };
        let text = proof.to_string();
        prop_assert_eq!(text.parse::<TlogProof>().unwrap(), proof);
    }

    #[test]
    fn text_that_reads_is_written_the_same(text in any::<String>(), cut in 0..400_usize, insert in "[\\PC\n]{0,8}") {
        let _ = text.parse::<TlogProof>();
        let mut changed = Log::of(3).proof(2).to_string();
        let place = (0..=cut.min(changed.len())).rev().find(|at| changed.is_char_boundary(*at)).unwrap();
        changed.insert_str(place, &insert);
        if let Ok(proof) = changed.parse::<TlogProof>() {
            prop_assert_eq!(proof.to_string(), changed);
        }
    }
}
