//! What was acknowledged is remembered: over restarts and over SIGKILL at any moment.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use keyline_station::audit::Hash;

use crate::log::Log;
use crate::process::{Store, Witness, body, post_to, step};

#[test]
fn a_restart_remembers_every_log() {
    let logs: Vec<Log> = (0..5)
        .map(|n| Log::new(&format!("log.example/{n}"), 30))
        .collect();
    let keys: Vec<_> = logs.iter().map(|log| &log.key.key).collect();
    let store = Store::new(&keys);
    let witness = store.serve();
    let mut sizes = Vec::new();
    for (log, size) in logs.iter().zip([0, 1, 7, 8, 30]) {
        witness.good(log, 0, size);
        sizes.push(size);
    }
    witness.kill();
    // What a write that was cut short leaves behind does not matter.
    let logs_directory = store.path().join("logs");
    let some = std::fs::read_dir(&logs_directory).unwrap().next().unwrap();
    let some = some.unwrap().path();
    std::fs::write(some.with_extension("new"), "half a fi").unwrap();
    let witness = store.serve();
    for (log, size) in logs.iter().zip(sizes) {
        assert_eq!(witness.latest(log), Some(log.checkpoint(size)));
        assert_never_forks(&witness, log, size);
        witness.good(log, size, 30);
    }
}

/// At this size and from it on, no other history is cosigned.
pub(crate) fn assert_never_forks(witness: &Witness, log: &Log, size: u64) {
    let fork = log.fork();
    let same_size = body(size, &[], &fork.note(size));
    if size > 0 {
        witness.refused(&same_size, 422);
    }
    if size > 1 {
        let smaller = witness.post(&step(&fork, 0, size - 1));
        assert_eq!(smaller.conflict(), size);
    }
    let end = log.size();
    if size > 0 && size < end {
        let forked = body(size, &fork.proof(size, end), &fork.note(end));
        witness.refused(&forked, 422);
        let true_proof = body(size, &log.proof(size, end), &fork.note(end));
        witness.refused(&true_proof, 422);
    }
}

/// A plain generator of moments; a seed gives the same ones again.
struct Moments(u64);

impl Moments {
    fn next(&mut self, below: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % below
    }
}

/// Moves a log on as fast as it can until the server is gone; every acknowledged size goes to `acknowledged`.
fn load(
    address: &str,
    log: &Log,
    stride: u64,
    acknowledged: &Mutex<BTreeMap<u64, Hash>>,
    end: &AtomicBool,
) {
    let mut old = 0;
    while !end.load(Ordering::SeqCst) {
        let new = (old + stride).min(log.size());
        let Ok(reply) = post_to(address, &step(log, old, new)) else {
            return;
        };
        match reply.status {
            200 => {
                acknowledged.lock().unwrap().insert(new, log.root(new));
                old = new;
            }
            409 => old = reply.conflict(),
            _ => panic!("{reply:?}"),
        }
        if old == log.size() {
            return;
        }
    }
}

/// Load from several clients, SIGKILL at a seeded moment, over and over on one store.
#[test]
fn a_kill_at_any_moment_forgets_no_acknowledged_size() {
    let seeds: u64 = std::env::var("KEYLINE_SEEDS").map_or(25, |seeds| seeds.parse().unwrap());
    let logs = [
        Log::new("log.example/1", 20_000),
        Log::new("log.example/2", 20_000),
    ];
    let store = Store::new(&[&logs[0].key.key, &logs[1].key.key]);
    let acknowledged = [Mutex::default(), Mutex::default()];
    let mut grew = 0;
    for seed in 0..seeds {
        let mut moments = Moments(seed);
        let witness = store.serve();
        let before = acknowledged.iter().map(largest).sum::<u64>();
        let delay = Duration::from_micros(moments.next(60_000));
        let (address, end) = (witness.address.clone(), AtomicBool::new(false));
        thread::scope(|scope| {
            for (log, acknowledged) in logs.iter().zip(&acknowledged) {
                for stride in [1, 3] {
                    let (address, end) = (&address, &end);
                    scope.spawn(move || load(address, log, stride, acknowledged, end));
                }
            }
            thread::sleep(delay);
            witness.kill();
            end.store(true, Ordering::SeqCst);
            assert!(post_to(&address, "old 0\n\n").is_err(), "it is gone");
        });
        if acknowledged.iter().map(largest).sum::<u64>() > before {
            grew += 1;
        }
        let witness = store.serve();
        for (log, acknowledged) in logs.iter().zip(&acknowledged) {
            let size = largest(acknowledged);
            let Some(latest) = witness.latest(log) else {
                assert_eq!(size, 0, "seed {seed}: forgot everything");
                continue;
            };
            assert!(
                latest.size >= size,
                "seed {seed}: {} after {size}",
                latest.size
            );
            assert_eq!(latest, log.checkpoint(latest.size), "seed {seed}");
            assert_never_forks(&witness, log, latest.size);
        }
        witness.kill();
    }
    assert!(
        grew * 2 > seeds,
        "the kills came too early: {grew} of {seeds}"
    );
    for (log, acknowledged) in logs.iter().zip(&acknowledged) {
        let acknowledged = acknowledged.lock().unwrap();
        assert!(
            acknowledged
                .iter()
                .all(|(size, root)| log.root(*size) == *root)
        );
    }
}

fn largest(acknowledged: &Mutex<BTreeMap<u64, Hash>>) -> u64 {
    let acknowledged = acknowledged.lock().unwrap();
    acknowledged.keys().next_back().copied().unwrap_or(0)
}

#[test]
fn one_process_owns_a_store() {
    let log = Log::new("log.example/1", 3);
    let store = Store::new(&[&log.key.key]);
    let witness = store.serve();
    let owner = std::fs::read_to_string(store.path().join("keyline.lock")).unwrap();
    let second = store.run("serve", &["--listen", "127.0.0.1:0"]);
    assert_eq!((second.code, second.error_code()), (3, "witness-owned"));
    let message = second.lines[0]["error"]["message"].as_str().unwrap();
    assert!(message.contains(owner.trim()), "{message}");
    let trust = store.run(
        "trust",
        &[&Log::new("log.example/2", 0).key.key.to_string()],
    );
    assert_eq!((trust.code, trust.error_code()), (3, "witness-owned"));
    // Looking at it is allowed.
    witness.good(&log, 0, 3);
    assert_eq!(store.run("show", &[]).witness()["logs"][0]["size"], 3);
    witness.kill();
    assert_eq!(store.serve().latest(&log), Some(log.checkpoint(3)));
}
