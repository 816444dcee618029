//! Many clients at once: every step from one size to the next is taken once.

use std::sync::{Barrier, Mutex};
use std::thread;

use crate::log::Log;
use crate::process::{Store, step};

#[test]
fn of_many_from_one_size_exactly_one_wins() {
    let log = Log::new("log.example/1", 2_000);
    let witness = Store::new(&[&log.key.key]).serve_and_keep();
    let clients = 24;
    let mut old = 0;
    for round in 0..12 {
        let barrier = Barrier::new(clients);
        let replies: Vec<_> = thread::scope(|scope| {
            let post = |n: usize| {
                let (log, witness, barrier) = (&log, &witness, &barrier);
                scope.spawn(move || {
                    let new = old + 1 + n as u64;
                    let body = step(log, old, new);
                    barrier.wait();
                    (new, witness.post(&body))
                })
            };
            let threads: Vec<_> = (0..clients).map(post).collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .collect()
        });
        let won: Vec<u64> = replies
            .iter()
            .filter(|(_, reply)| reply.status == 200)
            .map(|(new, _)| *new)
            .collect();
        assert_eq!(won.len(), 1, "round {round}: {replies:?}");
        for (_, reply) in replies.iter().filter(|(_, reply)| reply.status != 200) {
            assert_eq!(reply.conflict(), won[0]);
        }
        assert_eq!(witness.latest(&log), Some(log.checkpoint(won[0])));
        old = won[0];
    }
}

#[test]
fn the_acknowledged_steps_of_a_crowd_are_one_chain() {
    let log = Log::new("log.example/1", 600);
    let witness = Store::new(&[&log.key.key]).serve_and_keep();
    let steps = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for stride in 1..=16 {
            let (log, witness, steps) = (&log, &witness, &steps);
            scope.spawn(move || {
                let mut old = 0;
                while old < log.size() {
                    let new = (old + stride).min(log.size());
                    let reply = witness.post(&step(log, old, new));
                    if reply.status == 200 {
                        witness.cosignature(&log.checkpoint(new).text(), &reply);
                        steps.lock().unwrap().push((old, new));
                        old = new;
                    } else {
                        // What a conflict names never goes back.
                        let size = reply.conflict();
                        assert!(size > old, "{size} after {old}");
                        old = size;
                    }
                }
            });
        }
    });
    let mut steps = steps.into_inner().unwrap();
    steps.sort_unstable();
    let mut size = 0;
    for (old, new) in steps {
        assert_eq!(old, size, "a step was taken twice or left out");
        size = new;
    }
    assert_eq!(size, log.size());
}

/// Other logs don't wait for one that is busy, and none takes another's state.
#[test]
fn logs_move_on_side_by_side() {
    let logs: Vec<Log> = (0..8)
        .map(|n| Log::new(&format!("log.example/{n}"), 40))
        .collect();
    let keys: Vec<_> = logs.iter().map(|log| &log.key.key).collect();
    let witness = Store::new(&keys).serve_and_keep();
    thread::scope(|scope| {
        for log in &logs {
            let witness = &witness;
            scope.spawn(move || {
                for new in 1..=log.size() {
                    witness.good(log, new - 1, new);
                }
            });
        }
    });
    for log in &logs {
        assert_eq!(witness.latest(log), Some(log.checkpoint(40)));
    }
}
