//! A copied or hostile caller: each thing that is wrong has its own error, and leaves nothing behind.

use keyline_protocol::identity::Algorithm;
use keyline_station::record::{AlgorithmName, Claim, FailureCode};
use keyline_station::registry::{AlarmKind, AlarmSide, Registry, RegistryError};

use crate::fixture::{
    Key, Place, both_engines, claim, device, events, fingerprint, proof, sign_claim, sign_proof,
    trust,
};

both_engines! {
    a_key_that_is_none_is_refused,
    a_key_that_was_only_read_somewhere_can_not_be_entered,
    a_proof_must_be_the_claimed_keys_own,
    a_nonce_stands_on_a_checkpoint_and_proves_once,
    clones_raise_alarms_and_the_first_pin_stays,
    newer_schemas_stop_only_clients_that_they_name,
    a_proof_for_another_product_than_the_claims_is_refused,
}

async fn a_key_that_is_none_is_refused(place: Place) {
    let registry = place.open().await;
    let (p256, rsa) = (Key::p256(), Key::rsa2048());
    let mut off_curve = p256.public_key();
    off_curve[90] ^= 1;
    let mut other_curve = p256.public_key();
    // secp256k1: another last arc, the same length.
    other_curve[15..23].copy_from_slice(&[0x2b, 0x81, 0x04, 0x00, 0x0a, 0x03, 0x42, 0x00]);
    let mut even = rsa.public_key();
    let last_of_modulus = even.len() - 6;
    even[last_of_modulus] &= 0xfe;
    let mut small_exponent = rsa.public_key();
    let length = small_exponent.len();
    small_exponent[length - 3..].copy_from_slice(&[0, 0, 3]);
    let long = [&p256.public_key()[..], &[0]].concat();
    let cases = [
        (Algorithm::P256, Vec::new()),
        (Algorithm::P256, b"-----BEGIN PUBLIC KEY-----".to_vec()),
        (Algorithm::P256, p256.public_key()[..90].to_vec()),
        (Algorithm::P256, long),
        (Algorithm::P256, off_curve),
        (Algorithm::P256, other_curve),
        (Algorithm::P256, rsa.public_key()),
        (Algorithm::Rsa2048, p256.public_key()),
        (Algorithm::Rsa3072, rsa.public_key()),
        (Algorithm::Rsa2048, even),
        (Algorithm::Rsa2048, small_exponent),
    ];
    for (algorithm, public_key) in cases {
        let shown = hex::encode(&public_key);
        let key = if algorithm == Algorithm::P256 {
            &p256
        } else {
            &rsa
        };
        let mut bad = claim(1, key);
        bad.algorithm = AlgorithmName(algorithm);
        bad.public_key = public_key;
        sign_claim(&mut bad, key);
        let error = registry.claim(bad).await.unwrap_err();
        assert!(
            matches!(error, RegistryError::BadPublicKey { .. }),
            "{error}: {shown}"
        );
        assert_eq!(error.failure_code(), FailureCode::KeyUnsuitable);
    }
    assert!(events(&registry, 1).await.is_empty());
}

async fn a_key_that_was_only_read_somewhere_can_not_be_entered(place: Place) {
    let registry = place.open().await;
    let (victim, thief) = (Key::p256(), Key::p256());
    let mut signed_by_thief = claim(1, &victim);
    sign_claim(&mut signed_by_thief, &thief);
    let mut for_another_device = claim(1, &victim);
    for_another_device.device_id = device(2);
    let mut other_challenge = claim(1, &victim);
    other_challenge.challenge[0] ^= 1;
    let mut cut = claim(1, &victim);
    cut.signature.pop();
    for bad in [signed_by_thief, for_another_device, other_challenge, cut] {
        let error = registry.claim(bad).await.unwrap_err();
        assert!(
            matches!(error, RegistryError::PossessionNotShown { .. }),
            "{error}"
        );
        assert_eq!(error.failure_code(), FailureCode::PossessionFailed);
    }
    assert_eq!(
        registry.by_fingerprint(fingerprint(&victim)).await.unwrap(),
        None
    );
}

async fn a_proof_must_be_the_claimed_keys_own(place: Place) {
    let registry = place.open().await;
    let (key, thief) = (Key::p256(), Key::p256());
    let unclaimed = registry.pin(proof(1, &key)).await;
    assert!(matches!(unclaimed, Err(RegistryError::NotClaimed { .. })));
    registry.claim(claim(1, &key)).await.unwrap();

    // Verifies by the key that stands in it, but nobody has claimed that one.
    let own_key = registry.pin(proof(1, &thief)).await;
    assert!(matches!(own_key, Err(RegistryError::NotClaimed { .. })));
    let mut signed_by_thief = proof(1, &key);
    sign_proof(&mut signed_by_thief, &thief);
    let mut other_address = proof(1, &key);
    "evil.example:8883".clone_into(&mut other_address.cloud_address);
    let mut older_record = proof(1, &key);
    older_record.record_sequence = 0;
    for bad in [signed_by_thief, other_address, older_record] {
        let error = registry.pin(bad).await.unwrap_err();
        assert!(
            matches!(error, RegistryError::ProofInvalid { .. }),
            "{error}"
        );
    }
    // Signed by the right key, for another device.
    let error = registry.pin(proof(2, &key)).await.unwrap_err();
    assert!(matches!(
        error,
        RegistryError::ProofDiffersFromClaim {
            what: "device id",
            ..
        }
    ));
    assert_eq!(error.failure_code(), FailureCode::ProofInvalid);
    assert_eq!(registry.pin_of(device(1)).await.unwrap(), None);
    assert_eq!(registry.pin_of(device(2)).await.unwrap(), None);
    assert_eq!(events(&registry, 1).await, ["claimed"]);
}

