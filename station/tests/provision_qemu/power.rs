//! Power cut and emulator killed while the unit writes its flash: it boots with the old or the new, and the next run ends in PASS.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::time::Duration;

use keyline_station::event::UnitEvent;
use keyline_station::record::{Pin, Step};
use keyline_virtual_unit::qemu::Unit;
use rand::RngExt as _;
use rand::rngs::SmallRng;
use rustix::process::{Pid, Signal, kill_process};

use crate::common::{Bench, product};
use crate::fixture::{
    LOST, assert_failed, assert_passed, bench, over_probe, raw_flash, run, run_watched, seeded,
    unit_with_agent,
};
use crate::flash;

/// More flash writes than any run needs.
const WRITES_MAX: u64 = 400;

/// Between two cuts at most so many writes.
const STRIDE: u64 = 12;

/// Cuts at seeded numbers of writes, one after the other, until a run needs fewer.
pub(crate) fn cuts(random: &mut SmallRng) -> impl Iterator<Item = u64> {
    let mut at = 0;
    std::iter::from_fn(move || {
        at += random.random_range(1..=STRIDE);
        assert!(at < WRITES_MAX, "no run writes so much");
        Some(at)
    })
}

#[test]
fn power_cut_at_flash_writes_leaves_a_unit_that_the_next_run_finishes() {
    let bench = bench(product());
    let (_, mut random) = seeded();
    let (mut in_key, mut in_record, mut later) = (0, 0, 0);
    for writes in cuts(&mut random) {
        let context = format!("power cut at write {writes}");
        let unit = unit_with_agent();
        unit.power_off_after_flash_writes(Some(writes)).unwrap();
        let interrupted = run(&bench, &unit);
        if interrupted.error.is_none() {
            assert_passed(&bench, &unit, &interrupted, &context);
            break;
        }
        assert_failed(&interrupted, &LOST, &context);
        assert!(!unit.powered().unwrap(), "{context}: {interrupted:?}");
        let cut = raw_flash(&unit);
        let key = flash::key(&cut);
        match (&key, flash::newest_record(&cut)) {
            (None, None) => in_key += 1,
            (Some(_), None) => in_record += 1,
            (_, Some(_)) => later += 1,
        }
        unit.power_on().unwrap();
        let event = run(&bench, &unit);
        let pin = assert_passed(&bench, &unit, &event, &context);
        assert_claimed_key_stays(&interrupted, key, &pin, &context);
    }
    eprintln!(
        "cuts before the key's commit {in_key}, before the record's {in_record}, later {later}"
    );
    assert!(
        in_key >= 2 && in_record >= 2,
        "cuts in key {in_key} and record {in_record}"
    );
}

/// A key that a run has on record stays, whatever happens to its unit. One that was committed in flash, but never seen by its run, may
/// be made anew: nobody has claimed it.
fn assert_claimed_key_stays(
    interrupted: &UnitEvent,
    key: Option<flash::Key>,
    pin: &Pin,
    context: &str,
) {
    if interrupted.step >= Some(Step::Keyed) {
        assert_eq!(key.unwrap().public, pin.public_key, "{context}");
    }
}

/// A part of a unit's flash, and where in a run it is written.
#[derive(Clone, Copy)]
pub(crate) struct Area {
    pub(crate) name: &'static str,
    pub(crate) start: usize,
    pub(crate) length: usize,
    /// Fewer words than are written there.
    pub(crate) words_max: usize,
    /// The run goes no farther than to here before the kill; `None` where it ends with this area.
    pub(crate) written_by: Option<Step>,
}

const KEY: Area = Area {
    name: "key",
    start: flash::KEY,
    length: flash::PAGE_LENGTH,
    words_max: 40,
    written_by: Some(Step::Keyed),
};
pub(crate) const RECORD: Area = Area {
    name: "record",
    start: flash::RECORDS[0],
    length: flash::RECORD_LENGTH,
    words_max: 40,
    written_by: Some(Step::Injected),
};
const SEAL: Area = Area {
    name: "seal",
    start: flash::SEAL,
    length: flash::PAGE_LENGTH,
    words_max: 3,
    written_by: None,
};

/// Longer than any machine takes to write an area.
const KILL_LIMIT: Duration = Duration::from_mins(1);

/// Runs the unit, and kills its emulator as soon as so many words stand in a part of its flash.
pub(crate) fn run_and_kill(bench: &Bench, unit: &Unit, area: Area, words: usize) -> UnitEvent {
    let [start, end] = [area.start, area.start + area.length].map(|at| u32::try_from(at).unwrap());
    let process = unit.emulator_process().unwrap();
    let over = AtomicBool::new(false);
    let (killed, kill_seen) = channel();
    std::thread::scope(|scope| {
        // Whatever ends this scope, the other thread must end as well.
        let _over = SetOnDrop(&over);
        scope.spawn(|| {
            let killed = killed;
            while !over.load(Ordering::SeqCst) {
                let area = unit.read_flash(start..end).unwrap();
                let written = area.chunks_exact(4).filter(|word| *word != [0xff; 4]);
                if written.count() >= words {
                    kill(process);
                    let _ = killed.send(());
                    break;
                }
            }
        });
        run_watched(bench, over_probe(unit), None, move |event| {
            if !event.ended() && event.step.is_some() && event.step == area.written_by {
                kill_seen
                    .recv_timeout(KILL_LIMIT)
                    .expect("the area is written");
            }
        })
    })
}

struct SetOnDrop<'a>(&'a AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

fn kill(process: u32) {
    let process = Pid::from_raw(i32::try_from(process).unwrap()).unwrap();
    kill_process(process, Signal::KILL).unwrap();
}

#[test]
fn an_emulator_killed_while_it_writes_comes_back_and_the_next_run_passes() {
    let bench = bench(product());
    let (_, mut random) = seeded();
    for area in [KEY, RECORD, SEAL] {
        for _ in 0..3 {
            let words = random.random_range(1..=area.words_max);
            let context = format!("killed at word {words} of the {}", area.name);
            let unit = unit_with_agent();
            let interrupted = run_and_kill(&bench, &unit, area, words);
            // Behind the seal there is little left to do: that run may have ended before the kill.
            if area.written_by.is_some() || interrupted.error.is_some() {
                assert_failed(&interrupted, &LOST, &context);
            }
            let key = flash::key(&raw_flash(&unit));
            unit.power_on().unwrap();
            let event = run(&bench, &unit);
            let pin = assert_passed(&bench, &unit, &event, &context);
            assert_claimed_key_stays(&interrupted, key, &pin, &context);
        }
    }
}
