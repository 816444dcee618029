//! One unit's way through its run.

use super::Line;
use super::admission::admit;
use super::clones;
use super::earlier::{Origin, earlier_claim, origin};
use super::error::RunError;
use super::locked;
use super::recorder::Recorder;
use crate::journal::Unit;
use crate::link::Target;
use crate::record::{
    Claim, ClaimReceipt, DeviceIdText, Evidence, Failure, FailureCode, Label, Labelled, RunResult,
    Step, WhenRegistryUnreachable,
};
use crate::registry::RegistryError;
use crate::steps::{CredentialsSource, Failed, Identified, Keyed, Pinned, Plan, Proven, attach};

/// A unit whose run came to its end.
pub(super) struct Finished {
    pub(super) result: RunResult,
    /// The unit had been finished before: the same pin, nothing written again.
    pub(super) already: bool,
    pub(super) target: Option<Box<dyn Target>>,
}

impl From<Failed> for RunError {
    fn from(failed: Failed) -> Self {
        let mut failed = failed;
        failed.target.detach();
        Self::Failed(Box::new(failed.error.failure()))
    }
}

/// Takes a unit from the open fixture to the end of its run.
pub(super) fn walk(
    line: &Line,
    recorder: &mut Recorder<'_>,
    target: Box<dyn Target>,
) -> Result<Finished, RunError> {
    let plan = Plan {
        product: &line.product,
        order: line.order.id,
        rework: line.order.rework,
        run: recorder.run,
        station: line.station,
        image: &line.image,
        credentials: line
            .credentials
            .as_ref()
            .map(|file| file as &dyn CredentialsSource),
    };
    let (attached, evidence) = attach(target, &plan)?;
    recorder.done(Step::Attached, evidence);
    if attached.is_locked_out() {
        return locked::recognise_by_serial(line, recorder, attached);
    }
    let by_probe = attached.probe().and_then(|facts| facts.device_id);
    let admitted = match by_probe {
        Some(device_id) => {
            // A unit that must not be built is refused before anything is written to it.
            recorder.identified(device_id);
            Some(admit(line, recorder, device_id)?)
        }
        None => None,
    };
    // A flash-resident agent is written here: the station's own pages, but an effect all the same.
    recorder.intend(Step::Identified)?;
    let (identified, evidence) = attached.identify()?;
    recorder.identified(identified.device_id());
    recorder.done(Step::Identified, evidence);
    // Where the probe has read who it is, the agent has said the same, or `identify` would have failed.
    let admitted = match admitted {
        Some(admitted) => admitted,
        None => admit(line, recorder, identified.device_id())?,
    };
    let known = admitted.known.as_ref();
    recorder.known_as(known.and_then(|unit| unit.serial.as_deref()));

    let mut held = false;
    let proven = if identified.identity().sealed {
        recognise(line, recorder, identified, &mut held)?
    } else {
        let keyed = key(line, recorder, identified, known)?;
        inject_and_prove(line, recorder, keyed, &mut held)?
    };
    let weak = proven.proof().weak;
    let (pinned, already) = pin(line, recorder, proven, &mut held)?;
    let target = close(recorder, pinned)?;
    Ok(Finished {
        result: match (held, weak) {
            (true, _) => RunResult::Held,
            (false, true) => RunResult::Weak,
            (false, false) => RunResult::Passed,
        },
        already,
        target: Some(target),
    })
}

fn key<'p>(
    line: &Line,
    recorder: &mut Recorder<'_>,
    identified: Identified<'p>,
    known: Option<&Unit>,
) -> Result<Keyed<'p>, RunError> {
    let present = identified.identity().key;
    let origin = match present {
        Some(present) => origin(line, &identified, known.is_some(), &present)?,
        None => Origin::Known(None),
    };
    recorder.intend(Step::Keyed)?;
    let (identified, earlier) = match origin {
        Origin::Known(claim) => (identified, claim),
        Origin::Interrupted => (identified.erase_unclaimed_key()?, None),
    };
    let (keyed, evidence) = identified.key(&*line.keys, earlier.as_ref())?;
    recorder.done(Step::Keyed, evidence);
    Ok(keyed)
}

/// Enters a claim. `Ok(None)`: the registry is out of reach, and the product says to go on.
fn enter_claim(
    line: &Line,
    claim: &Claim,
    label: Option<Label>,
    held: &mut bool,
) -> Result<Option<ClaimReceipt>, RunError> {
    let labelled = Labelled {
        entry: claim.clone(),
        label,
    };
    match line.wait(line.registry.claim(labelled)) {
        Ok(receipt) => Ok(Some(receipt)),
        Err(error) => hold_or_fail(line, error, claim.fingerprint(), held).map(|()| None),
    }
}

