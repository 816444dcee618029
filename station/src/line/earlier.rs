//! What an interrupted run of a unit left in the journal.

use keyline_protocol::identity::fingerprint;
use keyline_protocol::message::KeySummary;

use super::Line;
use super::error::RunError;
use crate::record::{Claim, DeviceIdText, Evidence};
use crate::steps::Identified;

/// How far back the claim of an interrupted run is looked for.
const EARLIER_RUNS_MAX: u32 = 16;

/// The claim that an earlier run of this unit made with the very key that it has now.
pub(super) fn earlier_claim(
    line: &Line,
    identified: &Identified<'_>,
    present: &KeySummary,
) -> Result<Option<Claim>, RunError> {
    let device_id = DeviceIdText(identified.device_id());
    let reader = &line.journal;
    for run in line.wait(reader.runs_of(device_id, EARLIER_RUNS_MAX))? {
        for event in line.wait(reader.steps_of(run.id))? {
            if let Some(Evidence::Keyed {
                algorithm,
                made,
                public_key,
                challenge,
                signature,
                ..
            }) = event.evidence
                && fingerprint(&public_key) == present.fingerprint
            {
                return Ok(Some(Claim {
                    device_id,
                    algorithm,
                    made,
                    public_key,
                    challenge,
                    signature,
                    station: line.station,
                    customer: line.product.customer.clone(),
                    product: line.product.id,
                    order: line.order.id,
                    run: run.id,
                    rework: line.order.rework,
                }));
            }
        }
    }
    Ok(None)
}
