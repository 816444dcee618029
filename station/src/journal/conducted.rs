//! The runs that somebody in this process is conducting at this moment: none of them was left behind, whatever the log says of it.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::record::RunId;

/// Who is conducting what. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Conducted {
    runs: Arc<Mutex<HashSet<RunId>>>,
}

/// A run that is being conducted, for as long as this lives.
#[derive(Debug)]
pub struct RunInHand {
    conducted: Conducted,
    run: RunId,
}

impl Conducted {
    pub(super) fn begin(&self, run: RunId) -> RunInHand {
        self.lock().insert(run);
        RunInHand {
            conducted: self.clone(),
            run,
        }
    }

    pub(super) fn all(&self) -> HashSet<RunId> {
        self.lock().clone()
    }

    pub(super) fn has(&self, run: RunId) -> bool {
        self.lock().contains(&run)
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<RunId>> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for RunInHand {
    fn drop(&mut self) {
        self.conducted.lock().remove(&self.run);
    }
}
