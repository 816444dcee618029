//! A serial names one living unit of its product, whoever asks, and everything that it ever named stays on record.

use std::sync::Arc;

use keyline_station::authority::ActKind;
use keyline_station::record::{AlgorithmName, FailureCode, Label, PinReceipt, RunId, StationId};
use keyline_station::registry::{ImportRow, ImportTerms, Registry, RegistryError, SerialUse};

use crate::acts::Office;
use crate::fixture::{
    Key, Place, both_engines, claim, device, fingerprint, label, labelled, proof, revoke,
    sign_claim, sign_proof, trust,
};

both_engines! {
    a_serial_in_use_is_refused_at_the_claim_and_at_the_pin_with_who_has_it,
    the_same_unit_with_the_same_serial_is_entered_once,
    a_unit_has_one_serial_of_a_product,
    of_many_units_one_gets_the_serial_whichever_station_asks,
    a_swapped_board_hands_its_serial_on_and_the_history_stays,
    a_serial_goes_over_to_a_unit_s_next_key,
    a_late_unit_is_refused_as_a_whole_when_its_serial_is_taken,
    an_import_enters_serials_and_refuses_those_that_are_taken,
    no_row_makes_a_second_living_use,
}

/// Claims and pins a unit with a label.
async fn enter(
    registry: &Registry,
    n: u32,
    key: &Key,
    label: &Label,
) -> Result<PinReceipt, RegistryError> {
    registry.claim(labelled(claim(n, key), label)).await?;
    registry.pin(labelled(proof(n, key), label)).await
}

/// Whom a serial names and named: the unit's number, and whether it still does.
async fn uses(registry: &Registry, serial: &str) -> Vec<(u32, bool)> {
    let found = registry.uses_of_serial(serial).await.unwrap();
    let turns: Vec<_> = found.iter().map(|one| one.turn).collect();
    assert_eq!(turns, (1..=found.len() as u64).collect::<Vec<_>>());
    let number = |one: &SerialUse| (0..100).find(|n| device(*n) == one.device_id).unwrap();
    found
        .iter()
        .map(|one| (number(one), one.is_living()))
        .collect()
}

async fn a_serial_in_use_is_refused_at_the_claim_and_at_the_pin_with_who_has_it(place: Place) {
    let (first, second) = (place.open().await, place.open().await);
    let (winner, loser) = (Key::p256(), Key::p256());
    let wanted = label("thermostat", "TH-1");
    // Nobody has it when both claim.
    second
        .claim(labelled(claim(2, &loser), &wanted))
        .await
        .unwrap();
    enter(&first, 1, &winner, &wanted).await.unwrap();
    let since = first.uses_of_serial("TH-1").await.unwrap()[0].used_at_ms;
    let at_the_pin = second.pin(labelled(proof(2, &loser), &wanted)).await;
    let again = second.claim(labelled(claim(2, &loser), &wanted)).await;
    let stranger = second
        .claim(labelled(claim(3, &Key::p256()), &wanted))
        .await;
    for refused in [at_the_pin.map(drop), again.map(drop), stranger.map(drop)] {
        let error = refused.unwrap_err();
        assert!(
            matches!(&error, RegistryError::SerialInUse { holder, since_ms, .. } if *holder == device(1) && *since_ms == since),
            "{error}"
        );
        assert_eq!(error.failure_code(), FailureCode::SerialInUse);
        let words = format!(
            "serial \"TH-1\" of product thermostat names unit {} since {}; unit",
            device(1).0,
            keyline_station::clock::text(since)
        );
        assert!(error.to_string().starts_with(&words), "{error}");
    }
    assert_eq!(second.pin_of(device(2)).await.unwrap(), None);
    assert!(second.keys_of(device(3)).await.unwrap().is_empty());
    // It is no alarm by itself; another product has serials of its own, and the unit passes with one that is free.
    assert!(first.alarms(10).await.unwrap().is_empty());
    enter(&second, 4, &Key::p256(), &label("valve", "TH-1"))
        .await
        .unwrap();
    enter(&second, 2, &loser, &label("thermostat", "TH-2"))
        .await
        .unwrap();
    // A clone is a clone, whatever its label says.
    let clone = second.claim(labelled(claim(5, &winner), &wanted)).await;
    assert!(matches!(
        clone,
        Err(RegistryError::KeyBelongsToAnother { .. })
    ));
    assert_eq!(first.alarms(10).await.unwrap().len(), 2);
}

