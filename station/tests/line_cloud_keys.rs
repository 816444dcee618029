//! A product's cloud key changes, and its units follow: an open one by a run, which keeps its device key; a sealed one after an erasure
//! and a rework, with a new one. The registry lists those that have not followed yet.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests"
)]

mod common;

use common::{Bench, cloud_key, product, unit};
use keyline_protocol::identity::{DeviceId, LockPolicy, Platform};
use keyline_station::authority::{Bundle, BundleBody, BundleTerms, ProductBundle};
use keyline_station::cloud_key::CloudKey;
use keyline_station::reconcile::{Inputs, Scope, deep};
use keyline_station::record::{
    AlgorithmName, Change, DeviceIdText, FailureCode, KeyPolicyName, LockPolicyName, PlatformName,
    Product, ProductId, UnitState,
};
use keyline_station::registry::{BuildEntry, CarrierFilter, Revocation};
use keyline_virtual_unit::sim::{SimOptions, SimUnit};

/// What the root's keys would sign of this product.
fn bundle(product: &Product, version: u32) -> Bundle {
    let body = ProductBundle {
        name: product.name.parse().unwrap(),
        customer: product.customer.parse().unwrap(),
        platform: PlatformName(product.platform),
        key_policy: KeyPolicyName(product.key_policy),
        algorithm: AlgorithmName(product.algorithm),
        lock_policy: LockPolicyName(product.lock_policy),
        cloud_key: CloudKey::parse(&product.cloud_key).unwrap(),
        cloud_key_version: version,
        cloud_address: product.cloud_address.parse().unwrap(),
        authority_key: None,
        agent_digests: Vec::new(),
        when_registry_unreachable: product.when_registry_unreachable,
        serial_format: None,
    };
    let terms = BundleTerms {
        version: version.into(),
        root: [7; 32],
        issued_ms: 0,
        expires_ms: u64::MAX / 2,
    };
    let body = BundleBody::Product(Box::new(body));
    Bundle::new(product.name.parse().unwrap(), terms, body).unwrap()
}

fn tell_registry(bench: &Bench, version: u32) {
    let (product, bundle) = (&bench.product, bundle(&bench.product, version));
    let entering = bench
        .registry
        .enter_build(product.id, &bundle, bench.station, "test");
    let entered = bench.runtime.block_on(entering).unwrap();
    assert_eq!(entered, BuildEntry::Entered);
}

/// The product gets another cloud key and address, and an order for units that come back.
fn rotate(bench: &mut Bench) {
    let before = bench.product.id;
    bench.product = Product {
        id: ProductId::generate(),
        cloud_key: cloud_key(),
        cloud_address: "new.example:5684".to_owned(),
        ..bench.product.clone()
    };
    bench.commit(vec![
        Change::ProductRetired {
            product: before,
            operator: "test".to_owned(),
        },
        Change::ProductAdded {
            product: bench.product.clone(),
            operator: "test".to_owned(),
        },
    ]);
    tell_registry(bench, 2);
    bench.another_order(|order| order.rework = true);
}

/// The units that have not shown that they carry the latest key.
fn outdated(bench: &Bench) -> Vec<DeviceId> {
    let keys = bench
        .runtime
        .block_on(bench.registry.cloud_keys(Some("thermostat")));
    let latest = keys.unwrap().pop().unwrap();
    let filter = CarrierFilter::Without(latest.fingerprint);
    let asked = bench.registry.carriers("thermostat", filter, None);
    let carriers = bench.runtime.block_on(asked).unwrap();
    carriers
        .into_iter()
        .map(|carrier| carrier.device_id.0)
        .collect()
}

/// The log, the tables and the registry say the same.
fn check(bench: &Bench) {
    let key = bench.runtime.block_on(bench.journal.log_keys()).unwrap();
    let keys: Vec<_> = key.into_iter().map(|key| key.key).collect();
    let inputs = Inputs {
        journal: &bench.journal,
        keys: &keys,
        origin: "test.example/line-1",
        station: bench.station,
        registry: Some(&bench.registry),
        known: &[],
        scope: Scope::Everything,
        scratch: None,
    };
    let mut found = Vec::new();
    let report = bench
        .runtime
        .block_on(deep(inputs, &mut |finding| found.push(finding)));
    assert!(report.unwrap().holds(), "{found:#?}");
}

fn open_bench() -> Bench {
    let bench = Bench::for_product(Product {
        lock_policy: LockPolicy::Open,
        ..product()
    });
    tell_registry(&bench, 1);
    bench
}

