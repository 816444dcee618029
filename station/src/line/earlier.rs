//! What an interrupted run of a unit left in the journal.

use keyline_protocol::identity::KeyPolicy;
use keyline_protocol::message::KeySummary;

use super::Line;
use super::clones;
use super::error::RunError;
use crate::journal::StepEvent;
use crate::record::{Claim, ClaimPlan, DeviceIdText, Failure, FailureCode, RunId, Step, StepPhase};
use crate::steps::Identified;

/// How far back the claim of an interrupted run is looked for.
const EARLIER_RUNS_MAX: u32 = 16;

/// Where the key comes from that a unit shows before its run has made one.
pub(super) enum Origin {
    /// A run of this station or another has it on record, or the product asks for no more than that it is there.
    Known(Option<Claim>),
    /// A run of this station was cut short while the key was being made: nobody claimed it, and nobody can tell whose it is.
    Interrupted,
}

/// Finds out where a key comes from. A key that no run made may be known to whoever planted it, so it is refused; another unit's key
/// raises the alarm.
pub(super) fn origin(
    line: &Line,
    identified: &Identified<'_>,
    unit_is_known: bool,
    present: &KeySummary,
) -> Result<Origin, RunError> {
    let device_id = DeviceIdText(identified.device_id());
    let earlier = if unit_is_known {
        earlier_claim(line, identified, present)?
    } else {
        None
    };
    if earlier.is_some() || line.product.key_policy == KeyPolicy::Existing {
        return Ok(Origin::Known(earlier));
    }
    if clones::key_is_claimed_for(line, device_id, present.fingerprint)? {
        return Ok(Origin::Known(None));
    }
    if unit_is_known && keying_was_cut_short(line, device_id)? {
        return Ok(Origin::Interrupted);
    }
    let message = format!(
        "expected unit {} without a key, or with one that a run made; it holds {}, of which neither this station nor the registry knows",
        device_id.0,
        hex::encode(present.fingerprint)
    );
    Err(Failure::new(FailureCode::KeyUnsuitable, message).into())
}

/// The steps of this unit's earlier runs: of those that were interrupted, and of the last that ended.
fn earlier_steps(
    line: &Line,
    device_id: DeviceIdText,
) -> Result<Vec<(RunId, Vec<StepEvent>)>, RunError> {
    let interrupted = line
        .wait(line.journal.unfinished_runs())?
        .into_iter()
        .map(|interrupted| interrupted.run);
    let ended = line.wait(line.journal.runs_of(device_id, EARLIER_RUNS_MAX))?;
    interrupted
        .filter(|run| run.device_id == Some(device_id))
        .chain(ended)
        .map(|run| Ok((run.id, line.wait(line.journal.steps_of(run.id))?)))
        .collect()
}

/// Whether a run of this station was about to make a key and never saw it.
fn keying_was_cut_short(line: &Line, device_id: DeviceIdText) -> Result<bool, RunError> {
    let cut_short = |(_, steps): &(RunId, Vec<StepEvent>)| {
        let keyed = |phase| {
            steps
                .iter()
                .any(|event| event.step == Step::Keyed && event.phase == phase)
        };
        keyed(StepPhase::Intended) && !keyed(StepPhase::Done)
    };
    Ok(earlier_steps(line, device_id)?.iter().any(cut_short))
}

/// The claim that an earlier run of this unit made with the very key that it has now.
pub(super) fn earlier_claim(
    line: &Line,
    identified: &Identified<'_>,
    present: &KeySummary,
) -> Result<Option<Claim>, RunError> {
    let device_id = DeviceIdText(identified.device_id());
    let events = earlier_steps(line, device_id)?
        .into_iter()
        .flat_map(|(run, steps)| steps.into_iter().map(move |event| (run, event)));
    for (run, event) in events {
        let plan = ClaimPlan {
            station: line.station,
            product: &line.product,
            order: &line.order,
            run,
        };
        let claim = event.evidence.and_then(|evidence| {
            Claim::of_evidence(evidence, device_id, present.fingerprint, plan)
        });
        if claim.is_some() {
            return Ok(claim);
        }
    }
    Ok(None)
}