async fn the_same_unit_with_the_same_serial_is_entered_once(place: Place) {
    let registry = place.open().await;
    let (key, wanted) = (Key::p256(), label("thermostat", "TH-1"));
    enter(&registry, 1, &key, &wanted).await.unwrap();
    // Its answer was lost, and the unit was run again: with the same proof, with another one, at another station, without a scan.
    let shown = proof(1, &key);
    for _ in 0..2 {
        let again = registry.pin(labelled(shown.clone(), &wanted)).await;
        assert_eq!(again.unwrap(), PinReceipt { already: true });
    }
    let elsewhere = place.open().await;
    assert!(enter(&elsewhere, 1, &key, &wanted).await.unwrap().already);
    registry.pin(proof(1, &key)).await.unwrap();
    assert_eq!(uses(&registry, "TH-1").await, [(1, true)]);
    // A unit that was pinned without a label gets one when it comes back with it.
    let plain = Key::p256();
    trust(&registry, 2, &plain).await;
    enter(&registry, 2, &plain, &label("thermostat", "TH-2"))
        .await
        .unwrap();
    assert_eq!(uses(&registry, "TH-2").await, [(2, true)]);
}

async fn a_unit_has_one_serial_of_a_product(place: Place) {
    let registry = place.open().await;
    let key = Key::p256();
    enter(&registry, 1, &key, &label("thermostat", "TH-1"))
        .await
        .unwrap();
    let other = enter(&registry, 1, &key, &label("thermostat", "TH-2")).await;
    let error = other.unwrap_err();
    assert_eq!(error.failure_code(), FailureCode::UnitHasAnotherSerial);
    assert_eq!(
        error.to_string(),
        format!(
            "unit {} has the serial \"TH-1\" of product thermostat, got \"TH-2\"",
            device(1).0
        )
    );
    assert!(uses(&registry, "TH-2").await.is_empty());
    let found = registry.serials_of(&[device(1)]).await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].label, label("thermostat", "TH-1"));
}

async fn of_many_units_one_gets_the_serial_whichever_station_asks(place: Place) {
    let stations = [place.open().await, place.open().await, place.open().await];
    let wanted = Arc::new(label("thermostat", "TH-1"));
    let mut runs = tokio::task::JoinSet::new();
    for n in 0..30 {
        let registry = stations[n as usize % stations.len()].clone();
        let wanted = Arc::clone(&wanted);
        runs.spawn(async move {
            let key = Key::p256();
            // All are at the pin before the first one has it.
            registry.claim(claim(n, &key)).await.unwrap();
            (n, registry.pin(labelled(proof(n, &key), &wanted)).await)
        });
    }
    let mut winners = Vec::new();
    for (n, outcome) in runs.join_all().await {
        match outcome {
            Ok(_) => winners.push(n),
            Err(error) => assert_eq!(error.failure_code(), FailureCode::SerialInUse, "{error}"),
        }
    }
    assert_eq!(winners.len(), 1);
    assert_eq!(uses(&stations[0], "TH-1").await, [(winners[0], true)]);
    for n in 0..30 {
        let pinned = stations[0].pin_of(device(n)).await.unwrap().is_some();
        assert_eq!(pinned, winners[0] == n, "{n}");
    }
}

async fn a_swapped_board_hands_its_serial_on_and_the_history_stays(place: Place) {
    let (first, second) = (place.open().await, place.open().await);
    let wanted = label("thermostat", "TH-1");
    let (old, new) = (Key::p256(), Key::p256());
    enter(&first, 1, &old, &wanted).await.unwrap();
    let refused = enter(&second, 2, &new, &wanted).await;
    assert!(matches!(refused, Err(RegistryError::SerialInUse { .. })));
    // The old board is scrapped; its label goes on the new one, at another station.
    revoke(&first, 1, "board swapped").await.unwrap();
    assert_eq!(uses(&first, "TH-1").await, [(1, false)]);
    enter(&second, 2, &new, &wanted).await.unwrap();
    assert_eq!(uses(&first, "TH-1").await, [(1, false), (2, true)]);
    // The old board comes back from repair, and gets another label: the first one is taken.
    let mut rework = claim(1, &Key::p256());
    rework.rework = true;
    let refused = first.claim(labelled(rework, &wanted)).await;
    assert!(matches!(refused, Err(RegistryError::SerialInUse { .. })));
    let next = Key::p256();
    let mut rework = claim(1, &next);
    rework.rework = true;
    let other = label("thermostat", "TH-9");
    first.claim(labelled(rework, &other)).await.unwrap();
    first.pin(labelled(proof(1, &next), &other)).await.unwrap();
    // And back again.
    revoke(&second, 2, "board swapped").await.unwrap();
    enter(&second, 3, &Key::p256(), &wanted).await.unwrap();
    let expected = [(1, false), (2, false), (3, true)];
    assert_eq!(uses(&second, "TH-1").await, expected);
    let history = second.uses_of_serial("TH-1").await.unwrap();
    for pair in history.windows(2) {
        assert!(pair[0].used_at_ms <= pair[0].released_at_ms.unwrap());
        assert!(pair[0].released_at_ms.unwrap() <= pair[1].used_at_ms);
    }
    let of_unit = second.serials_of(&[device(1)]).await.unwrap();
    let of_unit: Vec<_> = of_unit
        .iter()
        .map(|one| (one.label.serial.as_str(), one.generation, one.is_living()))
        .collect();
    assert_eq!(of_unit, [("TH-1", 1, false), ("TH-9", 2, true)]);
}

