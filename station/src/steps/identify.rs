//! Identify: start the agent, measure it, and ask the unit who it is.

use keyline_agent::layout::Layout;
use keyline_protocol::identity::DeviceId;
use keyline_protocol::message::Identity;

use super::attach::Attached;
use super::bench::{Bench, Known};
use super::{Failed, StepError};
use crate::link::{AgentImage, ProbeFacts, Residence, Target};
use crate::record::{AgentDigestSource, DeviceIdText, Evidence, PlatformName};

/// The order's agent runs on the unit and has said who it is.
pub struct Identified<'p>(pub(super) Known<'p>);

impl<'p> Attached<'p> {
    /// Starts the order's agent and asks the unit who it is. Where the agent lives in flash this may write the agent's pages.
    ///
    /// # Errors
    /// [`Failed`].
    pub fn identify(self) -> Result<(Identified<'p>, Evidence), Failed> {
        let mut bench = self.0;
        match identify(&mut bench) {
            Ok((identity, evidence)) => Ok((Identified(Known { bench, identity }), evidence)),
            Err(error) => Err(bench.fail(error)),
        }
    }
}

fn identify(bench: &mut Bench<'_>) -> Result<(Identity, Evidence), StepError> {
    let image = bench.plan.image;
    let platform = bench.plan.product.platform;
    if image.platform != platform {
        return Err(StepError::WrongImage {
            expected: platform,
            got: image.platform,
        });
    }
    if let Some(facts) = &bench.probe {
        if facts.protected {
            return Err(StepError::LockedOut);
        }
        check_layout(facts, image, Layout::of(platform))?;
    }
    let measured = bench.conversation.target().start_agent(image)?.measured;
    if let Some(got) = measured
        && got != image.digest
    {
        return Err(StepError::AgentDigest {
            source_of_digest: AgentDigestSource::Measured,
            expected: image.digest,
            got,
        });
    }
    let version = bench.conversation.hello()?;
    let identity = bench.conversation.identify()?;
    check_identity(bench, &identity)?;
    let evidence = Evidence::Identified {
        device_id: DeviceIdText(identity.device_id),
        platform: PlatformName(identity.platform),
        agent_version: identity.agent_version,
        agent_digest: identity.agent_digest,
        agent_digest_source: match measured {
            Some(_) => AgentDigestSource::Measured,
            None => AgentDigestSource::Claimed,
        },
        protocol_version: version,
    };
    Ok((identity, evidence))
}

fn check_identity(bench: &mut Bench<'_>, identity: &Identity) -> Result<(), StepError> {
    let plan = bench.plan;
    let by_probe = bench.device_id.replace(identity.device_id);
    if identity.platform != plan.product.platform {
        return Err(StepError::WrongChip {
            expected: plan.product.platform,
            got: identity.platform.name().to_owned(),
        });
    }
    if let Some(expected) = by_probe
        && expected != identity.device_id
    {
        return Err(StepError::DeviceIdMismatch {
            expected,
            got: identity.device_id,
        });
    }
    if identity.agent_digest != plan.image.digest {
        return Err(StepError::AgentDigest {
            source_of_digest: AgentDigestSource::Claimed,
            expected: plan.image.digest,
            got: identity.agent_digest,
        });
    }
    Ok(())
}

/// Refuses a unit on which somebody else's code lies where the agent or its areas go.
fn check_layout(facts: &ProbeFacts, image: &AgentImage, layout: &Layout) -> Result<(), StepError> {
    if let Some(begin) = facts.bootloader_address
        && begin < layout.end()
    {
        return Err(StepError::LayoutConflict {
            occupant: "bootloader",
            boundary: begin,
            areas_begin: layout.start(),
            areas_end: layout.end(),
        });
    }
    // A SoftDevice begins at the first byte of flash, where a flash-resident agent begins as well.
    let lowest = match image.residence {
        Residence::Flash => image.load_address.min(layout.start()),
        Residence::Ram => layout.start(),
    };
    if let Some(end) = facts.softdevice_end
        && end > lowest
    {
        return Err(StepError::LayoutConflict {
            occupant: "SoftDevice",
            boundary: end,
            areas_begin: lowest,
            areas_end: layout.end(),
        });
    }
    Ok(())
}

impl Identified<'_> {
    /// Who the unit is.
    #[must_use]
    pub const fn device_id(&self) -> DeviceId {
        self.0.identity.device_id
    }

    /// All that the unit said of itself.
    #[must_use]
    pub const fn identity(&self) -> &Identity {
        &self.0.identity
    }

    /// Lets the unit go, as it is.
    #[must_use]
    pub fn release(self) -> Box<dyn Target> {
        self.0.bench.release()
    }
}
