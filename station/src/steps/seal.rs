//! Seal: from now on the agent answers only identify and prove.

use keyline_protocol::identity::LockPolicy;

use super::Failed;
use super::bench::WithKey;
use super::pin::Pinned;
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
        if !already && let Err(error) = unit.known.bench.conversation.seal() {
            return Err(unit.known.bench.fail(error));
        }
        unit.known.identity.sealed = true;
        Ok((Sealed(unit), Some(Evidence::Sealed { already })))
    }
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
