//! Many stations pin at once, and some of their units are clones of each other.

use std::collections::HashMap;
use std::sync::Arc;

use keyline_station::record::{Claim, Proof, StationId};
use keyline_station::registry::{AlarmSide, Registry, RegistryError};

use crate::fixture::{Key, Place, claim, fingerprint, proof, sign_claim, sign_proof};
use crate::roles::enrolled;

const STATIONS: u32 = 8;
const UNITS: u32 = 1_000;
/// Of each station's units, every so many-th is a clone of a unit of the station before it.
const CLONE_EVERY: u32 = 100;
/// How many slots a station has.
const SLOTS: usize = 64;

/// A unit on the bench: its device id's number, its claim and its proof.
struct Unit {
    claim: Claim,
    proof: Proof,
}

fn unit(number: u32, key: &Key, station: StationId) -> Unit {
    let (mut claim, mut proof) = (claim(number, key), proof(number, key));
    (claim.station, proof.station) = (station, station);
    sign_claim(&mut claim, key);
    sign_proof(&mut proof, key);
    Unit { claim, proof }
}

/// Runs a station's units over its slots and gives what became of each.
async fn run(registry: Registry, units: Vec<Unit>) -> Vec<(Claim, Result<(), RegistryError>)> {
    let units = Arc::new(tokio::sync::Mutex::new(units));
    let mut slots = tokio::task::JoinSet::new();
    for _ in 0..SLOTS {
        let (registry, units) = (registry.clone(), Arc::clone(&units));
        slots.spawn(async move {
            let mut done = Vec::new();
            loop {
                let next = units.lock().await.pop();
                let Some(unit) = next else { return done };
                let outcome = loop {
                    match outcome_of(&registry, &unit).await {
                        // The others were faster ten times: a line would try the unit again.
                        Err(RegistryError::Busy { .. }) => {}
                        outcome => break outcome,
                    }
                };
                done.push((unit.claim, outcome));
            }
        });
    }
    slots.join_all().await.into_iter().flatten().collect()
}

async fn outcome_of(registry: &Registry, unit: &Unit) -> Result<(), RegistryError> {
    registry.claim(unit.claim.clone()).await?;
    registry.pin(unit.proof.clone()).await.map(drop)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_stations_pin_at_once_and_each_key_has_one_winner() {
    let place = Place::postgres().await;
    let owner = place.open().await;
    let keys: Vec<_> = (0..STATIONS * UNITS).map(|_| Key::p256()).collect();
    let mut stations = tokio::task::JoinSet::new();
    for s in 0..STATIONS {
        let (id, login) = enrolled(&owner, &format!("line-{s}")).await;
        let units = (0..UNITS).map(|n| {
            let number = s * UNITS + n;
            // The clone has a device id of its own and the key of a unit on the line beside.
            let clone = n % CLONE_EVERY == 0;
            let key = if clone {
                (number + UNITS) % (STATIONS * UNITS) + 1
            } else {
                number
            };
            unit(number, &keys[key as usize], id)
        });
        let units: Vec<_> = units.collect();
        let url = place.server().url(&login, "keyline");
        stations.spawn(async move { run(Registry::connect(&url).await.unwrap(), units).await });
    }
    let outcomes: Vec<_> = stations.join_all().await.into_iter().flatten().collect();
    assert_eq!(outcomes.len(), (STATIONS * UNITS) as usize);

    let mut winners: HashMap<[u8; 32], usize> = HashMap::new();
    let mut losers = Vec::new();
    for (claim, outcome) in &outcomes {
        match outcome {
            Ok(()) => *winners.entry(claim.fingerprint()).or_default() += 1,
            Err(RegistryError::KeyBelongsToAnother { .. }) => losers.push(claim),
            Err(error) => panic!("{error}"),
        }
    }
    let clones = (STATIONS * UNITS / CLONE_EVERY) as usize;
    assert!(winners.values().all(|count| *count == 1));
    assert_eq!(losers.len(), clones, "one of each two loses");
    let alarms = owner.alarms(1_000).await.unwrap();
    assert_eq!(alarms.len(), 2 * clones);
    for loser in losers {
        let explained: Vec<_> = alarms
            .iter()
            .filter(|alarm| alarm.run == loser.run && alarm.fingerprint == loser.fingerprint())
            .collect();
        assert_eq!(explained.len(), 2);
        assert!(
            explained
                .iter()
                .any(|alarm| alarm.side == AlarmSide::Refused && alarm.station == loser.station)
        );
        let shown: Claim = serde_json::from_str(&explained[0].evidence).unwrap();
        assert_eq!(&shown, loser);
    }
    let counted = place.server().sql(
        "owner",
        "keyline",
        "SELECT COUNT(*), COUNT(DISTINCT fingerprint) FROM key_state WHERE state = 'active'",
    );
    let expected = STATIONS as usize * UNITS as usize - clones;
    assert_eq!(counted.unwrap(), format!("{expected}|{expected}"));
    assert!(winners.contains_key(&fingerprint(&keys[1])));
}
