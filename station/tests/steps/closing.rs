//! Seal and lock, and units that come back afterwards.

use keyline_protocol::identity::{Algorithm, KeyPolicy, LockPolicy, Platform};
use keyline_protocol::message::Refusal;
use keyline_station::link::{SimTarget, Target};
use keyline_station::record::{Evidence, FailureCode, Proof, ProtectionStrength};
use keyline_station::session::{Conversation, SessionError};
use keyline_station::signature;
use keyline_station::steps::{Failed, attach};
use keyline_virtual_unit::sim::{ProtectionFault, SimUnit};

use crate::bench::{CHECKPOINT, Job};

fn recognise(job: &Job, target: Box<dyn Target>, public_key: &[u8]) -> Result<Proof, Failed> {
    let plan = job.plan();
    let (attached, _) = attach(target, &plan)?;
    let (identified, _) = attached.identify()?;
    let (proven, _) = identified.recognise(public_key, || CHECKPOINT.to_owned())?;
    Ok(proven.proof().clone())
}

fn locked_job() -> Job {
    Job::usual().with_lock(LockPolicy::ReadBack)
}

#[test]
fn a_lock_is_seen_to_hold_from_outside() {
    let job = locked_job();
    let unit = job.unit(1);
    let finished = job.run(&unit).unwrap();
    assert_eq!(
        finished.evidence.last(),
        Some(&Evidence::Locked {
            lock_policy: keyline_station::record::LockPolicyName(LockPolicy::ReadBack),
            seen_to_hold: Some(true),
            strength: Some(ProtectionStrength::Bypassable),
        })
    );
    let failed = job.run(&unit).unwrap_err();
    assert_eq!(failed.error.code(), FailureCode::LockedUnknown);
}

#[test]
fn a_locked_unit_is_recognised_by_its_proof_over_the_serial_line() {
    let job = locked_job();
    let unit = job.unit(2);
    let finished = job.run(&unit).unwrap();
    let writes = unit.counts().flash_writes;
    let target = Box::new(SimTarget::over_serial(unit.clone()));
    let proof = recognise(&job, target, &finished.proof.public_key).unwrap();
    signature::verify(
        Algorithm::P256,
        &finished.proof.public_key,
        &proof.transcript().digest(),
        &proof.authenticator,
    )
    .unwrap();
    assert_eq!(proof.record_digest, finished.proof.record_digest);
    assert_eq!(unit.counts().flash_writes, writes, "nothing was written");
}

#[test]
fn a_mac_is_worth_nothing_from_an_agent_that_was_not_measured() {
    let job = Job::new(Platform::Nrf52832, KeyPolicy::Station, Algorithm::Rsa2048)
        .with_lock(LockPolicy::ReadBack);
    let unit = job.unit(3);
    let finished = job.run(&unit).unwrap();
    let target = Box::new(SimTarget::over_serial(unit));
    let failed = recognise(&job, target, &finished.proof.public_key).unwrap_err();
    assert_eq!(failed.error.code(), FailureCode::ProofInvalid);
}

#[test]
fn a_unit_is_not_recognised_by_another_key_nor_as_another_product() {
    let job = locked_job();
    let [unit, other] = [job.unit(4), job.unit(5)];
    let finished = job.run(&unit).unwrap();
    let foreign = job.run(&other).unwrap().proof.public_key;
    let over_serial = || Box::new(SimTarget::over_serial(unit.clone()));
    let failed = recognise(&job, over_serial(), &foreign).unwrap_err();
    assert_eq!(failed.error.code(), FailureCode::DeviceHasAnotherKey);
    let failed = recognise(&locked_job(), over_serial(), &finished.proof.public_key).unwrap_err();
    assert_eq!(failed.error.code(), FailureCode::UnitSealed);
}

#[test]
fn a_lock_that_does_not_hold_is_a_failure() {
    for protection in [ProtectionFault::DoesNotHold, ProtectionFault::DoesNotTake] {
        let job = locked_job();
        let mut options = job.options(6);
        options.protection = protection;
        let failed = job.run(&SimUnit::new(options)).unwrap_err();
        assert_eq!(failed.error.code(), FailureCode::ProtectionNotHeld);
    }
}

#[test]
fn a_unit_cut_short_between_seal_and_lock_is_recognised_and_locked() {
    let job = locked_job();
    let unit = job.unit(7);
    let plan = job.plan();
    let sealed = {
        let (attached, _) = attach(Box::new(SimTarget::new(unit.clone())), &plan).unwrap();
        let (identified, _) = attached.identify().unwrap();
        let (keyed, _) = identified.key(&crate::bench::TestKeys, None).unwrap();
        let (injected, _) = keyed.claim_held().inject().unwrap();
        let (proven, _) = injected.prove(|| CHECKPOINT.to_owned()).unwrap();
        let public_key = proven.proof().public_key.clone();
        drop(proven.pin_held().seal().unwrap().0.release());
        public_key
    };
    unit.power_cycle();
    let (attached, _) = attach(Box::new(SimTarget::new(unit.clone())), &plan).unwrap();
    let (identified, _) = attached.identify().unwrap();
    assert!(identified.identity().sealed);
    let (proven, _) = identified
        .recognise(&sealed, || CHECKPOINT.to_owned())
        .unwrap();
    let pinned = proven.pin_held();
    assert!(!pinned.needs_seal());
    let (sealed, evidence) = pinned.seal().unwrap();
    assert_eq!(evidence, Some(Evidence::Sealed { already: true }));
    assert!(sealed.needs_lock());
    let (locked, _) = sealed.lock().unwrap();
    assert_eq!(locked.device_id(), unit.device_id());
}

#[test]
fn a_sealed_unit_refuses_a_second_cloud_key_over_either_link() {
    let job = Job::usual();
    let unit = job.unit(8);
    job.run(&unit).unwrap();
    let other_cloud = Job::usual();
    let targets: [fn(SimUnit) -> SimTarget; 2] = [SimTarget::new, SimTarget::over_serial];
    for target in targets {
        let failed = other_cloud
            .run_over(Box::new(target(unit.clone())), None)
            .unwrap_err();
        assert_eq!(failed.error.code(), FailureCode::UnitSealed);

        // The unit itself refuses, whatever a station thinks of asking.
        let mut link = target(unit.clone());
        link.attach(Platform::Nrf51822).unwrap();
        let mut conversation = Conversation::new(Box::new(link));
        conversation.hello().unwrap();
        let content = keyline_protocol::record::RecordContent {
            product: *other_cloud.product.id.as_bytes(),
            key_policy: KeyPolicy::OnDevice,
            lock_policy: LockPolicy::Open,
            cloud_key: &other_cloud.product.cloud_key,
            cloud_address: "evil.example:1",
            authority: None,
            credentials: None,
        };
        let error = conversation.inject(content).unwrap_err();
        assert!(
            matches!(
                error,
                SessionError::Refused {
                    refusal: Refusal::Sealed,
                    ..
                }
            ),
            "{error:?}"
        );
    }
}

#[test]
fn an_open_product_is_neither_sealed_nor_locked() {
    let job = Job::usual().with_lock(LockPolicy::Open);
    let unit = job.unit(9);
    let finished = job.run(&unit).unwrap();
    assert!(
        !finished
            .evidence
            .iter()
            .any(|left| matches!(left, Evidence::Sealed { .. }))
    );
    assert!(matches!(
        finished.evidence.last(),
        Some(Evidence::Locked {
            seen_to_hold: None,
            strength: None,
            ..
        })
    ));
}
