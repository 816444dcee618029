//! Many at once: in one process, where they share a batch, and from several stations on one database.

use std::sync::Arc;

use keyline_station::record::FailureCode;

use crate::fixture::{Key, Place, both_engines, claim, device, events, proof};

both_engines! {
    one_of_many_devices_wins_a_key_whichever_station_asks,
    one_of_many_keys_of_a_device_is_pinned,
    a_conflict_does_not_hurt_the_others_in_its_batch,
}

async fn one_of_many_devices_wins_a_key_whichever_station_asks(place: Place) {
    let stations = [place.open().await, place.open().await, place.open().await];
    let key = Arc::new(Key::p256());
    let mut claims = tokio::task::JoinSet::new();
    for n in 0..60 {
        let registry = stations[n as usize % stations.len()].clone();
        let key = Arc::clone(&key);
        claims.spawn(async move { (n, registry.claim(claim(n, &key)).await) });
    }
    let mut winners = Vec::new();
    for (n, outcome) in claims.join_all().await {
        match outcome {
            Ok(_) => winners.push(n),
            Err(error) => assert_eq!(
                error.failure_code(),
                FailureCode::KeyBelongsToAnother,
                "{error}"
            ),
        }
    }
    assert_eq!(winners.len(), 1);
    stations[0].pin(proof(winners[0], &key)).await.unwrap();
    let alarms = stations[0].alarms(1_000).await.unwrap();
    assert_eq!(alarms.len(), 2 * 59);
}

async fn one_of_many_keys_of_a_device_is_pinned(place: Place) {
    let stations = [place.open().await, place.open().await];
    let mut runs = tokio::task::JoinSet::new();
    for n in 0..24 {
        let registry = stations[n % stations.len()].clone();
        runs.spawn(async move {
            let key = Key::p256();
            registry.claim(claim(1, &key)).await?;
            registry.pin(proof(1, &key)).await
        });
    }
    let outcomes = runs.join_all().await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    let keys = stations[0].keys_of(device(1)).await.unwrap();
    assert_eq!(keys.iter().filter(|pin| pin.state == "active").count(), 1);
    assert_eq!(keys.iter().filter(|pin| pin.state == "pending").count(), 0);
}

async fn a_conflict_does_not_hurt_the_others_in_its_batch(place: Place) {
    let registry = place.open().await;
    let pinned = Arc::new(Key::p256());
    registry.claim(claim(1, &pinned)).await.unwrap();
    let mut runs = tokio::task::JoinSet::new();
    for n in 2..150 {
        let (registry, pinned) = (registry.clone(), Arc::clone(&pinned));
        runs.spawn(async move {
            if n % 3 == 0 {
                return (n, registry.claim(claim(n, &pinned)).await.is_ok());
            }
            let key = Key::p256();
            registry.claim(claim(n, &key)).await.unwrap();
            (n, registry.pin(proof(n, &key)).await.is_ok())
        });
    }
    for (n, accepted) in runs.join_all().await {
        assert_eq!(accepted, n % 3 != 0, "{n}");
        assert_eq!(
            events(&registry, n).await.len(),
            if accepted { 2 } else { 0 }
        );
    }
}
