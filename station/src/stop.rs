//! The wish to stop: set once by a signal or by a reader that went away, looked at between two effects.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

/// A flag that every part of a command can see. Clones are the same flag; once set it stays set.
#[derive(Clone, Default)]
pub struct Stop {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    requested: AtomicBool,
    notify: Notify,
}

impl Stop {
    /// A flag that is not set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks everybody who looks at this flag to finish what is in hand and stop.
    pub fn request(&self) {
        self.shared.requested.store(true, Ordering::SeqCst);
        self.shared.notify.notify_waiters();
    }

    /// Whether somebody asked to stop.
    #[must_use]
    pub fn requested(&self) -> bool {
        self.shared.requested.load(Ordering::SeqCst)
    }

    /// Returns when somebody asks to stop, at once where that has happened.
    pub async fn wait(&self) {
        loop {
            let notified = self.shared.notify.notified();
            if self.requested() {
                return;
            }
            notified.await;
        }
    }
}
