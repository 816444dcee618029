//! `keyline witness` as a person and a script meet it.

use crate::log::{Log, LogKey, witness_key};
use crate::process::{NAME, Store, body, step};

#[test]
fn every_refusal_has_a_code_and_a_next_step() {
    let store = Store::bare();
    for command in ["show", "serve", "trust", "distrust"] {
        let key = Log::new("l", 0).key.key.to_string();
        let more: &[&str] = match command {
            "serve" => &["--listen", "127.0.0.1:0"],
            "trust" | "distrust" => &[&key],
            _ => &[],
        };
        let ran = store.run(command, more);
        assert_eq!((ran.code, ran.error_code()), (3, "witness-missing"));
    }
    let bad_name = store.run("init", &["--name", "a b"]);
    assert_eq!((bad_name.code, bad_name.error_code()), (2, "witness-key"));
    let made = store.run("init", &["--name", NAME]);
    assert_eq!(made.witness()["name"], NAME);
    let again = store.run("init", &["--name", NAME]);
    assert_eq!((again.code, again.error_code()), (3, "witness-exists"));
    for bad in ["no key", &witness_key("w").to_string()] {
        let ran = store.run("trust", &[bad]);
        assert_eq!((ran.code, ran.error_code()), (2, "log-key"), "{bad}");
    }
    for bad in ["127.0.0.1", "nowhere:80", "127.0.0.1:99999"] {
        let ran = store.run("serve", &["--listen", bad]);
        assert_eq!((ran.code, ran.error_code()), (2, "usage"), "{bad}");
    }
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let ran = store.run("serve", &["--listen", &address]);
    assert_eq!((ran.code, ran.error_code()), (3, "not-ready"));
}

#[test]
fn trust_is_shown_and_needs_no_station_home() {
    let store = Store::new(&[]);
    let (first, second) = (LogKey::new("log.example/b"), LogKey::new("log.example/b"));
    let other = LogKey::new("log.example/a");
    for key in [&first, &second, &other, &first] {
        let ran = store.run("trust", &[&key.key.to_string()]);
        assert_eq!(ran.code, 0, "{:?}", ran.lines);
    }
    let shown = store.run("show", &["--home", "/nonexistent"]);
    let logs = shown.witness()["logs"].as_array().unwrap();
    let origins: Vec<_> = logs
        .iter()
        .map(|log| log["origin"].as_str().unwrap())
        .collect();
    assert_eq!(origins, ["log.example/a", "log.example/b"]);
    let keys = [first.key.to_string(), second.key.to_string()];
    assert_eq!(logs[1]["keys"], serde_json::json!(keys));
    assert_eq!(
        (&logs[1]["size"], &logs[1]["root"]),
        (&0.into(), &serde_json::Value::Null)
    );
}

/// Signs the log's checkpoint of `size` leaves with each of these keys.
fn signed_by(log: &Log, keys: &[&LogKey], size: u64) -> String {
    let mut notes = keys.iter().map(|key| key.sign(&log.checkpoint(size)));
    let mut note = notes.next().unwrap();
    note.signatures
        .extend(notes.flat_map(|other| other.signatures));
    note.to_string()
}

#[test]
fn a_retired_key_moves_nothing_as_soon_as_the_witness_has_seen_the_roll_over() {
    let log = Log::new("log.example/1", 30);
    let (old, new) = (&log.key, LogKey::new("log.example/1"));
    let store = Store::new(&[&old.key, &new.key]);
    let witness = store.serve();
    let moved = |from, to, keys: &[&LogKey]| {
        let note = signed_by(&log, keys, to);
        witness
            .post(&body(from, &log.proof(from, to), &note))
            .status
    };
    assert_eq!(moved(0, 5, &[old]), 200);
    let unseen = witness.refused(
        &body(5, &log.proof(5, 6), &signed_by(&log, &[&new], 6)),
        403,
    );
    assert!(unseen.contains("witness distrust"), "{unseen}");
    assert_eq!(moved(5, 10, &[old, &new]), 200);
    assert_eq!(moved(10, 12, &[old]), 200, "both are in force");
    assert_eq!(moved(12, 14, &[old, &new]), 200);
    assert_eq!(moved(14, 20, &[&new]), 200);
    // Whoever stole the old key continues the log as it is, and is refused, and it is kept.
    assert_eq!(moved(20, 25, &[old]), 403);
    let evidence = store.evidence();
    assert!(
        evidence
            .iter()
            .all(|path| path.display().to_string().contains("other_key")),
        "{evidence:?}"
    );
    assert_eq!(evidence.len(), 2);
    assert_eq!(moved(20, 25, &[&new]), 200);
}

#[test]
fn a_distrusted_key_counts_no_more_and_what_it_signed_stays() {
    let log = Log::new("log.example/1", 30);
    let (old, new) = (&log.key, LogKey::new("log.example/1"));
    let store = Store::new(&[&old.key]);
    let last = store.run("distrust", &[&old.key.to_string()]);
    assert_eq!((last.code, last.error_code()), (2, "log-key"));
    let stranger = LogKey::new("log.example/9").key.to_string();
    let unknown = store.run("distrust", &[&stranger]);
    assert_eq!((unknown.code, unknown.error_code()), (2, "log-key"));
    let witness = store.serve();
    witness.good(&log, 0, 5);
    let owned = store.run("distrust", &[&old.key.to_string()]);
    assert_eq!((owned.code, owned.error_code()), (3, "witness-owned"));
    witness.stop();

    // The roll-over came about while nobody asked this witness.
    store.run("trust", &[&new.key.to_string()]).witness();
    let shown = store.run("distrust", &[&old.key.to_string()]);
    let keys = serde_json::json!([new.key.to_string()]);
    assert_eq!(shown.witness()["logs"][0]["keys"], keys);
    assert_eq!(shown.witness()["logs"][0]["size"], 5);
    assert_eq!(
        store.run("distrust", &[&old.key.to_string()]).code,
        0,
        "again"
    );
    let witness = store.serve();
    assert_eq!(witness.latest(&log), Some(log.checkpoint(5)));
    witness.refused(&step(&log, 5, 9), 403);
    let moved = body(5, &log.proof(5, 9), &signed_by(&log, &[&new], 9));
    assert_eq!(witness.post(&moved).status, 200);
    witness.refused(&step(&log, 9, 12), 403);
}
