//! Lock: set read-back protection where the product says so, then look again from outside whether it holds.

use keyline_protocol::identity::{DeviceId, LockPolicy};

use super::bench::{Bench, WithKey};
use super::seal::Sealed;
use super::{Failed, StepError};
use crate::link::Target;
use crate::record::{Evidence, LockPolicyName, ProtectionStrength};

/// The unit is closed as far as the product says: the run is at its end.
pub struct Locked<'p>(WithKey<'p>);

impl<'p> Sealed<'p> {
    /// Locks the unit where the product says so, resets it, and looks over the probe whether the protection holds. Over a link without
    /// a probe the unit itself is asked after the reset.
    ///
    /// # Errors
    /// [`Failed`]; [`StepError::ProtectionNotHeld`] where a probe still gets in.
    pub fn lock(self) -> Result<(Locked<'p>, Evidence), Failed> {
        let mut unit = self.0;
        let lock_policy = unit.known.bench.plan.product.lock_policy;
        let platform = unit.known.identity.platform;
        let seen_to_hold = match lock_policy {
            LockPolicy::Open | LockPolicy::Sealed => None,
            LockPolicy::ReadBack => match protect(&mut unit.known.bench) {
                Ok(seen) => seen,
                Err(error) => return Err(unit.known.bench.fail(error)),
            },
        };
        let evidence = Evidence::Locked {
            lock_policy: LockPolicyName(lock_policy),
            seen_to_hold,
            strength: (lock_policy == LockPolicy::ReadBack)
                .then(|| ProtectionStrength::of(platform)),
        };
        Ok((Locked(unit), evidence))
    }
}

fn protect(bench: &mut Bench<'_>) -> Result<Option<bool>, StepError> {
    let conversation = &mut bench.conversation;
    conversation.lock()?;
    if bench.probe.is_none() {
        conversation.reset()?;
        return if conversation.identify()?.protected {
            Ok(None)
        } else {
            Err(StepError::ProtectionNotHeld)
        };
    }
    // The agent resets the chip: once protection holds, the probe may not be able to.
    conversation.ask_for_reset()?;
    match conversation.target().probe_protection()? {
        Some(true) => Ok(Some(true)),
        Some(false) => Err(StepError::ProtectionNotHeld),
        None => Ok(None),
    }
}

impl Locked<'_> {
    /// Who the unit is.
    #[must_use]
    pub const fn device_id(&self) -> DeviceId {
        self.0.known.identity.device_id
    }

    /// Lets the unit go, finished.
    #[must_use]
    pub fn release(self) -> Box<dyn Target> {
        self.0.known.bench.release()
    }
}
