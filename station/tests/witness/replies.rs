//! Every reply code of C2SP `tlog-witness`, and every MUST that leads to one.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use keyline_station::audit::{Checkpoint, SignedNote, VerifierKey};

use keyline_station::witness::AddCheckpoint;
use proptest::prelude::*;

use crate::log::{Log, LogKey};
use crate::process::{Store, body, origin_path, step};

const ORIGIN: &str = "log.example/1";

#[test]
fn a_log_that_grows_is_cosigned_and_monitors_see_it() {
    let log = Log::new(ORIGIN, 40);
    let store = Store::new(&[&log.key.key]);
    let witness = store.serve();
    assert_eq!(witness.key, store.key());
    assert_eq!(witness.latest(&log), None);
    let mut old = 0;
    for new in [0, 0, 1, 2, 2, 3, 7, 8, 9, 16, 31, 33, 40, 40] {
        let cosignature = witness.good(&log, old, new);
        assert_eq!(witness.latest(&log), Some(log.checkpoint(new)));
        // Monitors get that very cosignature and the log's own signature.
        let shown = witness.request("GET", &origin_path(ORIGIN)).body;
        let note = SignedNote::parse(&shown).unwrap();
        assert_eq!(note.signatures.len(), 2);
        assert!(note.signatures.contains(&cosignature.line));
        old = new;
    }
    let shown = store.run("show", &[]);
    let shown = &shown.witness()["logs"][0];
    assert_eq!(shown["size"], 40);
    assert_eq!(shown["root"], hex::encode(log.root(40)));
    assert_eq!(shown["origin"], ORIGIN);
}

#[test]
fn a_body_that_is_not_in_the_format_is_a_bad_request() {
    let log = Log::new(ORIGIN, 9);
    let witness = Store::new(&[&log.key.key]).serve_and_keep();
    let good = step(&log, 4, 9);
    let note = log.note(9);
    let hash = BASE64.encode([7; 32]);
    let short = BASE64.encode([7; 31]);
    for bad in [
        String::new(),
        "old 0".to_owned(),
        "old 0\n".to_owned(),
        "old 0\n\n".to_owned(),
        format!("old 0\n{note}"),
        format!("\nold 0\n\n{note}"),
        format!("\n\n{note}"),
        format!("old 0\r\n\r\n{note}"),
        format!("old  0\n\n{note}"),
        format!("old 0 \n\n{note}"),
        format!(" old 0\n\n{note}"),
        format!("Old 0\n\n{note}"),
        format!("old\n\n{note}"),
        format!("old 00\n\n{note}"),
        format!("old 04\n\n{note}"),
        format!("old +4\n\n{note}"),
        format!("old -1\n\n{note}"),
        format!("old 0x4\n\n{note}"),
        format!("old 18446744073709551616\n\n{note}"),
        format!("old 4\n{short}\n\n{note}"),
        format!("old 4\n{hash}AAAA\n\n{note}"),
        format!("old 4\n {hash}\n\n{note}"),
        format!("old 4\n{}\n\n{note}", hash.trim_end_matches('=')),
        format!("old 4\n{}\n\n{note}", hash.replace('=', "-")),
        format!("old 4\n{hash} {hash}\n\n{note}"),
        format!("old 0\n\n\n{note}"),
        good.trim_end().to_owned(),
        good.replace('\u{2014}', "-"),
        good.replace(&format!("\n{ORIGIN}\n9\n"), &format!("\n{ORIGIN}\n09\n")),
        good.replace(&format!("\n{ORIGIN}\n9\n"), &format!("\n{ORIGIN}\n\n9\n")),
        body(
            0,
            &[],
            &log.key.sign_text(&format!("{ORIGIN}\n9\n")).to_string(),
        ),
        body(
            0,
            &[],
            &log.key
                .sign_text(&format!("{ORIGIN}\n9\nAAAA\n"))
                .to_string(),
        ),
    ] {
        assert_ne!(bad, good);
        let words = witness.refused(&bad, 400);
        assert!(words.starts_with("expected "), "{words}");
    }
    // No UTF-8 at all.
    let request = b"POST /add-checkpoint HTTP/1.1\r\nhost: w\r\nconnection: close\r\ncontent-length: 4\r\n\r\n\xff\xfe\n\n";
    let reply = crate::process::exchange(&witness.address, request).unwrap();
    assert_eq!(reply.status, 400, "{reply:?}");
    // The old size is larger than the checkpoint's.
    let words = witness.refused(&body(10, &[], &note), 400);
    assert!(words.contains("at most") && words.contains("10"), "{words}");
    assert_eq!(witness.latest(&log), None);
}

