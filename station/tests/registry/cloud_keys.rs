//! Versions of cloud keys, and which devices carry which: by the newest proof under each active pin.

use std::collections::BTreeMap;

use keyline_protocol::identity::{KeyPolicy, LockPolicy, Platform, fingerprint as digest_of};
use keyline_station::authority::{AuthorityError, Bundle, BundleBody, ProductBundle};
use keyline_station::cloud_key::CloudKey;
use keyline_station::record::{
    AlgorithmName, KeyPolicyName, LockPolicyName, PlatformName, ProductId, Proof, StationId,
    WhenRegistryUnreachable,
};
use keyline_station::registry::{
    BuildEntry, CarrierFilter, EnteredBy, ImportRow, ImportTerms, Registry, RegistryError,
};

use crate::fixture::{
    Key, PRODUCT, Place, both_engines, claim, device, fingerprint, proof, revoke, sign_claim,
    sign_proof,
};
use crate::people::{NOW_MS, Root};

both_engines! {
    a_cloud_key_has_one_number_for_ever_and_none_comes_back,
    a_device_carries_what_its_newest_proof_shows,
    a_device_comes_back_for_a_later_bundle_of_its_product_only,
    many_devices_come_page_by_page,
}

/// The next bundle of a product, whose ids and versions of each kind are numbers.
const NEXT: ProductId = ProductId::from_bytes([8; 16]);
const OTHER: ProductId = ProductId::from_bytes([9; 16]);

fn bundle(root: &Root, name: &str, version: u64, (number, key): (u32, &Key)) -> Bundle {
    let product = ProductBundle {
        name: name.parse().unwrap(),
        customer: "acme".parse().unwrap(),
        platform: PlatformName(Platform::Nrf51822),
        key_policy: KeyPolicyName(KeyPolicy::OnDevice),
        algorithm: AlgorithmName(key.algorithm()),
        lock_policy: LockPolicyName(LockPolicy::Open),
        cloud_key: CloudKey::parse(&key.public_key()).unwrap(),
        cloud_key_version: number,
        cloud_address: "cloud.example:8883".parse().unwrap(),
        authority_key: None,
        agent_digests: Vec::new(),
        when_registry_unreachable: WhenRegistryUnreachable::Stop,
        serial_format: None,
    };
    let body = BundleBody::Product(Box::new(product));
    Bundle::new(name.parse().unwrap(), root.terms(version), body).unwrap()
}

fn kate() -> EnteredBy {
    EnteredBy {
        station: None,
        operator: "kate".to_owned(),
    }
}

/// Publishes a bundle as a key administrator does, and says that a station builds it under this id.
async fn publish(registry: &Registry, root: &Root, bundle: &Bundle, id: ProductId) {
    registry.begin_root(&root.policy).await.unwrap();
    let note = root.sign(bundle);
    let accepted = Bundle::verify(&note, &root.policy, NOW_MS, None).unwrap();
    registry.enter_bundle(&accepted).await.unwrap();
    registry.enter_cloud_key(bundle, &kate()).await.unwrap();
    let entered = registry.enter_build(id, bundle, StationId::generate(), "op-1");
    assert_eq!(entered.await.unwrap(), BuildEntry::Entered);
}

/// Proves a device with this cloud key, for this product.
async fn prove(
    registry: &Registry,
    (n, key): (u32, &Key),
    cloud: &Key,
    product: ProductId,
) -> Result<Proof, RegistryError> {
    let mut claimed = claim(n, key);
    claimed.product = product;
    sign_claim(&mut claimed, key);
    registry.claim(claimed).await?;
    let mut shown = proof(n, key);
    shown.product = product;
    shown.cloud_key_fingerprint = digest_of(&cloud.public_key());
    sign_proof(&mut shown, key);
    registry.pin(shown.clone()).await?;
    Ok(shown)
}

async fn listed(registry: &Registry, filter: CarrierFilter) -> Vec<u32> {
    let carriers = registry.carriers("sensor", filter, None).await.unwrap();
    let number = |n: &u32| {
        let wanted = device(*n);
        carriers.iter().any(|carrier| carrier.device_id == wanted)
    };
    let found: Vec<_> = (1..100).filter(number).collect();
    assert_eq!(found.len(), carriers.len());
    found
}

