//! Attach: open the link, read what can be read without an agent, refuse the wrong chip before anything is written.

use super::bench::Bench;
use super::{Failed, Plan, StepError};
use crate::link::{ProbeFacts, Target};
use crate::record::{DeviceIdText, Evidence, ProbeReading};
use crate::session::Conversation;

/// The link is open; nothing was written to the unit.
pub struct Attached<'p>(pub(super) Bench<'p>);

/// Opens the link to a unit.
///
/// # Errors
/// [`Failed`] where the link can't be opened, or the chip behind it is not the product's.
pub fn attach<'p>(
    target: Box<dyn Target>,
    plan: &'p Plan<'p>,
) -> Result<(Attached<'p>, Evidence), Failed> {
    let mut bench = Bench {
        plan,
        conversation: Conversation::new(target),
        probe: None,
        device_id: None,
    };
    match attach_bench(&mut bench) {
        Ok(evidence) => Ok((Attached(bench), evidence)),
        Err(error) => Err(bench.fail(error)),
    }
}

fn attach_bench(bench: &mut Bench<'_>) -> Result<Evidence, StepError> {
    let expected = bench.plan.product.platform;
    let target = bench.conversation.target();
    let link = target.describe();
    let attachment = target.attach(expected)?;
    if let Some(facts) = attachment.probe {
        bench.device_id = facts.device_id;
        if facts.platform != expected {
            return Err(StepError::WrongChip {
                expected,
                got: facts.platform.name().to_owned(),
            });
        }
        bench.probe = Some(facts);
    }
    Ok(Evidence::Attached {
        link,
        probe: bench.probe.as_ref().map(|facts| ProbeReading {
            device_id: facts.device_id.map(DeviceIdText),
            protected: facts.protected,
        }),
    })
}

impl Attached<'_> {
    /// What the probe read; `None` over a serial link.
    #[must_use]
    pub const fn probe(&self) -> Option<&ProbeFacts> {
        self.0.probe.as_ref()
    }

    /// Whether read-back protection keeps this link from starting an agent: the unit can then only be recognised over its serial
    /// link, or by its serial and the journalled intent.
    #[must_use]
    pub fn is_locked_out(&self) -> bool {
        self.0.probe.as_ref().is_some_and(|facts| facts.protected)
    }

    /// Lets the unit go, as it is.
    #[must_use]
    pub fn release(self) -> Box<dyn Target> {
        self.0.release()
    }
}
