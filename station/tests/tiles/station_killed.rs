//! The real station, killed (SIGKILL) at seeded moments while it publishes: what is published is whole at every moment, and the next
//! start goes on from it. `KEYLINE_SEEDS` asks for more kills.

use std::fs;
use std::process::Stdio;
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::fixture::{Foreign, grow_home, published, verifier_key};
use crate::station::Station;

/// `make soak` asks for more.
const KILLS: u64 = 40;

/// What is published at any moment is whole, also to a foreign reader.
fn assert_whole(station: &Station, seed: u64) {
    let directory = station.home().join("tlog");
    if !directory.join("checkpoint").exists() {
        return;
    }
    let found = published(&station.home()).unwrap();
    assert_eq!(found.named, Vec::<String>::new(), "seed {seed}");
    Foreign::open(&directory).check(&verifier_key(&station.home()));
}

#[test]
fn a_station_that_is_killed_while_it_publishes_goes_on_from_there() {
    let station = Station::with_order(100_000);
    grow_home(&station.home(), 60_000);
    let kills = std::env::var("KEYLINE_SEEDS").map_or(KILLS, |seeds| seeds.parse().unwrap());
    let mut killed = 0;
    for seed in 0..kills {
        let mut random = SmallRng::seed_from_u64(seed);
        if seed % 10 == 5 {
            fs::remove_dir_all(station.home().join("tlog")).unwrap();
        }
        let provision = ["provision", "--order", "WO-1", "--count", "2000"];
        let mut child = station
            .command(&provision)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(random.random_range(0..1_500)));
        let ended = child.try_wait().unwrap();
        if ended.is_none() {
            killed += 1;
            child.kill().unwrap();
        }
        child.wait().unwrap();
        assert_whole(&station, seed);
    }
    assert!(killed * 2 > kills, "most were killed: {killed} of {kills}");
    assert_caught_up(&station);
}

/// A few words to the station and everything is published and whole.
pub(crate) fn assert_caught_up(station: &Station) {
    for _ in 0..200 {
        let name = format!("after-{}", rand::random::<u64>());
        let add = [
            "order",
            "add",
            "--product",
            "sensor",
            "--quantity",
            "1",
            "--name",
            &name,
        ];
        station.run(&add).good();
        let doctor = station.run(&["doctor"]);
        let tiles = doctor
            .all("check")
            .into_iter()
            .find(|check| check["check"] == "tiles");
        if tiles.unwrap()["state"] == "ok" {
            let found = published(&station.home()).unwrap();
            assert_eq!(found.faults, 0, "{:?}", found.named);
            Foreign::open(&station.home().join("tlog")).check(&verifier_key(&station.home()));
            assert!(!station.home().join("tlog/unfinished").exists());
            return;
        }
    }
    panic!("not caught up after two hundred commands");
}
