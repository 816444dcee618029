//! Read-back protection and the seal: what holds, what it is worth, and how a closed unit is recognised without touching it.

use std::sync::Arc;
use std::time::Instant;

use keyline_protocol::identity::{Algorithm, KeyPolicy, LockPolicy, Platform};
use keyline_protocol::message::Refusal;
use keyline_protocol::record::RecordContent;
use keyline_station::link::{AgentImage, AgentStart, Attachment, LinkError, ProbeTarget, Target};
use keyline_station::record::{
    Evidence, FailureCode, Product, ProtectionStrength, Step, UnitState,
};
use keyline_station::session::{Conversation, SessionError};
use keyline_virtual_unit::qemu::Unit;

use crate::common::{Bench, cloud_key, product};
use crate::fixture::{
    LOST, PLATFORM, assert_failed, assert_passed, bare_unit, bench, code, evidence, image,
    over_probe, over_serial, raw_flash, run, run_watched,
};

fn read_back_bench() -> Bench {
    bench(Product {
        lock_policy: LockPolicy::ReadBack,
        ..product()
    })
}

/// All that a chip keeps.
fn kept(unit: &Unit) -> (Vec<u8>, Vec<u8>) {
    (raw_flash(unit), unit.read_user_registers().unwrap())
}

#[test]
fn protection_is_set_probed_again_and_its_strength_reported() {
    let bench = read_back_bench();
    let unit = bare_unit();
    let event = bench.run_target(over_probe(&unit), Some("TH-0001"));
    assert_passed(&bench, &unit, &event, "read-back");
    let Some(Evidence::Locked {
        lock_policy,
        seen_to_hold,
        strength,
    }) = evidence(&bench, &event).pop()
    else {
        panic!("the last evidence is the lock's");
    };
    assert_eq!(lock_policy.0, LockPolicy::ReadBack);
    assert_eq!(seen_to_hold, Some(true));
    assert_eq!(strength, Some(ProtectionStrength::Bypassable));
    assert_eq!(serde_json::to_value(strength).unwrap(), "bypassable");
    assert_eq!(unit.read_user_registers().unwrap()[5], 0, "RBPCONF.PALL");

    let mut debugger = ProbeTarget::new(unit.selector());
    let facts = debugger.attach(PLATFORM).unwrap().probe.unwrap();
    assert!(facts.protected && facts.device_id.is_none());
    let read = debugger.read_memory(0x3_a800, 256);
    assert!(
        !matches!(read, Ok(Some(_))),
        "a probe reads no flash: {read:?}"
    );
}

#[test]
fn a_locked_unit_is_recognised_or_set_apart_and_never_erased() {
    let bench = read_back_bench();
    let unit = bare_unit();
    let event = bench.run_target(over_probe(&unit), Some("TH-0001"));
    let pin = assert_passed(&bench, &unit, &event, "read-back");
    let before = kept(&unit);

    let by_serial = bench.run_target(over_probe(&unit), Some("TH-0001"));
    assert!(by_serial.already, "{:?}", by_serial.error);
    assert_eq!(
        assert_passed(&bench, &unit, &by_serial, "by its serial"),
        pin
    );
    let by_proof = bench.run_target(over_serial(&unit), None);
    assert!(by_proof.already, "{:?}", by_proof.error);
    assert_eq!(assert_passed(&bench, &unit, &by_proof, "by its proof"), pin);
    for serial in [None, Some("TH-0002")] {
        let unknown = bench.run_target(over_probe(&unit), serial);
        assert_eq!(
            code(&unknown),
            Some(FailureCode::LockedUnknown),
            "{:?}",
            unknown.error
        );
        assert_eq!(unknown.state, UnitState::Quarantined);
        assert_eq!(unknown.device_id, None);
    }
    let elsewhere = read_back_bench().run_target(over_probe(&unit), Some("TH-0001"));
    assert_eq!(
        code(&elsewhere),
        Some(FailureCode::LockedUnknown),
        "another station's journal says nothing"
    );
    unit.power_cycle().unwrap();
    assert!(kept(&unit) == before, "nothing was erased or written");
}

#[test]
fn power_lost_in_the_lock_leaves_a_unit_that_the_journalled_intent_knows() {
    let bench = read_back_bench();
    let unit = Arc::new(bare_unit());
    // The power goes with the very write that sets the protection.
    let armed = Arc::clone(&unit);
    let event = run_watched(&bench, over_probe(&unit), Some("TH-0001"), move |event| {
        if !event.ended() && event.step == Some(Step::Sealed) {
            armed.power_off_after_flash_writes(Some(1)).unwrap();
        }
    });
    assert_failed(&event, &LOST, "power lost in the lock");
    assert_eq!(unit.read_user_registers().unwrap()[5], 0, "RBPCONF.PALL");
    unit.power_on().unwrap();
    let before = kept(&unit);
    let unknown = bench.run_target(over_probe(&unit), None);
    assert_eq!(code(&unknown), Some(FailureCode::LockedUnknown));
    let event = bench.run_target(over_probe(&unit), Some("TH-0001"));
    assert_passed(
        &bench,
        &unit,
        &event,
        "by its serial and the journalled intent",
    );
    assert!(!event.already, "this run finished it");
    assert!(kept(&unit) == before);
}