#[test]
fn proof_lines_are_counted() {
    let log = Log::new(ORIGIN, 9);
    let witness = Store::new(&[&log.key.key]).serve_and_keep();
    witness.good(&log, 0, 4);
    let note = log.note(9);
    // Sixty-three are read, and don't verify; one more is not read.
    witness.refused(&body(4, &[[7; 32]; 63], &note), 422);
    let words = witness.refused(&body(4, &[[7; 32]; 64], &note), 400);
    assert!(words.contains("63"), "{words}");
    witness.good(&log, 4, 9);
}

#[test]
fn an_unknown_log_is_not_found() {
    let log = Log::new(ORIGIN, 3);
    let other = Log::new("log.example/2", 3);
    let witness = Store::new(&[&log.key.key]).serve_and_keep();
    let words = witness.refused(&step(&other, 0, 3), 404);
    assert!(words.contains("log.example/2"), "{words}");
    // Even where the signature is by a key that is trusted for another log.
    let mut foreign = log.checkpoint(3);
    foreign.origin = "log.example/2".to_owned();
    witness.refused(&body(0, &[], &log.key.sign(&foreign).to_string()), 404);
    // And the known log is not another one's.
    foreign.origin = ORIGIN.to_owned();
    witness.refused(&body(0, &[], &other.key.sign(&foreign).to_string()), 403);
}

#[test]
fn strangers_are_ignored_and_a_broken_trusted_signature_is_forbidden() {
    let log = Log::new(ORIGIN, 9);
    let witness = Store::new(&[&log.key.key]).serve_and_keep();
    let (stranger, named) = (LogKey::new("stranger.example"), LogKey::new(ORIGIN));
    let checkpoint = log.checkpoint(9);
    let own = log.key.sign(&checkpoint);
    let by_stranger = |key: &LogKey| key.sign(&checkpoint).signatures[0].clone();
    let mut with = own.clone();
    // Only a stranger; one with the log's name; one with the log's key id and another name; nobody else.
    let mut id_only = own.signatures[0].clone();
    id_only.name = "stranger.example".to_owned();
    for line in [by_stranger(&stranger), by_stranger(&named), id_only.clone()] {
        with.signatures = vec![line];
        witness.refused(&body(0, &[], &with.to_string()), 403);
    }
    let mut broken = own.signatures[0].clone();
    broken.signature[5] ^= 1;
    let mut short = own.signatures[0].clone();
    short.signature.truncate(63);
    for line in [broken.clone(), short] {
        for lines in [
            vec![line.clone()],
            vec![line.clone(), own.signatures[0].clone()],
            vec![own.signatures[0].clone(), line],
        ] {
            with.signatures = lines;
            let words = witness.refused(&body(0, &[], &with.to_string()), 403);
            assert!(words.contains("does not verify"), "{words}");
        }
    }
    assert_eq!(witness.latest(&log), None);
    // Strangers beside the log's own signature don't matter, broken or not, and are not kept.
    let mut noise = by_stranger(&stranger);
    noise.signature[5] ^= 1;
    with.signatures = vec![
        noise,
        by_stranger(&named),
        id_only,
        own.signatures[0].clone(),
    ];
    let reply = witness.post(&body(0, &[], &with.to_string()));
    witness.cosignature(&checkpoint.text(), &reply);
    let shown = witness.request("GET", &origin_path(ORIGIN)).body;
    assert_eq!(SignedNote::parse(&shown).unwrap().signatures.len(), 2);
}

