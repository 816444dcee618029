//! The life of a key: claimed, pinned, superseded, revoked.

use keyline_station::record::{ClaimReceipt, PinReceipt};
use keyline_station::registry::RegistryError;

use crate::fixture::{
    Key, Place, both_engines, claim, device, events, fingerprint, proof, revoke, trust,
};

both_engines! {
    a_claim_is_trusted_only_after_its_proof,
    a_claim_that_never_proved_itself_is_superseded_and_its_key_burnt,
    a_revoked_key_never_returns_and_only_a_rework_gives_a_new_one,
    rsa_keys_prove_by_signature_or_weakly,
}

const NEW: ClaimReceipt = ClaimReceipt {
    already: false,
    pinned: false,
};

async fn a_claim_is_trusted_only_after_its_proof(place: Place) {
    let registry = place.open().await;
    let key = Key::p256();
    assert_eq!(registry.claim(claim(1, &key)).await.unwrap(), NEW);
    assert_eq!(registry.pin_of(device(1)).await.unwrap(), None);
    let pending = registry
        .by_fingerprint(fingerprint(&key))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (pending.state.as_str(), pending.pinned_at_ms),
        ("pending", None)
    );
    // Again: the same claim, by another run with another challenge.
    let again = registry.claim(claim(1, &key)).await.unwrap();
    assert_eq!(
        again,
        ClaimReceipt {
            already: true,
            pinned: false
        }
    );

    let shown = proof(1, &key);
    assert_eq!(
        registry.pin(shown.clone()).await.unwrap(),
        PinReceipt { already: false }
    );
    let pin = registry.pin_of(device(1)).await.unwrap().unwrap();
    assert_eq!((pin.state.as_str(), pin.weak), ("active", false));
    assert_eq!(
        (pin.public_key, pin.fingerprint),
        (key.public_key(), fingerprint(&key))
    );
    assert!(pin.pinned_at_ms >= Some(pin.claimed_at_ms));

    // The answer was lost, the unit was run again: neither makes a second history.
    assert_eq!(
        registry.pin(shown).await.unwrap(),
        PinReceipt { already: true }
    );
    let again = registry.claim(claim(1, &key)).await.unwrap();
    assert_eq!(
        again,
        ClaimReceipt {
            already: true,
            pinned: true
        }
    );
    assert_eq!(
        registry.pin(proof(1, &key)).await.unwrap(),
        PinReceipt { already: true }
    );
    assert_eq!(events(&registry, 1).await, ["claimed", "pinned"]);
    registry.close().await;
    let registry = place.open().await;
    assert!(registry.pin_of(device(1)).await.unwrap().is_some());
    registry.ping().await.unwrap();
}

async fn a_claim_that_never_proved_itself_is_superseded_and_its_key_burnt(place: Place) {
    let registry = place.open().await;
    let (burnt, key) = (Key::p256(), Key::p256());
    registry.claim(claim(1, &burnt)).await.unwrap();
    assert_eq!(registry.claim(claim(1, &key)).await.unwrap(), NEW);
    // Refused for ever, also for the same device, also with a proof.
    for _ in 0..2 {
        let refused = registry.claim(claim(1, &burnt)).await;
        assert!(matches!(refused, Err(RegistryError::KeyBurnt { .. })));
        let refused = registry.pin(proof(1, &burnt)).await;
        assert!(matches!(refused, Err(RegistryError::KeyBurnt { .. })));
        let stolen = registry.claim(claim(2, &burnt)).await;
        let owner = device(1);
        assert!(
            matches!(stolen, Err(RegistryError::KeyBelongsToAnother { owner: found, .. }) if found == owner)
        );
        registry.pin(proof(1, &key)).await.unwrap();
    }
    assert_eq!(
        events(&registry, 1).await,
        ["claimed", "superseded", "claimed", "pinned"]
    );
    let states: Vec<_> = registry.keys_of(device(1)).await.unwrap();
    let states: Vec<_> = states.iter().map(|pin| pin.state.as_str()).collect();
    assert_eq!(states.len(), 2);
    assert!(states.contains(&"superseded") && states.contains(&"active"));
}

async fn a_revoked_key_never_returns_and_only_a_rework_gives_a_new_one(place: Place) {
    let registry = place.open().await;
    let (old, new) = (Key::p256(), Key::p256());
    let nothing = revoke(&registry, 1, "lost").await;
    assert!(matches!(nothing, Err(RegistryError::NotPinned(_))));
    trust(&registry, 1, &old).await;

    let mut rework = claim(1, &new);
    rework.rework = true;
    let too_early = registry.claim(rework.clone()).await;
    assert!(
        matches!(too_early, Err(RegistryError::DeviceHasAnotherKey { active, .. }) if active == fingerprint(&old))
    );

    let revoked = revoke(&registry, 1, "lost").await.unwrap();
    assert_eq!(revoked, fingerprint(&old));
    assert_eq!(registry.pin_of(device(1)).await.unwrap(), None);
    for _ in 0..2 {
        let refused = registry.claim(claim(1, &old)).await;
        assert!(matches!(refused, Err(RegistryError::KeyRevoked { .. })));
        let refused = registry.pin(proof(1, &old)).await;
        assert!(matches!(refused, Err(RegistryError::KeyRevoked { .. })));
    }
    let plain = registry.claim(claim(1, &new)).await;
    assert!(matches!(plain, Err(RegistryError::NeedsRework(_))));
    // What was refused before has not burnt the key.
    assert_eq!(registry.claim(rework).await.unwrap(), NEW);
    registry.pin(proof(1, &new)).await.unwrap();
    let expected = ["claimed", "pinned", "revoked", "claimed", "pinned"];
    assert_eq!(events(&registry, 1).await, expected);
    let history = registry.history(device(1)).await.unwrap();
    assert_eq!(history[2].operator.as_deref(), Some("op-1"));
    assert_eq!(history[2].reason.as_deref(), Some("lost"));
}

async fn rsa_keys_prove_by_signature_or_weakly(place: Place) {
    let registry = place.open().await;
    let key = Key::rsa2048();
    trust(&registry, 1, &key).await;
    assert!(!registry.pin_of(device(1)).await.unwrap().unwrap().weak);

    let key = Key::rsa2048();
    registry.claim(claim(2, &key)).await.unwrap();
    let mut weak = proof(2, &key);
    weak.authenticator = vec![0; 32];
    weak.weak = true;
    registry.pin(weak).await.unwrap();
    assert!(registry.pin_of(device(2)).await.unwrap().unwrap().weak);

    let key = Key::p256();
    registry.claim(claim(3, &key)).await.unwrap();
    let mut weak = proof(3, &key);
    weak.weak = true;
    let refused = registry.pin(weak).await;
    assert!(matches!(refused, Err(RegistryError::WeakNotAllowed { .. })));
    assert_eq!(registry.pin_of(device(3)).await.unwrap(), None);
}