async fn a_serial_goes_over_to_a_unit_s_next_key(place: Place) {
    let (office, registry) = (Office::new(), place.open().await);
    let wanted = label("thermostat", "TH-1");
    let (old, new) = (Key::p256(), Key::p256());
    enter(&registry, 1, &old, &wanted).await.unwrap();
    let act = office.act(ActKind::PinRotate, 1, &old, Some(&new));
    let agreed = office.agreed(&act, Some(&new));
    registry.carry_out(agreed).await.unwrap();
    assert_eq!(uses(&registry, "TH-1").await, [(1, false), (1, true)]);
    let taken = enter(&registry, 2, &Key::p256(), &wanted).await;
    assert!(matches!(taken, Err(RegistryError::SerialInUse { .. })));
    let found = registry.uses_of_serial("TH-1").await.unwrap();
    assert!(found[0].station.is_some());
    assert_eq!(found[1].station, None, "two people gave it the key");
    // Taken back, it is free.
    let act = office.act(ActKind::PinRevoke, 1, &new, None);
    registry.carry_out(office.agreed(&act, None)).await.unwrap();
    enter(&registry, 2, &Key::p256(), &wanted).await.unwrap();
}

async fn a_late_unit_is_refused_as_a_whole_when_its_serial_is_taken(place: Place) {
    let registry = place.open().await;
    let wanted = label("thermostat", "TH-1");
    enter(&registry, 1, &Key::p256(), &wanted).await.unwrap();
    let key = Key::p256();
    let late = registry.enter(claim(2, &key), proof(2, &key), Some(wanted));
    assert!(matches!(late.await, Err(RegistryError::SerialInUse { .. })));
    assert!(registry.keys_of(device(2)).await.unwrap().is_empty());
    let free = Some(label("thermostat", "TH-2"));
    registry
        .enter(claim(2, &key), proof(2, &key), free)
        .await
        .unwrap();
    assert_eq!(uses(&registry, "TH-2").await, [(2, true)]);
}

fn row(n: u32, key: &Key, serial: &str) -> ImportRow {
    ImportRow {
        device_id: device(n),
        algorithm: AlgorithmName(key.algorithm()),
        public_key: key.public_key(),
        product: Some("thermostat".to_owned()),
        serial: Some(serial.to_owned()),
    }
}

async fn an_import_enters_serials_and_refuses_those_that_are_taken(place: Place) {
    let registry = place.open().await;
    let bundle = "INSERT INTO authority_bundle VALUES ('product', 'thermostat', 1, '\\x01', '', 0)";
    place.execute(bundle).await.unwrap();
    let bench = Key::p256();
    enter(&registry, 1, &bench, &label("thermostat", "TH-1"))
        .await
        .unwrap();
    let plain = Key::p256();
    trust(&registry, 9, &plain).await;
    let (second, third) = (Key::p256(), Key::p256());
    let terms = ImportTerms {
        id: RunId::generate(),
        operator: "op-1".to_owned(),
    };
    let rows = vec![
        row(2, &second, "TH-2"),
        row(3, &third, "TH-2"),
        row(4, &Key::p256(), "TH-1"),
        row(1, &bench, "TH-1"),
        row(1, &bench, "TH-5"),
        row(9, &plain, "TH-9"),
    ];
    let answers = registry.import(terms.clone(), rows).await.unwrap();
    let words: Vec<_> = answers
        .iter()
        .map(|answer| match answer {
            Ok(receipt) if receipt.already => "already",
            Ok(_) => "new",
            Err(RegistryError::SerialInUse { .. }) => "in use",
            Err(RegistryError::UnitHasAnotherSerial { known: Some(_), .. }) => "another",
            Err(RegistryError::UnitHasAnotherSerial { known: None, .. }) => "none",
            Err(error) => panic!("{error}"),
        })
        .collect();
    let expected = ["new", "in use", "in use", "already", "another", "none"];
    assert_eq!(words, expected);
    // The very same file again changes nothing.
    let again = registry.import(terms, vec![row(2, &second, "TH-2")]).await;
    assert!(matches!(
        again.unwrap()[..],
        [Ok(PinReceipt { already: true })]
    ));
    assert_eq!(uses(&registry, "TH-2").await, [(2, true)]);
    let taken = enter(&registry, 5, &Key::p256(), &label("thermostat", "TH-2")).await;
    assert!(matches!(taken, Err(RegistryError::SerialInUse { .. })));
    // An export has both: the bench's with the product that its label names.
    let listed = registry.keys(None, false).await.unwrap();
    let listed: Vec<_> = listed
        .iter()
        .map(|key| {
            (
                key.pin.device_id,
                key.product.as_deref(),
                key.serial.as_deref(),
            )
        })
        .collect();
    for (n, serial) in [(1, Some("TH-1")), (2, Some("TH-2")), (9, None)] {
        let product = serial.map(|_| "thermostat");
        assert!(listed.contains(&(device(n), product, serial)), "{listed:?}");
    }
}