#[test]
fn an_open_unit_keeps_its_device_key_and_gets_the_new_cloud_key_and_address() {
    let mut bench = open_bench();
    let units = [1, 2].map(|number| unit(Platform::Nrf51822, number));
    for unit in &units {
        assert_eq!(bench.run(unit).state, UnitState::Passed);
    }
    let pins = units
        .each_ref()
        .map(|unit| bench.pin(unit.device_id()).unwrap());
    assert!(outdated(&bench).is_empty());
    rotate(&mut bench);
    let mut all = units.each_ref().map(SimUnit::device_id).to_vec();
    all.sort_unstable_by_key(|id| *id.as_bytes());
    assert_eq!(outdated(&bench), all);

    let event = bench.run(&units[0]);
    assert_eq!(event.state, UnitState::Passed, "{:?}", event.error);
    assert_eq!(outdated(&bench), [units[1].device_id()]);
    // The same device key, the same pin, one claim; and a proof more, which the registry has.
    assert_eq!(bench.pin(units[0].device_id()).unwrap(), pins[0]);
    let id = DeviceIdText(units[0].device_id());
    let keys = bench.runtime.block_on(bench.registry.keys_of(id)).unwrap();
    assert_eq!(keys.len(), 1);
    let asked = bench
        .registry
        .carriers("thermostat", CarrierFilter::All, None);
    let carriers = bench.runtime.block_on(asked).unwrap();
    let carried = carriers.into_iter().find(|carrier| carrier.device_id == id);
    let proof = carried.unwrap().carried.unwrap().proof;
    assert_eq!(
        proof.cloud_key_fingerprint,
        bench.product.cloud_key_fingerprint()
    );
    assert_eq!(proof.cloud_address, "new.example:5684");
    assert_eq!(proof.record_sequence, 2, "a second record in its flash");
    // Once more changes nothing, and the other one follows.
    assert_eq!(bench.run(&units[0]).state, UnitState::Passed);
    assert_eq!(bench.run(&units[1]).state, UnitState::Passed);
    assert!(outdated(&bench).is_empty());
    check(&bench);
}

#[test]
fn a_unit_that_was_cut_off_on_the_way_to_the_new_key_stays_listed_and_follows_later() {
    let mut bench = open_bench();
    let unit = unit(Platform::Nrf51822, 1);
    bench.run(&unit);
    rotate(&mut bench);
    unit.fault(
        keyline_virtual_unit::sim::Direction::ToUnit,
        4,
        keyline_virtual_unit::sim::FrameFaultKind::PullCable,
    );
    let event = bench.run(&unit);
    assert_eq!(event.state, UnitState::Failed);
    assert_eq!(outdated(&bench), [unit.device_id()]);
    unit.set_cable(true);
    let event = bench.run(&unit);
    assert_eq!(event.state, UnitState::Passed, "{:?}", event.error);
    assert!(outdated(&bench).is_empty());
    check(&bench);
}

#[test]
fn a_unit_of_another_product_is_not_taken_for_one_that_comes_back() {
    let mut bench = open_bench();
    let unit = unit(Platform::Nrf51822, 1);
    bench.run(&unit);
    bench.product.name = "gateway".to_owned();
    rotate(&mut bench);
    let event = bench.run(&unit);
    let failure = event.error.unwrap();
    assert_eq!(failure.code, FailureCode::ProofInvalid);
    assert!(
        failure.message.contains("differ in the product"),
        "{}",
        failure.message
    );
}

#[test]
fn a_sealed_unit_follows_only_after_an_erasure_and_a_rework_with_a_new_device_key() {
    let mut bench = Bench::for_product(product());
    tell_registry(&bench, 1);
    let sealed = unit(Platform::Nrf51822, 1);
    assert_eq!(bench.run(&sealed).state, UnitState::Passed);
    let pin = bench.pin(sealed.device_id()).unwrap();
    rotate(&mut bench);
    // By a run alone: the record in its flash is the old one, and the seal keeps it there.
    let event = bench.run(&sealed);
    let failure = event.error.unwrap();
    assert_eq!(failure.code, FailureCode::UnitSealed, "{}", failure.message);
    assert_eq!(bench.pin(sealed.device_id()), Some(pin.clone()));
    assert_eq!(outdated(&bench), [sealed.device_id()]);

    // `unit rework`, and a chip that was erased.
    let id = DeviceIdText(sealed.device_id());
    bench.commit(vec![
        Change::PinRevoked {
            device_id: id,
            fingerprint: pin.fingerprint,
            operator: "test".to_owned(),
            reason: "new cloud key".to_owned(),
        },
        Change::UnitReleased {
            device_id: id,
            operator: "test".to_owned(),
            reason: "rework: new cloud key".to_owned(),
        },
    ]);
    let revocation = Revocation {
        device_id: id,
        station: bench.station,
        operator: "test".to_owned(),
        reason: "new cloud key".to_owned(),
    };
    bench
        .runtime
        .block_on(bench.registry.revoke(revocation))
        .unwrap();
    assert!(
        outdated(&bench).is_empty(),
        "what is not trusted is not listed"
    );
    let erased = SimUnit::new(SimOptions::seeded(Platform::Nrf51822, (1, 0x4b4c), 4321));
    let event = bench.run(&erased);
    assert_eq!(event.state, UnitState::Passed, "{:?}", event.error);
    assert_ne!(
        bench.pin(sealed.device_id()).unwrap().fingerprint,
        pin.fingerprint
    );
    assert!(outdated(&bench).is_empty());
    let asked = bench.registry.count_carriers("thermostat");
    let counts = bench.runtime.block_on(asked).unwrap();
    let new = bench.product.cloud_key_fingerprint();
    assert_eq!(counts.into_iter().collect::<Vec<_>>(), [(Some(new), 1)]);
    check(&bench);
}
