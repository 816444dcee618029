//! Claim and proof of a run that was held, made again from what its steps left behind.

use crate::journal::{JournalError, JournalReader, WaitingRun};
use crate::record::{Claim, ClaimPlan, Evidence, Label, Order, Product, Proof, Run, RunId};

/// How far back the claim is looked for: the run that was held may have found the unit finished by an earlier one.
const EARLIER_RUNS_MAX: u32 = 16;

/// What the registry is to be asked for.
pub(super) struct Rebuilt {
    /// `None` where this station never saw the key made: another one has claimed it.
    pub(super) claim: Option<Claim>,
    pub(super) proof: Proof,
    pub(super) label: Option<Label>,
}

/// What is known of the run itself, and what can be entered; the words say what is missing.
pub(super) async fn rebuild(
    journal: &JournalReader,
    waiting: &WaitingRun,
) -> Result<(Option<Run>, Result<Box<Rebuilt>, String>), JournalError> {
    let run = journal.run(waiting.run).await?;
    let Some((order, product)) = plan(journal, run.as_ref()).await? else {
        let words = format!(
            "expected the order and product of run {}, found none",
            waiting.run
        );
        return Ok((run, Err(words)));
    };
    let steps = journal.steps_of(waiting.run).await?;
    let proof = steps
        .iter()
        .rev()
        .find_map(|step| Proof::of_evidence(step.evidence.as_ref()?));
    let Some(proof) = proof else {
        let words = format!(
            "expected a proof in run {}, found none that can be read",
            waiting.run
        );
        return Ok((run, Err(words)));
    };
    if proof.device_id != waiting.device_id || proof.run != waiting.run {
        let words = format!(
            "expected a proof of unit {} in run {}, found one of unit {} in run {}",
            waiting.device_id.0, waiting.run, proof.device_id.0, proof.run
        );
        return Ok((run, Err(words)));
    }
    let plan = ClaimPlan {
        station: proof.station,
        product: &product,
        order: &order,
        run: waiting.run,
    };
    let evidence = steps.into_iter().filter_map(|step| step.evidence);
    let claim = match claim_in(evidence, waiting, &proof, plan) {
        Some(claim) => Some(claim),
        None => earlier_claim(journal, waiting, &proof, plan).await?,
    };
    let label = label(journal, waiting, run.as_ref(), &product).await?;
    let rebuilt = Rebuilt {
        claim,
        proof,
        label,
    };
    Ok((run, Ok(Box::new(rebuilt))))
}

/// What the unit's label says: by the run's scan, or by an earlier one.
async fn label(
    journal: &JournalReader,
    waiting: &WaitingRun,
    run: Option<&Run>,
    product: &Product,
) -> Result<Option<Label>, JournalError> {
    let scanned = run.and_then(|run| run.serial.clone());
    let serial = if scanned.is_some() {
        scanned
    } else {
        let unit = journal.unit(waiting.device_id).await?;
        unit.and_then(|unit| unit.serial)
    };
    Ok(serial.map(|serial| Label {
        product: product.name.clone(),
        serial,
    }))
}

async fn plan(
    journal: &JournalReader,
    run: Option<&Run>,
) -> Result<Option<(Order, Product)>, JournalError> {
    let Some(run) = run else { return Ok(None) };
    let Some(order) = journal.order(run.order).await? else {
        return Ok(None);
    };
    let product = journal.product(order.product).await?;
    Ok(product.map(|product| (order, product)))
}

/// The claim in this evidence for the key that was proven.
fn claim_in(
    evidence: impl Iterator<Item = Evidence>,
    waiting: &WaitingRun,
    proof: &Proof,
    plan: ClaimPlan<'_>,
) -> Option<Claim> {
    let mut evidence = evidence;
    evidence.find_map(|one| Claim::of_evidence(one, waiting.device_id, proof.fingerprint(), plan))
}

/// The claim that an earlier run of the unit made. It is entered in the name of the run that was held: that one is answered for now.
async fn earlier_claim(
    journal: &JournalReader,
    waiting: &WaitingRun,
    proof: &Proof,
    plan: ClaimPlan<'_>,
) -> Result<Option<Claim>, JournalError> {
    let runs = journal.runs_of(waiting.device_id, EARLIER_RUNS_MAX).await?;
    let runs = runs.into_iter().map(|run| run.id);
    for run in runs.filter(|run: &RunId| *run != waiting.run) {
        let steps = journal.steps_of(run).await?.into_iter();
        let evidence = steps.filter_map(|step| step.evidence);
        if let Some(claim) = claim_in(evidence, waiting, proof, plan) {
            return Ok(Some(claim));
        }
    }
    Ok(None)
}
