//! What every state holds: the plan, and the unit that is being spoken to.

use keyline_protocol::identity::DeviceId;
use keyline_protocol::message::{Identity, RecordSummary};

use super::{Failed, Plan, StepError};
use crate::link::{ProbeFacts, Target};
use crate::session::Conversation;

/// A unit on the bench, and what is to be done with it.
pub(super) struct Bench<'p> {
    pub(super) plan: &'p Plan<'p>,
    pub(super) conversation: Conversation,
    pub(super) probe: Option<ProbeFacts>,
    /// Who the unit is, as far as is known.
    pub(super) device_id: Option<DeviceId>,
}

impl Bench<'_> {
    /// Gives the unit up, and says why.
    pub(super) fn fail(self, error: impl Into<StepError>) -> Failed {
        Failed {
            device_id: self.device_id,
            target: self.conversation.into_target(),
            error: Box::new(error.into()),
        }
    }

    pub(super) fn release(self) -> Box<dyn Target> {
        self.conversation.into_target()
    }
}

/// A unit whose agent has said who it is.
pub(super) struct Known<'p> {
    pub(super) bench: Bench<'p>,
    pub(super) identity: Identity,
}

/// A unit whose key is known, whether it is in the registry or not.
pub(super) struct WithKey<'p> {
    pub(super) known: Known<'p>,
    pub(super) key: crate::session::DevicePublicKey,
    /// The record that the last proof was made over.
    pub(super) proven: Option<RecordSummary>,
}
