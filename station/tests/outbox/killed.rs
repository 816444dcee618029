//! The program is killed (SIGKILL) at seeded moments while it enters what is held. Whatever the moment, the next one goes on: one pin
//! and one release for each unit. `KEYLINE_SEED=n` gives the seed.

use std::collections::HashSet;
use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::time::Duration;

use keyline_station::journal::JournalReader;
use keyline_station::registry::Registry;
use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::held::assert_all_released;
use crate::home::{held_home, order};
use crate::station::Station;

const UNITS: u32 = 300;
const KILLS: u32 = 25;

/// Kills the program so long after it has told of so many units; `false` where it had ended before.
fn sync_killed_after(station: &Station, told: usize, delay: Duration) -> bool {
    let mut command = station.command(&["sync", "--wait", "5"]);
    let command = command.stdout(Stdio::piped()).stderr(Stdio::null());
    let mut process = command.spawn().unwrap();
    let lines = BufReader::new(process.stdout.take().unwrap()).lines();
    let units = lines.filter(|line| line.as_ref().unwrap().contains("\"event\":\"unit\""));
    let _ = units.take(told).count();
    std::thread::sleep(delay);
    process.kill().unwrap();
    process.wait().unwrap().code().is_none()
}

#[test]
fn whenever_it_is_killed_the_next_one_goes_on() {
    let seed = std::env::var("KEYLINE_SEED").map_or(1, |text| text.parse().unwrap());
    let mut random = SmallRng::seed_from_u64(seed);
    let station = held_home(UNITS);
    let (mut killed, mut left) = (0, HashSet::from([UNITS as usize]));
    for _ in 0..KILLS {
        let told = random.random_range(0..20);
        let delay = Duration::from_micros(random.random_range(0..20_000));
        killed += u32::from(sync_killed_after(&station, told, delay));
        let held = ["unit", "list", "--state", "held", "--limit", "100000"];
        left.insert(station.run(&held).good().all("unit-record").len());
    }
    assert!(
        killed >= 3,
        "KEYLINE_SEED={seed}: {killed} were killed in the middle"
    );
    println!("KEYLINE_SEED={seed}: {killed} killed; waiting after them: {left:?}");
    station.run(&["sync"]).good();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let path = station.home().join("journal.sqlite");
        let journal = JournalReader::open(&path).await.unwrap();
        let url = format!(
            "sqlite:{}",
            station.home().join("registry.sqlite").display()
        );
        let registry = Registry::connect(&url).await.unwrap();
        let order = order(&journal).await;
        assert_all_released(&journal, &registry, order.id, UNITS).await;
        registry.close().await;
    });
    station.run(&["audit", "verify", "--deep"]).good();
}
