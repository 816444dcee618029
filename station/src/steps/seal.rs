//! Seal: from now on the agent answers only identify and prove.

use keyline_protocol::identity::{LockPolicy, fingerprint};

use super::bench::WithKey;
use super::pin::Pinned;
use super::{Failed, StepError};
use crate::link::Target;
use crate::record::Evidence;

/// The agent is sealed, or the product leaves it open.
pub struct Sealed<'p>(pub(super) WithKey<'p>);

impl<'p> Pinned<'p> {
    /// Seals the unit where the product says so; without evidence where it doesn't, for then nothing was done.
    ///
    /// # Errors
    /// [`Failed`].
    pub fn seal(self) -> Result<(Sealed<'p>, Option<Evidence>), Failed> {
        let mut unit = self.0;
        if unit.known.bench.plan.product.lock_policy == LockPolicy::Open {
            return Ok((Sealed(unit), None));
        }
        let already = unit.known.identity.sealed;
        if let Err(error) = seal(&mut unit, already) {
            return Err(unit.known.bench.fail(error));
        }
        Ok((Sealed(unit), Some(Evidence::Sealed { already })))
    }
}

/// Seals, and looks whether what is sealed now is what has proven itself: somebody may have written in between over another link.
fn seal(unit: &mut WithKey<'_>, already: bool) -> Result<(), StepError> {
    let conversation = &mut unit.known.bench.conversation;
    if !already {
        conversation.seal()?;
    }
    let sealed = conversation.identify()?;
    let expected = unit.known.identity.device_id;
    if sealed.device_id != expected {
        return Err(StepError::DeviceIdMismatch {
            expected,
            got: sealed.device_id,
        });
    }
    let key = fingerprint(&unit.key.spki);
    let shown = sealed.key.map_or([0; 32], |key| key.fingerprint);
    if shown != key {
        return Err(StepError::KeyChanged {
            expected: key,
            got: shown,
        });
    }
    let proven = unit.proven.map_or([0; 32], |record| record.digest);
    let found = sealed.record.map_or([0; 32], |record| record.digest);
    if found != proven || !sealed.sealed {
        return Err(StepError::SealedAnother {
            expected: proven,
            got: found,
            sealed: sealed.sealed,
        });
    }
    unit.known.identity = sealed;
    Ok(())
}

impl Sealed<'_> {
    /// Whether [`Sealed::lock`] will have an effect on the unit.
    #[must_use]
    pub fn needs_lock(&self) -> bool {
        self.0.known.bench.plan.product.lock_policy == LockPolicy::ReadBack
    }

    /// Lets the unit go, as it is.
    #[must_use]
    pub fn release(self) -> Box<dyn Target> {
        self.0.known.bench.release()
    }
}
