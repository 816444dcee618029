//! `keyline witness` as a person and a script meet it.

use crate::log::{Log, LogKey, witness_key};
use crate::process::{NAME, Store};

#[test]
fn every_refusal_has_a_code_and_a_next_step() {
    let store = Store::bare();
    for command in ["show", "serve", "trust"] {
        let key = Log::new("l", 0).key.key.to_string();
        let more: &[&str] = match command {
            "serve" => &["--listen", "127.0.0.1:0"],
            "trust" => &[&key],
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