async fn a_cloud_key_has_one_number_for_ever_and_none_comes_back(place: Place) {
    let (root, registry) = (Root::new(), place.open().await);
    let keys = [Key::p256(), Key::p256(), Key::p256()];
    assert!(registry.cloud_keys(None).await.unwrap().is_empty());
    let first = bundle(&root, "sensor", 1, (1, &keys[0]));
    publish(&registry, &root, &first, PRODUCT).await;
    // The same key with another bundle is the same version; one more time changes nothing.
    for version in [2, 2] {
        let same = bundle(&root, "sensor", version, (1, &keys[0]));
        publish(&registry, &root, &same, PRODUCT).await;
    }
    let second = bundle(&root, "sensor", 3, (2, &keys[1]));
    publish(&registry, &root, &second, NEXT).await;
    let known = registry.cloud_keys(Some("sensor")).await.unwrap();
    let short: Vec<_> = known
        .iter()
        .map(|key| (key.version, key.fingerprint, key.bundle))
        .collect();
    assert_eq!(
        short,
        [
            (1, fingerprint(&keys[0]), first.digest()),
            (2, fingerprint(&keys[1]), second.digest())
        ]
    );
    assert_eq!(known[0].address, "cloud.example:8883");
    // Entered by a person, or, on a file, by its one station.
    assert!(known.iter().all(|key| key.by == kate()), "{known:?}");
    assert!(
        registry
            .cloud_keys(Some("gateway"))
            .await
            .unwrap()
            .is_empty()
    );

    let refused = |number, key| {
        let bundle = bundle(&root, "sensor", 4, (number, key));
        let registry = &registry;
        async move {
            match registry.enter_cloud_key(&bundle, &kate()).await {
                Err(RegistryError::Authority(error)) => *error,
                other => panic!("{other:?}"),
            }
        }
    };
    // Back to the first key as a third version; the second number for another key; the present key twice.
    assert!(matches!(
        refused(3, &keys[0]).await,
        AuthorityError::CloudKeyReturns {
            known: 1,
            got: 3,
            ..
        }
    ));
    assert!(matches!(
        refused(2, &keys[2]).await,
        AuthorityError::CloudKeyNumberTaken { version: 2, .. }
    ));
    assert!(matches!(
        refused(3, &keys[1]).await,
        AuthorityError::CloudKeyReturns {
            known: 2,
            got: 3,
            ..
        }
    ));
    assert_eq!(registry.cloud_keys(None).await.unwrap(), known);
    // A bundle of before that is entered once more takes nothing back.
    registry.enter_cloud_key(&first, &kate()).await.unwrap();
    assert_eq!(registry.cloud_keys(None).await.unwrap(), known);
    // Another product counts for itself.
    let other = bundle(&root, "gateway", 1, (1, &keys[1]));
    publish(&registry, &root, &other, OTHER).await;
    assert_eq!(registry.cloud_keys(None).await.unwrap().len(), 3);

    // Neither does the database take one number or one key twice.
    for (number, key) in [(2, "11"), (9, &hex::encode(fingerprint(&keys[0]))[..2])] {
        let key = if number == 2 {
            key.repeat(32)
        } else {
            hex::encode(fingerprint(&keys[0]))
        };
        let (zero, bytes) = match &place {
            Place::Sqlite(_) => (format!("X'{}'", "00".repeat(32)), format!("X'{key}'")),
            Place::Postgres(_) => (format!("'\\x{}'", "00".repeat(32)), format!("'\\x{key}'")),
        };
        let sql = format!(
            "INSERT INTO cloud_key VALUES ('sensor', {number}, {bytes}, {bytes}, 'a:1', {zero}, NULL, 'op', 0)"
        );
        let words = place.execute(&sql).await.unwrap_err();
        assert!(
            words.contains("cloud_key") || words.contains("UNIQUE"),
            "{words}"
        );
    }
}

async fn a_device_carries_what_its_newest_proof_shows(place: Place) {
    let (root, registry) = (Root::new(), place.open().await);
    let (old, new) = (Key::p256(), Key::p256());
    let first = bundle(&root, "sensor", 1, (1, &old));
    publish(&registry, &root, &first, PRODUCT).await;
    let units: Vec<_> = (1..=4).map(|n| (n, Key::p256())).collect();
    for (n, key) in &units {
        prove(&registry, (*n, key), &old, PRODUCT).await.unwrap();
    }
    let second = bundle(&root, "sensor", 2, (2, &new));
    publish(&registry, &root, &second, NEXT).await;
    let (old_key, new_key) = (fingerprint(&old), fingerprint(&new));
    let outdated = CarrierFilter::Without(new_key);
    assert_eq!(listed(&registry, outdated).await, [1, 2, 3, 4]);

    // One comes back, proves itself with the new key, and keeps its own; one is revoked and counts no more.
    let shown = prove(&registry, (2, &units[1].1), &new, NEXT)
        .await
        .unwrap();
    revoke(&registry, 3, "scrapped").await.unwrap();
    assert_eq!(listed(&registry, outdated).await, [1, 4]);
    assert_eq!(listed(&registry, CarrierFilter::With(new_key)).await, [2]);
    assert_eq!(listed(&registry, CarrierFilter::All).await, [1, 2, 4]);
    let pin = registry.pin_of(device(2)).await.unwrap().unwrap();
    assert_eq!(pin.fingerprint, fingerprint(&units[1].1));
    let carriers = registry.carriers("sensor", CarrierFilter::With(new_key), None);
    let carried = carriers.await.unwrap().remove(0).carried.unwrap();
    assert_eq!((&*carried.proof, carried.station), (&shown, shown.station));

    // A device that was imported has shown nothing; it is not counted as one that carries the latest key.
    let imported = Key::p256();
    let row = ImportRow {
        device_id: device(9),
        algorithm: AlgorithmName(imported.algorithm()),
        public_key: imported.public_key(),
        serial: None,
        product: Some("sensor".to_owned()),
    };
    let terms = ImportTerms {
        id: keyline_station::record::RunId::generate(),
        operator: "op-1".to_owned(),
    };
    let answers = registry.import(terms, vec![row]).await.unwrap();
    assert!(answers[0].is_ok(), "{answers:?}");
    assert_eq!(listed(&registry, outdated).await, [1, 4, 9]);
    let expected = BTreeMap::from([(None, 1), (Some(old_key), 2), (Some(new_key), 1)]);
    assert_eq!(registry.count_carriers("sensor").await.unwrap(), expected);
    // And then it comes to a bench.
    prove(&registry, (9, &imported), &new, NEXT).await.unwrap();
    assert_eq!(listed(&registry, outdated).await, [1, 4]);
    assert!(registry.count_carriers("gateway").await.unwrap().is_empty());
}