/// What a person with the database's own tools might try.
async fn no_row_makes_a_second_living_use(place: Place) {
    let registry = place.open().await;
    for (n, serial) in [(1, "TH-1"), (2, "TH-2")] {
        enter(&registry, n, &Key::p256(), &label("thermostat", serial))
            .await
            .unwrap();
    }
    registry.close().await;
    let hex = |n: u32| hex::encode(device(n).0.as_bytes());
    let blob = |n: u32| match &place {
        Place::Sqlite(_) => format!("x'{}'", hex(n)),
        Place::Postgres(_) => format!("'\\x{}'", hex(n)),
    };
    let row = |serial: &str, turn: u32, n: u32, previous: &str| {
        format!(
            "INSERT INTO serial_use VALUES ('thermostat', '{serial}', {turn}, {}, 1, {previous}, NULL, NULL, 1)",
            blob(n)
        )
    };
    let first = format!("1, {}, 1", blob(1));
    for (what, sql) in [
        ("a first use again", row("TH-1", 1, 2, "NULL, NULL, NULL")),
        (
            "a second use of nothing",
            row("TH-1", 2, 2, "NULL, NULL, NULL"),
        ),
        (
            "half of what came before",
            row("TH-1", 2, 2, &format!("1, {}, NULL", blob(1))),
        ),
        ("a turn that was left out", row("TH-1", 3, 2, &first)),
        ("a use that still lives", row("TH-1", 2, 2, &first)),
        (
            "a second serial of a living unit",
            row("TH-3", 1, 1, "NULL, NULL, NULL"),
        ),
        (
            "a unit without a pin",
            row("TH-3", 1, 3, "NULL, NULL, NULL"),
        ),
    ] {
        let pragma = match &place {
            Place::Sqlite(_) => "PRAGMA foreign_keys = ON; ",
            Place::Postgres(_) => "",
        };
        let refused = place.execute(&format!("{pragma}{sql}")).await;
        let words = refused.err().unwrap_or_default().to_lowercase();
        assert!(words.contains("constraint"), "{what}: {words}");
    }
}

/// A page of what a station has entered, by its own name.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_station_s_uses_are_read_page_by_page() {
    let place = Place::sqlite();
    let registry = place.open().await;
    let station = StationId::generate();
    for n in 0..5 {
        let key = Key::p256();
        let (mut claim, mut proof) = (claim(n, &key), proof(n, &key));
        (claim.station, proof.station) = (station, station);
        sign_claim(&mut claim, &key);
        sign_proof(&mut proof, &key);
        let wanted = label("thermostat", &format!("TH-{n}"));
        registry.enter(claim, proof, Some(wanted)).await.unwrap();
    }
    let other = Key::p256();
    enter(&registry, 7, &other, &label("thermostat", "TH-7"))
        .await
        .unwrap();
    assert!(
        registry
            .by_fingerprint(fingerprint(&other))
            .await
            .unwrap()
            .is_some()
    );
    let mut serials = Vec::new();
    let mut after: Option<SerialUse> = None;
    loop {
        let page = registry.uses_of_station(station, after.as_ref(), 2).await;
        let page = page.unwrap();
        assert!(page.len() <= 2);
        serials.extend(page.iter().map(|one| one.label.serial.clone()));
        after = page.into_iter().next_back();
        if after.is_none() {
            break;
        }
    }
    assert_eq!(serials, ["TH-0", "TH-1", "TH-2", "TH-3", "TH-4"]);
}