#[test]
fn any_trusted_key_signs_for_a_log_during_a_roll_over() {
    let log = Log::new(ORIGIN, 9);
    let new_key = LogKey::new(ORIGIN);
    let store = Store::new(&[&log.key.key, &new_key.key]);
    let witness = store.serve();
    witness.good(&log, 0, 3);
    // The hand-over carries both signatures; from then on either will do.
    let mut handed_over = log.key.sign(&log.checkpoint(5));
    handed_over
        .signatures
        .extend(new_key.sign(&log.checkpoint(5)).signatures);
    let reply = witness.post(&body(3, &log.proof(3, 5), &handed_over.to_string()));
    witness.cosignature(&log.checkpoint(5).text(), &reply);
    let mut both = log.key.sign(&log.checkpoint(9));
    both.signatures
        .extend(new_key.sign(&log.checkpoint(9)).signatures);
    let mut broken = both.clone();
    broken.signatures[1].signature[0] ^= 1;
    witness.refused(&body(5, &log.proof(5, 9), &broken.to_string()), 403);
    let reply = witness.post(&body(5, &log.proof(5, 9), &both.to_string()));
    witness.cosignature(&log.checkpoint(9).text(), &reply);
    // Monitors may know either key.
    let shown = witness.request("GET", &origin_path(ORIGIN)).body;
    for key in [&log.key.key, &new_key.key] {
        assert_eq!(Checkpoint::verify(&shown, key).unwrap(), log.checkpoint(9));
    }
    let keys = store.run("show", &[]).witness()["logs"][0]["keys"].clone();
    assert_eq!(keys.as_array().unwrap().len(), 2);
}

#[test]
fn another_old_size_is_a_conflict_that_names_the_right_one() {
    let log = Log::new(ORIGIN, 20);
    let witness = Store::new(&[&log.key.key]).serve_and_keep();
    for (old, new) in [(1, 1), (3, 9)] {
        assert_eq!(witness.post(&step(&log, old, new)).conflict(), 0);
    }
    witness.good(&log, 0, 7);
    for (old, new) in [(0, 9), (0, 0), (0, 7), (6, 7), (6, 20), (8, 20), (20, 20)] {
        assert_eq!(witness.post(&step(&log, old, new)).conflict(), 7);
    }
    // A conflict comes before the proof is looked at.
    let garbage = body(5, &[[1; 32]; 63], &log.note(20));
    assert_eq!(witness.post(&garbage).conflict(), 7);
    assert_eq!(witness.latest(&log), Some(log.checkpoint(7)));
    witness.good(&log, 7, 20);
}

#[test]
fn a_tree_that_does_not_follow_is_unprocessable() {
    let log = Log::new(ORIGIN, 20);
    let witness = Store::new(&[&log.key.key]).serve_and_keep();
    // At size zero there is one root.
    let mut zero = log.checkpoint(0);
    zero.root = log.root(1);
    witness.refused(&body(0, &[], &log.key.sign(&zero).to_string()), 422);
    // From size zero there is no proof.
    witness.refused(&body(0, &[[1; 32]], &log.note(0)), 422);
    witness.refused(&body(0, &[[1; 32]], &log.note(5)), 422);
    assert_eq!(witness.latest(&log), None);
    witness.good(&log, 0, 6);
    let proof = log.proof(6, 20);
    let note = log.note(20);
    let mut longer = proof.clone();
    longer.push([0; 32]);
    let mut swapped = proof.clone();
    swapped.swap(0, 1);
    for bad in [
        &[][..],
        &proof[1..],
        &proof[..proof.len() - 1],
        &longer,
        &swapped,
        &log.proof(5, 20),
        &log.proof(6, 19),
    ] {
        witness.refused(&body(6, bad, &note), 422);
    }
    for position in 0..proof.len() {
        let mut bad = proof.clone();
        bad[position][31] ^= 1;
        witness.refused(&body(6, &bad, &note), 422);
    }
    let mut other_root = log.checkpoint(20);
    other_root.root[0] ^= 1;
    let other_root = log.key.sign(&other_root).to_string();
    witness.refused(&body(6, &proof, &other_root), 422);
    // At one size there is one root and no proof.
    witness.refused(&body(6, &proof, &log.note(6)), 422);
    let mut same = log.checkpoint(6);
    same.root = log.root(7);
    witness.refused(&body(6, &[], &log.key.sign(&same).to_string()), 422);
    assert_eq!(witness.latest(&log), Some(log.checkpoint(6)));
    witness.good(&log, 6, 20);
}