#[test]
fn attaching_a_debugger_erases_no_locked_unit() {
    let bench = read_back_bench();
    let unit = bare_unit();
    let event = run(&bench, &unit);
    assert_passed(&bench, &unit, &event, "read-back");
    let before = kept(&unit);
    for _ in 0..2 {
        let mut debugger = ProbeTarget::new(unit.selector());
        debugger.attach(PLATFORM).unwrap();
        let started = debugger.start_agent(&image());
        assert!(
            matches!(started, Err(LinkError::Lost { .. })),
            "{started:?}"
        );
    }
    assert!(kept(&unit) == before);
}

#[test]
fn a_sealed_unit_refuses_a_second_cloud_over_either_link() {
    let bench_of = |address: &str| {
        bench(Product {
            cloud_address: address.to_owned(),
            ..product()
        })
    };
    let owner = bench_of("cloud.example:5684");
    let unit = bare_unit();
    let event = run(&owner, &unit);
    let pin = assert_passed(&owner, &unit, &event, "sealed");
    let before = kept(&unit);
    for target in [over_probe, over_serial] {
        // A line that does things in order asks nothing of a sealed stranger.
        let thief = bench_of("thief.example:5684");
        let event = thief.run_target(target(&unit), None);
        assert_eq!(
            code(&event),
            Some(FailureCode::UnitSealed),
            "{:?}",
            event.error
        );
        assert!(thief.pin(event.device_id.unwrap().0).is_none());
        // And one that just asks is refused by the unit.
        assert_unit_refuses(target(&unit));
    }
    assert!(kept(&unit) == before, "the unit is as it was");
    let again = run(&owner, &unit);
    assert!(again.already);
    assert_eq!(assert_passed(&owner, &unit, &again, "sealed"), pin);
}

/// Everything that would give the unit another owner.
fn assert_unit_refuses(target: Box<dyn Target>) {
    let mut target = target;
    target.attach(PLATFORM).unwrap();
    target.start_agent(&image()).unwrap();
    let mut conversation = Conversation::new(target);
    conversation.hello().unwrap();
    let identity = conversation.identify().unwrap();
    assert!(identity.sealed && identity.record.is_some());
    let stolen = cloud_key();
    let content = RecordContent {
        product: [7; 16],
        key_policy: KeyPolicy::OnDevice,
        lock_policy: LockPolicy::Sealed,
        cloud_key: &stolen,
        cloud_address: "thief.example:5684",
        authority: None,
        credentials: None,
    };
    let refusals = [
        conversation.inject(content).map(drop),
        conversation.erase_identity(),
        conversation
            .generate_key(Algorithm::P256, [7; 32])
            .map(drop),
        conversation.lock(),
    ];
    for refused in refusals {
        assert!(
            matches!(
                refused,
                Err(SessionError::Refused {
                    refusal: Refusal::Sealed,
                    ..
                })
            ),
            "{refused:?}"
        );
    }
    assert_eq!(conversation.identify().unwrap().record, identity.record);
    conversation.target().detach();
}

#[test]
fn a_unit_whose_protection_does_not_hold_is_a_fail() {
    let bench = read_back_bench();
    let unit = Arc::new(bare_unit());
    let target = Forgetful {
        unit: Arc::clone(&unit),
        probe: over_probe(&unit),
    };
    let event = bench.run_target(Box::new(target), None);
    assert_eq!(
        code(&event),
        Some(FailureCode::ProtectionNotHeld),
        "{:?}",
        event.error
    );
    assert_eq!(event.state, UnitState::Quarantined);
}

/// A unit that loses its protection between the lock and the second look.
struct Forgetful {
    unit: Arc<Unit>,
    probe: Box<dyn Target>,
}

impl Target for Forgetful {
    fn describe(&self) -> String {
        self.probe.describe()
    }

    fn attach(&mut self, expected: Platform) -> Result<Attachment, LinkError> {
        self.probe.attach(expected)
    }

    fn start_agent(&mut self, image: &AgentImage) -> Result<AgentStart, LinkError> {
        self.probe.start_agent(image)
    }

    fn send(&mut self, frame: &[u8]) -> Result<(), LinkError> {
        self.probe.send(frame)
    }

    fn receive(&mut self, deadline: Instant, into: &mut Vec<u8>) -> Result<(), LinkError> {
        self.probe.receive(deadline, into)
    }

    fn reset(&mut self) -> Result<(), LinkError> {
        self.probe.reset()
    }

    fn resets_by_itself(&self) -> bool {
        self.probe.resets_by_itself()
    }

    fn read_memory(&mut self, address: u32, length: usize) -> Result<Option<Vec<u8>>, LinkError> {
        self.probe.read_memory(address, length)
    }

    fn probe_protection(&mut self) -> Result<Option<bool>, LinkError> {
        self.unit.make_blank().unwrap();
        self.probe.probe_protection()
    }

    fn detach(&mut self) {
        self.probe.detach();
    }
}
