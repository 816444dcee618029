//! The registry's primary is killed in the middle of batches, on a real cluster of two: nothing that was acknowledged is lost, nothing
//! is entered twice, and the stations go on by themselves.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that can't go on fails"
)]

mod cluster;
#[path = "../registry/fixture.rs"]
#[allow(
    dead_code,
    unused_macros,
    unused_imports,
    reason = "shared by tests; each uses a part"
)]
mod fixture;
#[path = "../common/postgres.rs"]
#[allow(
    dead_code,
    unreachable_pub,
    clippy::expect_used,
    reason = "shared by tests; each uses a part"
)]
mod postgres;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use cluster::{Cluster, PATIENCE};
use fixture::{Key, claim, device, fingerprint, proof, sign_claim, sign_proof};
use keyline_station::record::StationId;
use keyline_station::registry::{
    NewStation, Registry, RegistryAddress, RegistryError, RegistryFiles, migrate,
};

const STATIONS: usize = 4;
/// Units that each station has in its hands at once.
const SLOTS: usize = 16;
/// Pins that are acknowledged before something happens, and after it.
const PINS: usize = 400;
/// A line tries a unit again after a while, where the registry was out of reach.
const AGAIN: Duration = Duration::from_millis(100);

/// A pin that the registry has acknowledged.
struct Acknowledged {
    number: u32,
    /// When its claim was sent for the first time, and when its pin was acknowledged.
    begun: Instant,
    done: Instant,
    /// The registry had it already: what was committed was not heard of.
    already: bool,
}

/// What all slots share.
#[derive(Default)]
struct Bench {
    next: AtomicU32,
    in_flight: AtomicUsize,
    stopped: AtomicBool,
    /// By fingerprint.
    pins: Mutex<BTreeMap<[u8; 32], Acknowledged>>,
}

impl Bench {
    fn count(&self) -> usize {
        self.pins.lock().unwrap().len()
    }