#[track_caller]
fn assert_other_product(refused: &RegistryError) {
    assert!(
        matches!(
            refused,
            RegistryError::ProofDiffersFromClaim {
                what: "product",
                ..
            }
        ),
        "{refused}"
    );
}

async fn a_device_comes_back_for_a_later_bundle_of_its_product_only(place: Place) {
    let (root, registry) = (Root::new(), place.open().await);
    let (old, new) = (Key::p256(), Key::p256());
    let first = bundle(&root, "sensor", 1, (1, &old));
    publish(&registry, &root, &first, PRODUCT).await;
    let gateway = bundle(&root, "gateway", 1, (1, &new));
    publish(&registry, &root, &gateway, OTHER).await;
    let key = Key::p256();
    prove(&registry, (1, &key), &old, PRODUCT).await.unwrap();
    // As another product, and as one that the registry has never heard of.
    for product in [OTHER, NEXT] {
        let refused = prove(&registry, (1, &key), &new, product)
            .await
            .unwrap_err();
        assert_other_product(&refused);
    }
    let second = bundle(&root, "sensor", 2, (2, &new));
    publish(&registry, &root, &second, NEXT).await;
    prove(&registry, (1, &key), &new, NEXT).await.unwrap();
    // A key that is not trusted yet has to prove itself as what it was claimed for.
    let pending = Key::p256();
    registry.claim(claim(2, &pending)).await.unwrap();
    let refused = prove(&registry, (2, &pending), &new, NEXT)
        .await
        .unwrap_err();
    assert_other_product(&refused);
}

async fn many_devices_come_page_by_page(place: Place) {
    const UNITS: u32 = 1_300;
    let (root, registry) = (Root::new(), place.open().await);
    let cloud = Key::p256();
    publish(
        &registry,
        &root,
        &bundle(&root, "sensor", 1, (1, &cloud)),
        PRODUCT,
    )
    .await;
    let shared = proof(1, &Key::p256());
    let record = serde_json::to_string(&shared).unwrap();
    let bytes = |hex: String| match &place {
        Place::Sqlite(_) => format!("X'{hex}'"),
        Place::Postgres(_) => format!("'\\x{hex}'"),
    };
    let (station, product) = (
        bytes("05".repeat(16)),
        bytes(hex::encode(PRODUCT.as_bytes())),
    );
    let carried = bytes(hex::encode(fingerprint(&cloud)));
    let statement = |n: u32| {
        let id = bytes(hex::encode(device(n).0.as_bytes()));
        let key = bytes(format!("{n:064x}"));
        format!(
            "INSERT INTO key_claim (fingerprint, device_id, generation, turn, basis, algorithm, made, public_key, challenge, signature, \
             station, customer, product, work_order, run, rework, claimed_at_ms) VALUES ({key}, {id}, 1, 1, 'bench', 'p256', 'on-device', \
             {key}, {key}, {key}, {station}, 'acme', {product}, {station}, {station}, 0, 1); \
             INSERT INTO proof VALUES ({key}, {id}, {key}, {station}, {carried}, '{record}', 2); \
             INSERT INTO pin VALUES ({id}, 1, 1, {key}, 0, {station}, 3);"
        )
    };
    // As much as a server's client takes on its command line.
    for first in (1..=UNITS).step_by(40) {
        let sql: String = (first..=UNITS.min(first + 39)).map(statement).collect();
        place
            .execute(&format!("BEGIN; {sql} COMMIT"))
            .await
            .unwrap();
    }
    let (mut after, mut pages, mut found) = (None, Vec::new(), Vec::new());
    loop {
        let page = registry.carriers("sensor", CarrierFilter::All, after);
        let page = page.await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.device_id);
        pages.push(page.len());
        found.extend(
            page.iter()
                .map(|carrier| carrier.device_id.0.as_bytes().to_vec()),
        );
    }
    assert_eq!(pages, [1_000, 300]);
    assert!(
        found.windows(2).all(|pair| pair[0] < pair[1]),
        "by device id, each once"
    );
    let counts = registry.count_carriers("sensor").await.unwrap();
    assert_eq!(
        counts,
        BTreeMap::from([(Some(fingerprint(&cloud)), u64::from(UNITS))])
    );
}
