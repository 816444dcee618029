//! What people entered: acts of two, imports, revocations and products, each held against the log of the station that did it.

use keyline_protocol::identity::{Algorithm, Platform};
use keyline_station::authority::{Act, ActKind, ActTerms, ApprovedAct};
use keyline_station::operator::Role;
use keyline_station::reconcile::Code;
use keyline_station::record::{AlgorithmName, Change, DeviceIdText, RunId, UnitState};
use keyline_station::registry::{ImportRow, ImportTerms, Revocation, TwoPersonAct};

use crate::common::{Bench, cloud_key, unit};
use crate::people::{DAY_MS, NOW_MS, Person, Root, signed};
use crate::story::{Station, begun, closed};
use crate::verify::verify;

fn device(number: u32) -> DeviceIdText {
    DeviceIdText(unit(Platform::Nrf51822, number).device_id())
}

/// The act on which two people agreed that revokes this unit's pin.
fn agreed(bench: &Bench, number: u32) -> ApprovedAct {
    let (root, ann, ben) = (Root::new(), Person::operator(), Person::operator());
    let roster = root.roster(vec![
        ann.as_member(Role::KeyAdministrator),
        ben.as_member(Role::KeyAdministrator),
    ]);
    let act = Act::new(ActTerms {
        kind: ActKind::PinRevoke,
        device_id: device(number),
        old_fingerprint: bench.pin(device(number).0).unwrap().fingerprint,
        new_fingerprint: None,
        root: root.policy.digest(),
        reason: "stolen from the lorry".to_owned(),
        issued_ms: NOW_MS,
        expires_ms: NOW_MS + DAY_MS,
    });
    let note = signed(&act.unwrap().to_text(), &[&ann, &ben]);
    ApprovedAct::verify(&note, &roster, None, NOW_MS).unwrap()
}

fn carry_out(bench: &Bench, act: &ApprovedAct) {
    let carried_out = bench.registry.carry_out(TwoPersonAct::new(act, None));
    bench.runtime.block_on(carried_out).unwrap();
}

/// The leaves of an act, as the command commits them.
fn act_leaves(bench: &Bench, approved: &ApprovedAct) {
    let terms = approved.act().terms();
    bench.commit(vec![
        Change::ActCarriedOut {
            act: approved.act().digest(),
            act_kind: terms.kind.name().to_owned(),
            device_id: terms.device_id,
            old: terms.old_fingerprint,
            new: None,
            note: approved.note().to_owned(),
            operator: "op-1".to_owned(),
        },
        Change::PinRevoked {
            device_id: terms.device_id,
            fingerprint: terms.old_fingerprint,
            operator: approved.requester().to_owned(),
            reason: terms.reason.clone(),
        },
    ]);
}

fn import(bench: &Bench, import: RunId, devices: &[u32]) {
    let rows = devices.iter().map(|number| ImportRow {
        device_id: device(*number),
        algorithm: AlgorithmName(Algorithm::P256),
        public_key: cloud_key(),
        serial: None,
        product: None,
    });
    let terms = ImportTerms {
        id: import,
        operator: "op-1".to_owned(),
    };
    let imported = bench.registry.import(terms, rows.collect());
    let answers = bench.runtime.block_on(imported).unwrap();
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
}

fn import_begins(bench: &Bench, import: RunId) {
    bench.commit(vec![Change::FleetImportBegun {
        import,
        operator: "op-1".to_owned(),
    }]);
}

fn import_ends(bench: &Bench, import: RunId, imported: u64, finished: bool) {
    bench.commit(vec![Change::FleetImportEnded {
        import,
        rows: imported,
        imported,
        already: 0,
        refused: 0,
        finished,
        file: None,
    }]);
}

fn with_units(count: u32) -> Bench {
    let bench = begun();
    for number in 1..=count {
        assert_eq!(
            bench.run(&unit(Platform::Nrf51822, number)).state,
            UnitState::Passed
        );
    }
    bench
}

/// What is verified runs on a runtime of its own.
fn verified(station: &Station) -> crate::verify::Found {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(verify(station))
}

fn tampered(station: &Station, sql: &str) -> crate::verify::Found {
    let copy = station.copy();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        copy.tamper("registry.db", sql).await;
        verify(&copy).await
    })
}

