//! What an auditor asks of the registry, page by page.

use keyline_station::record::{RunId, StationId};
use keyline_station::registry::StoredProof;

use crate::fixture::{
    Key, Place, both_engines, claim, device, fingerprint, proof, revoke, sign_claim, trust,
};

both_engines! {
    a_station_s_claims_come_in_pages_with_what_became_of_each,
    a_station_s_alarms_come_in_pages,
}

async fn a_station_s_claims_come_in_pages_with_what_became_of_each(place: Place) {
    let registry = place.open().await;
    let station = StationId::generate();
    let mut keys = Vec::new();
    for n in 0..25 {
        let key = Key::p256();
        let mut mine = claim(n, &key);
        mine.station = station;
        registry.claim(mine.clone()).await.unwrap();
        let shown = (n % 5 != 0).then(|| proof(n, &key));
        if let Some(shown) = &shown {
            registry.pin(shown.clone()).await.unwrap();
            // The unit came back and proved itself again: the first proof is the one that counts.
            registry.pin(proof(n, &key)).await.unwrap();
        }
        if n % 5 == 1 {
            revoke(&registry, n, "stolen").await.unwrap();
        }
        keys.push((fingerprint(&key), n, mine, shown));
    }
    trust(&registry, 100, &Key::p256()).await;
    keys.sort_by_key(|(fingerprint, ..)| *fingerprint);

    let mut found = Vec::new();
    let mut after = None;
    loop {
        let page = registry.claims_of_station(station, after, 7).await.unwrap();
        let Some(last) = page.last() else { break };
        assert!(page.len() <= 7);
        after = Some(last.fingerprint);
        found.extend(page);
    }
    assert_eq!(found.len(), keys.len());
    for (record, (fingerprint, n, mine, shown)) in found.iter().zip(&keys) {
        assert_eq!(record.fingerprint, *fingerprint);
        assert_eq!(record.claim, *mine);
        let expected = match n % 5 {
            0 => "pending",
            1 => "revoked",
            _ => "active",
        };
        assert_eq!(record.pin.state, expected);
        let stored = record.proof.as_ref().map(|stored| match stored {
            StoredProof::Readable(proof) => (**proof).clone(),
            StoredProof::Unreadable(why) => panic!("{why}"),
        });
        // Two proofs of one millisecond are told apart by their nonces only.
        assert_eq!(
            stored.map(|proof| proof.device_id),
            shown.as_ref().map(|proof| proof.device_id)
        );
    }

    let asked: Vec<_> = keys.iter().take(3).map(|key| key.0).collect();
    let mut by_key = registry.claims_of_keys(&asked).await.unwrap();
    by_key.sort_by_key(|record| record.fingerprint);
    assert_eq!(by_key, found[..3]);
    assert!(
        registry
            .claims_of_keys(&[[9; 32]])
            .await
            .unwrap()
            .is_empty()
    );
    let devices: Vec<_> = (0..25).map(device).collect();
    assert_eq!(registry.active_pins(&devices).await.unwrap().len(), 15);
}

async fn a_station_s_alarms_come_in_pages(place: Place) {
    let registry = place.open().await;
    let station = StationId::generate();
    let key = Key::p256();
    registry.claim(claim(1, &key)).await.unwrap();
    let mut runs = Vec::new();
    for n in 2..12 {
        let mut clone = claim(n, &key);
        (clone.station, clone.run) = (station, RunId::generate());
        sign_claim(&mut clone, &key);
        runs.push(clone.run);
        registry.claim(clone).await.unwrap_err();
    }
    registry.claim(claim(20, &key)).await.unwrap_err();
    let mut found = Vec::new();
    let mut after = None;
    loop {
        let page = registry.alarms_of_station(station, after, 4).await.unwrap();
        found.extend(page.alarms.into_iter().map(|alarm| alarm.run));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    found.sort();
    runs.sort();
    assert_eq!(found, runs);
    assert_eq!(registry.alarms(100).await.unwrap().len(), 2 * 11);
}
