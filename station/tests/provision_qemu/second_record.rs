//! Power cut and emulator killed while a second record takes the place of the first: the old one or the new one, never neither.

use keyline_protocol::identity::{KeyPolicy, LockPolicy};
use keyline_station::record::{Pin, Product};
use keyline_station::session::Conversation;
use keyline_virtual_unit::qemu::{Unit, UnitOptions};
use rand::RngExt as _;

use crate::common::{Bench, product};
use crate::fixture::{
    LOST, PLATFORM, assert_failed, assert_passed, bench, image, options, over_probe, raw_flash,
    run, seeded, start, unit_with_agent,
};
use crate::flash;
use crate::power::{Area, RECORD, cuts, run_and_kill};

const SECOND_RECORD: Area = Area {
    name: "second record",
    start: flash::RECORDS[1],
    ..RECORD
};
/// A station that gives the unit another record than it has, and takes its key as it is.
fn next_bench() -> Bench {
    bench(Product {
        key_policy: KeyPolicy::Existing,
        cloud_address: "new.example:8883".to_owned(),
        ..product()
    })
}

/// A unit that was provisioned and left open, to be copied.
struct Original {
    flash: Vec<u8>,
    chip_id: [u8; 8],
    pin: Pin,
    product: Product,
}

impl Original {
    fn make() -> Self {
        let bench = bench(Product {
            lock_policy: LockPolicy::Open,
            cloud_address: "old.example:5684".to_owned(),
            ..product()
        });
        let unit = unit_with_agent();
        let event = run(&bench, &unit);
        let pin = assert_passed(&bench, &unit, &event, "the old record");
        Self {
            flash: raw_flash(&unit),
            chip_id: unit.device_id(),
            pin,
            product: bench.product.clone(),
        }
    }

    /// The unit, as it was when the old record was in place.
    fn unit(&self) -> Unit {
        start(UnitOptions {
            flash: self.flash.clone(),
            device_id: self.chip_id,
            ..options()
        })
    }

    /// The unit has the old record or the new one, in raw flash and by its own words, and its key.
    fn assert_old_or_new(&self, bench: &Bench, unit: &Unit, context: &str) {
        let cut = raw_flash(unit);
        let record =
            flash::newest_record(&cut).unwrap_or_else(|| panic!("{context}: neither old nor new"));
        let expected = match record.sequence {
            1 => &self.product,
            2 => &bench.product,
            other => panic!("{context}: sequence {other}"),
        };
        assert_eq!(record.cloud_key, expected.cloud_key, "{context}");
        assert_eq!(record.cloud_address, expected.cloud_address, "{context}");
        assert_eq!(
            flash::key(&cut).unwrap().public,
            self.pin.public_key,
            "{context}"
        );

        unit.power_on().unwrap();
        let mut target = over_probe(unit);
        target.attach(PLATFORM).unwrap();
        target.start_agent(&image()).unwrap();
        let mut conversation = Conversation::new(target);
        conversation.hello().unwrap();
        let identity = conversation.identify().unwrap();
        assert_eq!(
            identity.record.unwrap().sequence,
            record.sequence,
            "{context}"
        );
        assert_eq!(
            identity.key.unwrap().fingerprint,
            self.pin.fingerprint,
            "{context}"
        );
        conversation.target().detach();
    }

    /// The next run ends in PASS with the new record, and nothing of the old one is left in raw flash.
    fn assert_finished_by_next_run(&self, bench: &Bench, unit: &Unit, context: &str) {
        let event = run(bench, unit);
        let pin = assert_passed(bench, unit, &event, context);
        assert_eq!(pin.public_key, self.pin.public_key, "{context}");
        let raw = raw_flash(unit);
        for old in [
            &self.product.cloud_key[..],
            self.product.cloud_address.as_bytes(),
        ] {
            assert_eq!(
                flash::count(&raw, old),
                0,
                "{context}: the stale area is erased"
            );
        }
    }
}

#[test]
fn power_cut_in_a_second_injection_leaves_the_old_record_or_the_new_one() {
    let original = Original::make();
    let (_, mut random) = seeded();
    let mut points = 0;
    for writes in cuts(&mut random) {
        let context = format!("power cut at write {writes} of the second injection");
        let (bench, unit) = (next_bench(), original.unit());
        unit.power_off_after_flash_writes(Some(writes)).unwrap();
        let event = run(&bench, &unit);
        if event.error.is_none() {
            assert_passed(&bench, &unit, &event, &context);
            break;
        }
        assert_failed(&event, &LOST, &context);
        original.assert_old_or_new(&bench, &unit, &context);
        original.assert_finished_by_next_run(&bench, &unit, &context);
        points += 1;
    }
    assert!(points >= 6, "cut at {points} points");
}

#[test]
fn an_emulator_killed_in_a_second_injection_has_the_old_record_or_the_new_one() {
    let original = Original::make();
    let (_, mut random) = seeded();
    for _ in 0..4 {
        let words = random.random_range(1..=SECOND_RECORD.words_max);
        let context = format!("killed at word {words} of the second record");
        let (bench, unit) = (next_bench(), original.unit());
        let event = run_and_kill(&bench, &unit, SECOND_RECORD, words);
        assert_failed(&event, &LOST, &context);
        original.assert_old_or_new(&bench, &unit, &context);
        original.assert_finished_by_next_run(&bench, &unit, &context);
    }
}