/// Out of reach and the product says to go on: the unit is held. Anything else ends the run.
fn hold_or_fail(
    line: &Line,
    error: RegistryError,
    fingerprint: [u8; 32],
    held: &mut bool,
) -> Result<(), RunError> {
    let may_hold = line.product.when_registry_unreachable == WhenRegistryUnreachable::Hold;
    if error.is_temporary() && may_hold {
        tracing::warn!(error = %error, "registry.unreachable: the unit goes on as held");
        *held = true;
        return Ok(());
    }
    Err(clones::from_registry(error, fingerprint))
}

fn inject_and_prove<'p>(
    line: &Line,
    recorder: &mut Recorder<'_>,
    keyed: Keyed<'p>,
    held: &mut bool,
) -> Result<Proven<'p>, RunError> {
    recorder.intend(Step::Claimed)?;
    let claimed = match enter_claim(line, keyed.claim(), recorder.label(), held)? {
        Some(receipt) => {
            let (claimed, evidence) = keyed.claimed(receipt);
            recorder.done(Step::Claimed, evidence);
            claimed
        }
        None => keyed.claim_held(),
    };
    recorder.intend(Step::Injected)?;
    let (injected, evidence) = claimed.inject()?;
    recorder.done(Step::Injected, evidence);
    recorder.intend(Step::Proven)?;
    let (proven, evidence) = injected.prove(|| line.journal.checkpoint().to_string())?;
    recorder.done(Step::Proven, evidence);
    Ok(proven)
}

/// A sealed unit: it must be the one that the registry, or an interrupted run's journal, knows.
fn recognise<'p>(
    line: &Line,
    recorder: &mut Recorder<'_>,
    identified: Identified<'p>,
    held: &mut bool,
) -> Result<Proven<'p>, RunError> {
    let device_id = DeviceIdText(identified.device_id());
    let stranger = || {
        let message = format!(
            "expected a unit that this station or its registry knows, {} is sealed with an identity that neither knows",
            device_id.0
        );
        RunError::from(Failure::new(FailureCode::UnitSealed, message))
    };
    let present = identified.identity().key.ok_or_else(stranger)?;
    let pinned = match line.wait(line.registry.pin_of(device_id)) {
        Ok(pin) => pin,
        Err(error) => {
            hold_or_fail(line, error, present.fingerprint, held)?;
            None
        }
    };
    let public_key = match pinned {
        Some(pin) if pin.fingerprint == present.fingerprint => pin.public_key,
        Some(pin) => return Err(clones::another_key(device_id, &pin, present.fingerprint)),
        None => {
            if !*held {
                clones::key_is_claimed_for(line, device_id, present.fingerprint)?;
            }
            let claim = earlier_claim(line, &identified, &present)?.ok_or_else(stranger)?;
            recorder.intend(Step::Claimed)?;
            if let Some(receipt) = enter_claim(line, &claim, recorder.label(), held)? {
                let fingerprint = claim.fingerprint();
                let already = receipt.already;
                recorder.done(
                    Step::Claimed,
                    Evidence::Claimed {
                        fingerprint,
                        already,
                    },
                );
            }
            claim.public_key
        }
    };
    recorder.intend(Step::Proven)?;
    let (proven, evidence) =
        identified.recognise(&public_key, || line.journal.checkpoint().to_string())?;
    recorder.done(Step::Proven, evidence);
    Ok(proven)
}

fn pin<'p>(
    line: &Line,
    recorder: &mut Recorder<'_>,
    proven: Proven<'p>,
    held: &mut bool,
) -> Result<(Pinned<'p>, bool), RunError> {
    recorder.intend(Step::Pinned)?;
    if *held {
        return Ok((proven.pin_held(), false));
    }
    let proof = Labelled {
        entry: proven.proof().clone(),
        label: recorder.label(),
    };
    let fingerprint = proof.entry.fingerprint();
    match line.wait(line.registry.pin(proof)) {
        Ok(receipt) => {
            let (pinned, evidence) = proven.pinned(receipt);
            recorder.done(Step::Pinned, evidence);
            Ok((pinned, receipt.already))
        }
        Err(error) => {
            hold_or_fail(line, error, fingerprint, held)?;
            Ok((proven.pin_held(), false))
        }
    }
}

/// Seals and locks the unit, as far as its product says.
fn close(recorder: &mut Recorder<'_>, pinned: Pinned<'_>) -> Result<Box<dyn Target>, RunError> {
    if pinned.needs_seal() {
        recorder.intend(Step::Sealed)?;
    }
    let (sealed, evidence) = pinned.seal()?;
    if let Some(evidence) = evidence {
        recorder.done(Step::Sealed, evidence);
    }
    if sealed.needs_lock() {
        recorder.intend(Step::Locked)?;
    }
    let (locked, evidence) = sealed.lock()?;
    recorder.done(Step::Locked, evidence);
    Ok(locked.release())
}
