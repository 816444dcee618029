//! Acts of two people: a key is revoked, or another one takes its place, once, and the old one is kept.

use keyline_station::authority::{
    AcceptedBundle, Act, ActKind, ActTerms, ApprovedAct, Bundle, BundleBody, Possession,
};
use keyline_station::operator::Role;
use keyline_station::record::{AlgorithmName, RunId, StationId};
use keyline_station::registry::{
    ActReceipt, ImportRow, ImportTerms, RegistryError, Revocation, TwoPersonAct,
};

use crate::fixture::{Key, Place, both_engines, claim, device, events, fingerprint, proof, trust};
use crate::people::{DAY_MS, NOW_MS, Person, Root, signed};

both_engines! {
    two_people_revoke_a_key_once_and_it_never_returns,
    two_people_give_a_device_another_key_and_the_old_one_is_kept,
    the_registry_keeps_who_may_say_yes_and_takes_nothing_back,
    an_auditor_counts_acts_and_imports_and_pages_through_a_station_s_revocations,
}

pub(crate) struct Office {
    root: Root,
    ann: Person,
    ben: Person,
    roster: AcceptedBundle,
}

impl Office {
    pub(crate) fn new() -> Self {
        let (root, ann, ben) = (Root::new(), Person::operator(), Person::operator());
        let members = vec![
            ann.as_member(Role::KeyAdministrator),
            ben.as_member(Role::KeyAdministrator),
        ];
        let roster = root.roster(members);
        Self {
            root,
            ann,
            ben,
            roster,
        }
    }

    pub(crate) fn act(&self, kind: ActKind, n: u32, old: &Key, new: Option<&Key>) -> Act {
        Act::new(ActTerms {
            kind,
            device_id: device(n),
            old_fingerprint: fingerprint(old),
            new_fingerprint: new.map(fingerprint),
            root: self.root.policy.digest(),
            reason: "stolen from the lorry".to_owned(),
            issued_ms: NOW_MS,
            expires_ms: NOW_MS + DAY_MS,
        })
        .unwrap()
    }

    /// The act with both signatures, and that of the new key's holder.
    pub(crate) fn agreed(&self, act: &Act, new: Option<&Key>) -> TwoPersonAct {
        let note = signed(&act.to_text(), &[&self.ann, &self.ben]);
        let possession = new.map(|key| Possession {
            algorithm: AlgorithmName(key.algorithm()),
            public_key: key.public_key(),
            signature: key.sign(act.to_text().as_bytes()),
        });
        let approved = ApprovedAct::verify(&note, &self.roster, possession.as_ref(), NOW_MS);
        TwoPersonAct::new(&approved.unwrap(), possession)
    }
}

async fn two_people_revoke_a_key_once_and_it_never_returns(place: Place) {
    let (office, registry) = (Office::new(), place.open().await);
    let (key, other) = (Key::p256(), Key::p256());
    trust(&registry, 1, &key).await;
    let act = office.act(ActKind::PinRevoke, 1, &key, None);
    let agreed = office.agreed(&act, None);
    let done = registry.carry_out(agreed.clone()).await.unwrap();
    assert_eq!(done, ActReceipt { already: false });
    assert_eq!(registry.pin_of(device(1)).await.unwrap(), None);
    // The answer was lost: the very act again is no second one.
    let again = registry.carry_out(agreed).await.unwrap();
    assert_eq!(again, ActReceipt { already: true });
    assert_eq!(events(&registry, 1).await, ["claimed", "pinned", "revoked"]);
    let history = registry.history(device(1)).await.unwrap();
    assert_eq!(history[2].operator.as_deref(), Some(office.ann.key.name()));
    assert_eq!(history[2].reason.as_deref(), Some("stolen from the lorry"));
    let back = registry.claim(claim(1, &key)).await;
    assert!(matches!(back, Err(RegistryError::KeyRevoked { .. })));
    // An act about a key that the device does not have, and about a device without one.
    trust(&registry, 2, &other).await;
    let wrong = office.agreed(&office.act(ActKind::PinRevoke, 2, &key, None), None);
    let refused = registry.carry_out(wrong).await;
    assert!(
        matches!(refused, Err(RegistryError::DeviceHasAnotherKey { active, .. }) if active == fingerprint(&other))
    );
    let nobody = office.agreed(&office.act(ActKind::PinRevoke, 3, &key, None), None);
    let refused = registry.carry_out(nobody).await;
    assert!(matches!(refused, Err(RegistryError::NotPinned(_))));
}

async fn two_people_give_a_device_another_key_and_the_old_one_is_kept(place: Place) {
    let (office, registry) = (Office::new(), place.open().await);
    let (old, new, next) = (Key::p256(), Key::p256(), Key::p256());
    trust(&registry, 1, &old).await;
    let act = office.act(ActKind::PinRotate, 1, &old, Some(&new));
    registry
        .carry_out(office.agreed(&act, Some(&new)))
        .await
        .unwrap();
    let pin = registry.pin_of(device(1)).await.unwrap().unwrap();
    assert_eq!(pin.fingerprint, fingerprint(&new));
    let expected = ["claimed", "pinned", "revoked", "claimed", "pinned"];
    assert_eq!(events(&registry, 1).await, expected);
    let states: Vec<_> = registry.keys_of(device(1)).await.unwrap();
    let states: Vec<_> = states.iter().map(|pin| pin.state.as_str()).collect();
    assert_eq!(states, ["revoked", "active"]);
    // The unit that comes back to a bench with the new key is known, and proves it there.
    assert!(registry.claim(claim(1, &new)).await.unwrap().pinned);
    registry.pin(proof(1, &new)).await.unwrap();
    // Neither the old key nor another device's key can take its place.
    for used in [&old, &next] {
        trust(&registry, 2, &next).await;
        let act = office.act(ActKind::PinRotate, 1, &new, Some(used));
        let refused = registry.carry_out(office.agreed(&act, Some(used))).await;
        assert!(
            matches!(
                refused,
                Err(RegistryError::KeyBurnt { .. } | RegistryError::KeyBelongsToAnother { .. })
            ),
            "{refused:?}"
        );
    }
    assert_eq!(events(&registry, 1).await, expected);
}