#[test]
fn extension_lines_are_cosigned_with_the_rest() {
    let log = Log::new(ORIGIN, 9);
    let witness = Store::new(&[&log.key.key]).serve_and_keep();
    let text = log.checkpoint(9).text() + "an extension\nand \u{fc}nother\n";
    let note = log.key.sign_text(&text).to_string();
    let reply = witness.post(&body(0, &[], &note));
    assert_eq!(reply.status, 200, "{reply:?}");
    witness.cosignature(&text, &reply);
    assert_eq!(witness.latest(&log), Some(log.checkpoint(9)));
    let empty_line = log.checkpoint(9).text() + "\nx\n";
    let note = log.key.sign_text(&empty_line).to_string();
    witness.refused(&body(9, &[], &note), 400);
}

#[test]
fn http_has_its_own_refusals() {
    let log = Log::new(ORIGIN, 9);
    let witness = Store::new(&[&log.key.key]).serve_and_keep();
    let path = origin_path(ORIGIN);
    let hash = path[1..65].to_owned();
    for (method, path, status) in [
        ("GET", "/add-checkpoint", 405),
        ("PUT", "/add-checkpoint", 405),
        ("POST", path.as_str(), 405),
        ("DELETE", path.as_str(), 405),
        ("GET", path.as_str(), 404),
        ("GET", "/", 404),
        ("POST", "/", 404),
        ("POST", "/add-checkpoint/", 404),
        ("GET", "/sign-subtree", 404),
    ] {
        let reply = witness.request(method, path);
        assert_eq!(reply.status, status, "{method} {path}: {reply:?}");
        assert_eq!(reply.header("allow").is_some(), status == 405);
    }
    witness.good(&log, 0, 9);
    assert_eq!(witness.request("GET", &path).status, 200);
    assert_eq!(witness.request("HEAD", &path).status, 200);
    for bad in [
        format!("/{}/checkpoint", hash.to_uppercase()),
        format!("/{hash}0/checkpoint"),
        format!("/{}/checkpoint", &hash[1..]),
        format!("/{hash}"),
        "/../config.toml/checkpoint".to_owned(),
        "/..%2f..%2fconfig.toml/checkpoint".to_owned(),
    ] {
        let reply = witness.request("GET", &bad);
        assert_eq!(reply.status, 404, "{bad}: {reply:?}");
    }
}

#[test]
fn a_log_key_is_no_witness_key() {
    let log = Log::new(ORIGIN, 1);
    let witness = Store::new(&[&log.key.key]).serve_and_keep();
    let line = witness.good(&log, 0, 1).line;
    // The cosignature is no signature by a log of the witness's name.
    let as_log = VerifierKey::new(witness.key.name(), &witness.key.public_key()).unwrap();
    let mut note = log.key.sign(&log.checkpoint(1));
    note.signatures.push(line);
    assert!(note.verify(&as_log).is_err());
}

proptest! {
    /// What the client writes the witness reads, whatever it is.
    #[test]
    fn a_request_is_read_as_it_was_written(
        old_size: u64, proof in prop::collection::vec(prop::array::uniform32(0_u8..), 0..64), note in "[^\0]{0,40}",
    ) {
        let written = AddCheckpoint { old_size, proof, note };
        prop_assert_eq!(AddCheckpoint::parse(written.to_string().as_bytes()).unwrap(), written);
    }

    /// No bytes make the reader panic, and what it accepts is what the client would write.
    #[test]
    fn any_bytes_are_refused_or_come_back(text in "(old [0-9]{0,3})?[\n a-zA-Z0-9+/=]{0,60}(\n\n)?[a-z\n]{0,9}") {
        if let Ok(request) = AddCheckpoint::parse(text.as_bytes()) {
            prop_assert_eq!(request.to_string(), text);
        }
    }
}