async fn a_nonce_stands_on_a_checkpoint_and_proves_once(place: Place) {
    let registry = place.open().await;
    let (first, second) = (Key::p256(), Key::p256());
    registry.claim(claim(1, &first)).await.unwrap();
    registry.claim(claim(2, &second)).await.unwrap();
    let mut free = proof(1, &first);
    free.nonce = [9; 32];
    sign_proof(&mut free, &first);
    let refused = registry.pin(free).await;
    assert!(matches!(refused, Err(RegistryError::BadNonce { .. })));

    let good = proof(1, &first);
    registry.pin(good.clone()).await.unwrap();
    let mut repeated = proof(2, &second);
    repeated.nonce = good.nonce;
    repeated.nonce_random = good.nonce_random;
    repeated.nonce_checkpoint_digest = good.nonce_checkpoint_digest;
    sign_proof(&mut repeated, &second);
    let refused = registry.pin(repeated).await;
    assert!(matches!(refused, Err(RegistryError::NonceUsed { .. })));
    assert_eq!(registry.pin_of(device(2)).await.unwrap(), None);
}

async fn clones_raise_alarms_and_the_first_pin_stays(place: Place) {
    let registry = place.open().await;
    let (key, other) = (Key::p256(), Key::p256());
    trust(&registry, 1, &key).await;
    let error = registry.claim(claim(2, &key)).await.unwrap_err();
    assert_eq!(error.failure_code(), FailureCode::KeyBelongsToAnother);
    let error = registry.claim(claim(1, &other)).await.unwrap_err();
    assert_eq!(error.failure_code(), FailureCode::DeviceHasAnotherKey);
    let alarms = registry.alarms(10).await.unwrap();
    for (kind, device_id, shown) in [
        (AlarmKind::KeyBelongsToAnother, device(2), &key),
        (AlarmKind::DeviceHasAnotherKey, device(1), &other),
    ] {
        let both: Vec<_> = alarms.iter().filter(|alarm| alarm.kind == kind).collect();
        let mut sides: Vec<_> = both.iter().map(|alarm| alarm.side).collect();
        sides.sort_by_key(|side| *side == AlarmSide::Holder);
        assert_eq!(sides, [AlarmSide::Refused, AlarmSide::Holder]);
        assert_eq!(both[0].other_station, Some(both[1].station));
        for alarm in both {
            assert_eq!(
                (alarm.device_id, alarm.fingerprint),
                (device_id, fingerprint(shown))
            );
            assert_eq!(alarm.other_device_id, device(1));
            assert_eq!(alarm.other_fingerprint, fingerprint(&key));
            // The evidence is the refused claim, with the signature by the key that was shown.
            let evidence: Claim = serde_json::from_str(&alarm.evidence).unwrap();
            assert_eq!(
                (evidence.device_id, evidence.fingerprint()),
                (device_id, fingerprint(shown))
            );
        }
    }
    let pin = registry.pin_of(device(1)).await.unwrap().unwrap();
    assert_eq!(pin.fingerprint, fingerprint(&key));
    assert_eq!(registry.pin_of(device(2)).await.unwrap(), None);
    assert_eq!(events(&registry, 1).await, ["claimed", "pinned"]);
    assert!(events(&registry, 2).await.is_empty());
}

#[tokio::test]
async fn an_address_that_is_none_is_refused_without_showing_it() {
    for bad in [
        "",
        "mysql://u:secret@host/db",
        "u:secret@host",
        "/var/registry.db",
    ] {
        let error = Registry::connect(bad).await.unwrap_err();
        assert!(matches!(error, RegistryError::BadAddress { .. }), "{bad}");
        assert!(
            !format!("{error} {error:?}").contains("secret"),
            "{error:?}"
        );
    }
    let missing = Registry::connect("sqlite:/nowhere/at/all/registry.db").await;
    assert!(missing.is_err());
}

async fn newer_schemas_stop_only_clients_that_they_name(place: Place) {
    place.open().await.close().await;
    place
        .execute("INSERT INTO _sqlx_migrations SELECT 9999, 'from the future', installed_on, success, checksum, execution_time FROM _sqlx_migrations LIMIT 1")
        .await
        .unwrap();
    let registry = place.open().await;
    registry.ping().await.unwrap();
    registry.close().await;
    place
        .execute("UPDATE meta SET min_client = 2")
        .await
        .unwrap();
    let refused = async { Registry::connect(&place.url()).await?.ping().await };
    let error = refused.await.unwrap_err();
    assert!(matches!(
        error,
        RegistryError::TooNew { needed: 2, ours: 1 }
    ));
    assert_eq!(
        error.to_string(),
        "the registry needs a client of schema version 2 or newer, this one knows 1"
    );
    assert_eq!(error.next(), "Install a newer keyline on this machine.");
}

async fn a_proof_for_another_product_than_the_claims_is_refused(place: Place) {
    let registry = place.open().await;
    let key = Key::p256();
    registry.claim(claim(1, &key)).await.unwrap();
    let mut other = proof(1, &key);
    other.product = keyline_station::record::ProductId::from_bytes([8; 16]);
    sign_proof(&mut other, &key);
    let refused = registry.pin(other).await;
    assert!(matches!(
        refused,
        Err(RegistryError::ProofDiffersFromClaim {
            what: "product",
            ..
        })
    ));
    assert!(registry.pin_of(device(1)).await.unwrap().is_none());
}