    /// Waits until there are so many acknowledged pins of units that were begun after this moment.
    async fn wait_for(&self, wanted: usize, since: Instant) {
        let begun = Instant::now();
        loop {
            let found = {
                let pins = self.pins.lock().unwrap();
                pins.values().filter(|pin| pin.begun > since).count()
            };
            if found >= wanted {
                return;
            }
            assert!(
                begun.elapsed() < PATIENCE,
                "expected {wanted} pins within {PATIENCE:?}, got {found}"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// How long after this moment the first unit passed that was begun after it.
    fn resumed_after(&self, killed: Instant) -> Duration {
        let pins = self.pins.lock().unwrap();
        let later = pins.values().filter(|pin| pin.begun > killed);
        later.map(|pin| pin.done).min().unwrap() - killed
    }
}

/// One slot: unit after unit, until the bench is stopped; a unit that was begun is finished.
async fn slot(bench: Arc<Bench>, registry: Registry, station: StationId) {
    while !bench.stopped.load(Ordering::Relaxed) {
        let number = bench.next.fetch_add(1, Ordering::Relaxed);
        let key = Key::p256();
        let (mut claim, mut proof) = (claim(number, &key), proof(number, &key));
        (claim.station, proof.station) = (station, station);
        sign_claim(&mut claim, &key);
        sign_proof(&mut proof, &key);
        let begun = Instant::now();
        bench.in_flight.fetch_add(1, Ordering::Relaxed);
        again(|| registry.claim(claim.clone())).await;
        let receipt = again(|| registry.pin(proof.clone())).await;
        let acknowledged = Acknowledged {
            number,
            begun,
            done: Instant::now(),
            already: receipt.already,
        };
        let before = bench
            .pins
            .lock()
            .unwrap()
            .insert(fingerprint(&key), acknowledged);
        assert!(before.is_none(), "each unit has a key of its own");
        bench.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Asks until the registry answers. Anything but "try later" fails the test.
async fn again<T, F: Future<Output = Result<T, RegistryError>>>(ask: impl Fn() -> F) -> T {
    let begun = Instant::now();
    loop {
        match ask().await {
            Ok(answer) => return answer,
            Err(error) => assert!(
                error.is_temporary() && begun.elapsed() < PATIENCE,
                "{error}: {:?}",
                std::error::Error::source(&error).map(ToString::to_string)
            ),
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// Makes the registry on the cluster, and enrols the stations.
async fn enrolled(cluster: &Cluster) -> Vec<(StationId, Registry)> {
    cluster.sql(0, "postgres", "CREATE ROLE owner SUPERUSER LOGIN");
    cluster.sql(0, "postgres", "CREATE DATABASE keyline OWNER owner");
    let url = cluster.url("owner", "keyline");
    let address = RegistryAddress::new(&url, &RegistryFiles::default()).unwrap();
    migrate(address).await.unwrap();
    let owner = Registry::connect(&url).await.unwrap();
    let mut stations = Vec::new();
    for n in 0..STATIONS {
        let id = StationId::generate();
        let station = NewStation {
            id,
            name: format!("line-{n}"),
            certificate: None,
            operator: "op-1".to_owned(),
        };
        let login = owner.enrol_station(&station).await.unwrap();
        let registry = Registry::connect(&cluster.url(&login, "keyline")).await;
        stations.push((id, registry.unwrap()));
    }
    owner.close().await;
    stations
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_killed_in_the_middle_of_batches_loses_and_repeats_nothing() {
    let begun = Instant::now();
    let mut cluster = Cluster::start();
    let up = begun.elapsed();
    let stations = enrolled(&cluster).await;
    let synchronous = cluster.sql(0, "postgres", "SHOW synchronous_standby_names");
    assert!(synchronous.starts_with("ANY 1"), "{synchronous:?}");

    let bench = Arc::new(Bench::default());
    let mut slots = tokio::task::JoinSet::new();
    for (id, registry) in &stations {
        for _ in 0..SLOTS {
            slots.spawn(slot(Arc::clone(&bench), registry.clone(), *id));
        }
    }
    bench.wait_for(PINS, begun).await;

    let in_flight = bench.in_flight.load(Ordering::Relaxed);
    assert!(in_flight > SLOTS, "{in_flight} units are under way");
    cluster.kill_node(0);
    let killed = Instant::now();
    let acknowledged = bench.count();
    bench.wait_for(PINS, killed).await;
    let resumed = bench.resumed_after(killed);

    // The killed node comes back as a standby, which both addresses name first.
    let back = Instant::now();
    cluster.start_node(0);
    cluster.wait_for(&["primary", "secondary"]);
    let rejoined = back.elapsed();
    bench.wait_for(PINS, Instant::now()).await;
    bench.stopped.store(true, Ordering::Relaxed);
    slots.join_all().await;
    for (_, registry) in stations {
        registry.close().await;
    }
    check(&cluster, &bench);
    let repeated = bench
        .pins
        .lock()
        .unwrap()
        .values()
        .filter(|pin| pin.already)
        .count();
    println!(
        "cluster up after {:.1} s; killed with {in_flight} units under way and {acknowledged} pins acknowledged; the first new unit \
         passed {:.1} s later; the killed node followed {:.1} s after its start; {} pins in the end, {repeated} of them committed before \
         without an answer",
        up.as_secs_f64(),
        resumed.as_secs_f64(),
        rejoined.as_secs_f64(),
        bench.count(),
    );
}

/// What was acknowledged is what is there, on both nodes: nothing less, and nothing twice.
fn check(cluster: &Cluster, bench: &Bench) {
    let position = cluster.sql(1, "keyline", "SELECT pg_current_wal_lsn()");
    let begun = Instant::now();
    let replayed = format!("SELECT pg_last_wal_replay_lsn() >= '{position}'");
    while cluster.sql(0, "keyline", &replayed) != "t" {
        assert!(begun.elapsed() < PATIENCE, "the standby does not follow");
        std::thread::sleep(Duration::from_millis(50));
    }
    let pins = bench.pins.lock().unwrap();
    for node in [1, 0] {
        let active = cluster.sql(
            node,
            "keyline",
            "SELECT encode(fingerprint, 'hex') || ' ' || encode(device_id, 'hex') FROM key_state WHERE state = 'active' ORDER BY fingerprint",
        );
        let expected: Vec<_> = pins
            .iter()
            .map(|(key, pin)| format!("{} {}", hex::encode(key), device(pin.number).0))
            .collect();
        let active: Vec<_> = active.lines().collect();
        assert_eq!(active, expected, "node {node}");
        // One claim, one proof and one pin for each unit: nothing was entered twice, and nothing else is there.
        let rows = cluster.sql(
            node,
            "keyline",
            "SELECT (SELECT COUNT(*) FROM key_claim), (SELECT COUNT(*) FROM proof), (SELECT COUNT(*) FROM pin), \
             (SELECT COUNT(*) FROM alarm)",
        );
        let count = expected.len();
        assert_eq!(rows, format!("{count}|{count}|{count}|0"), "node {node}");
    }
}
