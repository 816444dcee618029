//! What a log signed and should not have is refused and kept, so that anybody can check it.

use std::path::Path;

use keyline_station::audit::{Checkpoint, SignedNote};

use crate::log::Log;
use crate::process::{Store, body, step};

const ORIGIN: &str = "log.example/1";

fn read(path: &Path) -> toml::Table {
    std::fs::read_to_string(path).unwrap().parse().unwrap()
}

#[test]
fn two_roots_at_one_size_are_a_proof_that_is_kept() {
    let log = Log::new(ORIGIN, 20);
    let fork = log.fork();
    let store = Store::new(&[&log.key.key]);
    let witness = store.serve();
    witness.good(&log, 0, 12);
    witness.refused(&body(12, &[], &fork.note(12)), 422);
    let kept = store.evidence();
    assert_eq!(kept.len(), 1, "{kept:?}");
    let evidence = read(&kept[0]);
    assert_eq!(evidence["suspicion"].as_str(), Some("fork"));
    let note = |field: &str| evidence[field].as_str().unwrap().to_owned();
    let [held, refused] = ["cosigned", "refused"].map(note);
    let [held, refused] =
        [held, refused].map(|note| Checkpoint::verify(&note, &log.key.key).unwrap());
    assert_eq!((held.size, refused.size), (12, 12));
    assert_eq!((held.root, refused.root), (log.root(12), fork.root(12)));
    // The witness's own word stands beside the log's.
    let cosigned = SignedNote::parse(&note("cosigned")).unwrap();
    witness.key.verify(&cosigned).unwrap();
    // Again, with another old size and strangers' lines: the same proof, kept once.
    let mut noisy = SignedNote::parse(&fork.note(12)).unwrap();
    let mut line = noisy.signatures[0].clone();
    line.name = "stranger.example".to_owned();
    noisy.signatures.insert(0, line);
    let reply = witness.post(&body(3, &[], &noisy.to_string()));
    assert_eq!(reply.conflict(), 12);
    assert_eq!(store.evidence(), kept);
    // A request from a wrong old size shows a fork as well.
    witness.good(&log, 12, 13);
    let reply = witness.post(&step(&fork, 0, 13));
    assert_eq!(reply.conflict(), 13);
    assert_eq!(store.evidence().len(), 2);
    assert_eq!(store.run("show", &[]).witness()["evidence"], 2);
    // It is still there after a restart, and not written again.
    witness.kill();
    let witness = store.serve();
    witness.refused(&body(13, &[], &fork.note(13)), 422);
    assert_eq!(store.evidence().len(), 2);
    assert_eq!(witness.latest(&log), Some(log.checkpoint(13)));
}

#[test]
fn inconsistent_and_smaller_trees_are_kept_apart_and_innocent_requests_are_not() {
    let log = Log::new(ORIGIN, 20);
    let fork = log.fork();
    let stranger = Log::new(ORIGIN, 20);
    let store = Store::new(&[&log.key.key]);
    let witness = store.serve();
    witness.good(&log, 0, 12);
    // Not the log's word, or nothing wrong with the tree.
    witness.refused(&body(12, &[], &stranger.note(12)), 403);
    witness.refused(&body(20, &[], &log.note(12)), 400);
    assert_eq!(witness.post(&step(&log, 3, 20)).conflict(), 12);
    assert_eq!(witness.post(&step(&log, 3, 12)).conflict(), 12);
    assert_eq!(store.evidence().len(), 0);
    let kinds = || -> Vec<String> {
        let kinds = store.evidence();
        let kinds = kinds.iter().map(|path| read(path)["suspicion"].to_string());
        kinds.collect()
    };
    witness.refused(&body(12, &fork.proof(12, 20), &fork.note(20)), 422);
    assert_eq!(kinds(), ["\"inconsistent\""]);
    assert_eq!(witness.post(&step(&fork, 0, 7)).conflict(), 12);
    assert_eq!(kinds(), ["\"inconsistent\"", "\"smaller\""]);
    let mut zero = log.checkpoint(0);
    zero.root = [1; 32];
    let zero = log.key.sign(&zero).to_string();
    assert_eq!(witness.post(&body(0, &[], &zero)).conflict(), 12);
    assert_eq!(kinds(), ["\"fork\"", "\"inconsistent\"", "\"smaller\""]);
    witness.good(&log, 12, 20);
}

#[test]
fn what_anybody_can_provoke_is_bounded_and_leaves_room_for_proofs() {
    let log = Log::new(ORIGIN, 300);
    let fork = log.fork();
    let store = Store::new(&[&log.key.key]);
    let witness = store.serve();
    witness.good(&log, 0, 150);
    for size in 0..150 {
        assert_eq!(witness.post(&step(&log, 0, size)).conflict(), 150);
        let (new, empty) = (151 + size, &[][..]);
        witness.refused(&body(150, empty, &log.note(new)), 422);
        witness.refused(&body(150, &fork.proof(150, new), &log.note(new)), 422);
    }
    // A hundred of each, and the last one of each in a place of its own.
    assert_eq!(store.evidence().len(), 202);
    let last = || {
        let mut paths = store.evidence().into_iter();
        let path = paths.find(|path| {
            path.display()
                .to_string()
                .ends_with("inconsistent-last-note.toml")
        });
        read(&path.unwrap())["refused"].as_str().unwrap().to_owned()
    };
    assert_eq!(Checkpoint::verify(&last(), &log.key.key).unwrap().size, 300);
    assert_eq!(store.run("show", &[]).witness()["evidence"], 200);
    // Over a restart too.
    witness.kill();
    let witness = store.serve();
    // What comes after the flood is what matters, and is kept.
    witness.refused(&body(150, &fork.proof(150, 299), &fork.note(299)), 422);
    let kept = Checkpoint::verify(&last(), &log.key.key).unwrap();
    assert_eq!((kept.size, kept.root), (299, fork.root(299)));
    assert_eq!(store.evidence().len(), 202);
    witness.refused(&body(150, &[], &fork.note(150)), 422);
    assert_eq!(store.evidence().len(), 203);
}

/// That the evidence can't be kept changes no answer.
#[test]
fn a_refusal_stands_without_its_evidence() {
    let log = Log::new(ORIGIN, 20);
    let fork = log.fork();
    let store = Store::new(&[&log.key.key]);
    let witness = store.serve();
    witness.good(&log, 0, 12);
    std::fs::remove_dir_all(store.path().join("evidence")).unwrap();
    witness.refused(&body(12, &[], &fork.note(12)), 422);
    witness.good(&log, 12, 20);
}