async fn an_auditor_counts_acts_and_imports_and_pages_through_a_station_s_revocations(
    place: Place,
) {
    let (office, registry) = (Office::new(), place.open().await);
    let keys: Vec<_> = (0..8).map(|_| Key::p256()).collect();
    for (n, key) in (0..).zip(&keys) {
        trust(&registry, n, key).await;
    }
    let act = office.act(ActKind::PinRevoke, 7, &keys[7], None);
    assert!(!registry.has_act(act.digest()).await.unwrap());
    registry.carry_out(office.agreed(&act, None)).await.unwrap();
    assert!(registry.has_act(act.digest()).await.unwrap());
    assert_eq!(registry.act_count().await.unwrap(), 1);

    // Five of this station, one of another, one by the act.
    let (station, other) = (StationId::generate(), StationId::generate());
    for n in 0..6 {
        let revocation = Revocation {
            device_id: device(n),
            station: if n < 5 { station } else { other },
            operator: "op-1".to_owned(),
            reason: "scrapped".to_owned(),
        };
        registry.revoke(revocation).await.unwrap();
    }
    let (mut after, mut found) = (None, Vec::new());
    loop {
        let page = registry.revocations_of_station(station, after, 2);
        let page = page.await.unwrap();
        let Some(last) = page.last() else { break };
        assert!(page.len() <= 2);
        after = Some((last.device_id, last.generation));
        found.extend(page.iter().map(|row| (row.device_id, row.fingerprint)));
    }
    let expected: Vec<_> = (0..5)
        .map(|n| (device(n), fingerprint(&keys[n as usize])))
        .collect();
    found.sort_by_key(|(device, _)| *device.0.as_bytes());
    let mut sorted = expected;
    sorted.sort_by_key(|(device, _)| *device.0.as_bytes());
    assert_eq!(found, sorted);

    let (first, second) = (RunId::generate(), RunId::generate());
    for (import, devices) in [(first, 20..23), (second, 23..24)] {
        let row = |n| {
            let key = Key::p256();
            ImportRow {
                device_id: device(n),
                algorithm: AlgorithmName(key.algorithm()),
                public_key: key.public_key(),
                serial: None,
                product: None,
            }
        };
        let terms = ImportTerms {
            id: import,
            operator: "op-1".to_owned(),
        };
        let answers = registry
            .import(terms, devices.map(row).collect())
            .await
            .unwrap();
        assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    }
    assert_eq!(registry.import_count(first).await.unwrap(), 3);
    assert_eq!(registry.import_count(RunId::generate()).await.unwrap(), 0);
    assert_eq!(registry.all_imports_count().await.unwrap(), 4);
}

async fn the_registry_keeps_who_may_say_yes_and_takes_nothing_back(place: Place) {
    let (office, other, registry) = (Office::new(), Root::new(), place.open().await);
    assert!(matches!(
        registry.enter_bundle(&office.roster).await,
        Err(RegistryError::NoRoot)
    ));
    registry.begin_root(&office.root.policy).await.unwrap();
    registry.begin_root(&office.root.policy).await.unwrap();
    let refused = registry.begin_root(&other.policy).await;
    assert!(matches!(refused, Err(RegistryError::RootKnown { .. })));
    let kept = registry.root_policy().await.unwrap().unwrap();
    assert_eq!(kept.digest(), office.root.policy.digest());

    let members = office.roster.roster().unwrap().clone();
    let version = |version| {
        let body = BundleBody::Roster(members.clone());
        let terms = office.root.terms(version);
        let bundle = Bundle::new("acme".parse().unwrap(), terms, body).unwrap();
        let note = office.root.sign(&bundle);
        Bundle::verify(&note, &office.root.policy, NOW_MS, None).unwrap()
    };
    for number in [1, 2, 2] {
        registry.enter_bundle(&version(number)).await.unwrap();
    }
    let back = registry.enter_bundle(&version(1)).await;
    assert!(
        matches!(
            back,
            Err(RegistryError::BundleRolledBack {
                known: 2,
                got: 1,
                ..
            })
        ),
        "{back:?}"
    );
    let foreign = other.roster(vec![office.ann.as_member(Role::KeyAdministrator)]);
    let refused = registry.enter_bundle(&foreign).await;
    assert!(matches!(refused, Err(RegistryError::OtherRoot { .. })));
    let bundles = registry.bundles().await.unwrap();
    assert_eq!((bundles.len(), bundles[0].version), (1, 2));
    assert_eq!(bundles[0].note, version(2).note());
}