#[test]
fn an_act_has_its_row_and_what_it_took_back_is_not_trusted() {
    let bench = with_units(3);
    // One was carried out, one never got into the registry, one neither but its unit was scrapped since.
    let acts: Vec<_> = (1..=3).map(|number| agreed(&bench, number)).collect();
    for act in &acts {
        act_leaves(&bench, act);
    }
    carry_out(&bench, &acts[0]);
    bench
        .runtime
        .block_on(bench.registry.revoke(Revocation {
            device_id: device(3),
            station: bench.station,
            operator: "op-1".to_owned(),
            reason: "scrapped".to_owned(),
        }))
        .unwrap();
    let station = closed(bench);
    let found = verified(&station);
    let missing = found.expect(
        Code::ActMissing,
        "two people agreed on pin-revoke, the registry still trusts the key",
    );
    assert!(
        missing.place.contains(&device(2).0.to_string()),
        "{missing:?}"
    );
    assert_eq!(found.violations().len(), 1, "{:#?}", found.violations());
    found.expect(Code::ActNotEntered, &format!("unit {}", device(3).0));

    // The registry is put back from before the act.
    let found = tampered(
        &station,
        "DELETE FROM pin_revocation; DELETE FROM act_approval; DELETE FROM act_request",
    );
    assert_eq!(
        found.all(Code::ActMissing).len(),
        3,
        "{:#?}",
        found.findings
    );
}

#[test]
fn an_act_of_which_this_log_says_nothing_is_counted_and_not_judged() {
    let bench = with_units(1);
    let act = agreed(&bench, 1);
    carry_out(&bench, &act);
    import(&bench, RunId::generate(), &[50, 51]);
    let found = verified(&closed(bench));
    let others = found.expect(
        Code::EnteredByOthers,
        "2 keys of imports and 1 act of two people stand in no leaf of this log",
    );
    assert_eq!(others.place, "the registry");
    assert!(found.violations().is_empty(), "{:#?}", found.violations());
}

#[test]
fn a_revocation_or_a_product_in_this_station_s_name_has_a_leaf() {
    let bench = with_units(2);
    let revoke = |number| Revocation {
        device_id: device(number),
        station: bench.station,
        operator: "op-1".to_owned(),
        reason: "scrapped".to_owned(),
    };
    let pin = bench.pin(device(1).0).unwrap();
    bench.commit(vec![Change::PinRevoked {
        device_id: device(1),
        fingerprint: pin.fingerprint,
        operator: "op-1".to_owned(),
        reason: "scrapped".to_owned(),
    }]);
    for number in [1, 2] {
        bench
            .runtime
            .block_on(bench.registry.revoke(revoke(number)))
            .unwrap();
    }
    let id = bench.station;
    let station = closed(bench);
    let found = verified(&station);
    let revoked = found.expect(
        Code::RevocationNotInLog,
        "in this station's name; the log says nothing of it",
    );
    assert!(
        revoked.place.contains(&device(2).0.to_string()),
        "{revoked:?}"
    );
    assert_eq!(found.all(Code::RevocationNotInLog).len(), 1);
    let (product, bundle) = ("99".repeat(16), "98".repeat(32));
    let build = |station: &str| {
        format!(
            "INSERT INTO product_build VALUES (X'{product}', 'sensor', X'{bundle}', X'{station}', 'op-1', 0)"
        )
    };
    let found = tampered(&station, &build(&hex::encode(id.as_bytes())));
    found.expect(Code::BuildNotInLog, &product);
    let found = tampered(&station, &build(&"97".repeat(16)));
    assert!(
        found.all(Code::BuildNotInLog).is_empty(),
        "another station's"
    );
}

#[test]
fn an_import_has_as_many_keys_as_its_leaf_says() {
    let bench = begun();
    let [whole, cut_off, open] = [(); 3].map(|()| RunId::generate());
    import_begins(&bench, whole);
    import(&bench, whole, &[60, 61]);
    import_ends(&bench, whole, 2, true);
    // Its last batch got in, and the answer was lost.
    import_begins(&bench, cut_off);
    import(&bench, cut_off, &[62, 63]);
    import_ends(&bench, cut_off, 1, false);
    // The process was killed.
    import_begins(&bench, open);
    import(&bench, open, &[64]);
    let station = closed(bench);
    let found = verified(&station);
    assert!(found.violations().is_empty(), "{:#?}", found.violations());
    found.expect(
        Code::ImportUnended,
        "it was cut off after 1 keys, the registry has 2 keys",
    );
    found.expect(
        Code::ImportUnended,
        "no leaf says that it ended; the registry has 1 key of it",
    );
    assert_eq!(found.all(Code::ImportUnended).len(), 2);
    assert!(found.all(Code::EnteredByOthers).is_empty());

    let bytes = hex::encode(whole.as_bytes());
    let found = tampered(
        &station,
        &format!(
            "DELETE FROM key_claim WHERE fingerprint = (SELECT min(fingerprint) FROM key_claim WHERE run = X'{bytes}')"
        ),
    );
    found.expect(
        Code::ImportRowsMissing,
        "expected 2 keys of it, as its last leaf says, found 1 key",
    );
    let found = tampered(
        &station,
        &format!(
            "UPDATE key_claim SET run = X'{bytes}' WHERE run = X'{}'",
            hex::encode(open.as_bytes())
        ),
    );
    found.expect(
        Code::ImportRowsAdded,
        "expected 2 keys of it, as its last leaf says, found 3 keys",
    );
}
