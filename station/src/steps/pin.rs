//! Pin: entered by the line; the state that it leads to.

use keyline_protocol::identity::LockPolicy;

use super::bench::WithKey;
use crate::link::Target;

/// The registry trusts the key, or the unit goes on as held.
pub struct Pinned<'p>(pub(super) WithKey<'p>);

impl Pinned<'_> {
    /// Whether [`Pinned::seal`] will have an effect on the unit.
    #[must_use]
    pub fn needs_seal(&self) -> bool {
        let known = &self.0.known;
        known.bench.plan.product.lock_policy != LockPolicy::Open && !known.identity.sealed
    }

    /// Lets the unit go, as it is.
    #[must_use]
    pub fn release(self) -> Box<dyn Target> {
        self.0.known.bench.release()
    }
}
