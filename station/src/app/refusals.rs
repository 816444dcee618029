//! Which refused sign-ins get a leaf of their own: all of them, until somebody tries to fill the log with them.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::record::Change;

/// How many refusals are told one by one before they are counted together.
const BURST: u32 = 20;

/// How long it takes until one more is told.
const PERIOD: Duration = Duration::from_secs(10);

/// A bucket of leaves that refusals may still take; it fills up by one each [`PERIOD`].
pub(super) struct Refusals(Mutex<State>);

struct State {
    left: u32,
    filled: Instant,
    unlogged: u32,
}

impl Default for Refusals {
    fn default() -> Self {
        Self(Mutex::new(State {
            left: BURST,
            filled: Instant::now(),
            unlogged: 0,
        }))
    }
}

impl Refusals {
    /// The change that tells of a refusal; `None` where there were too many of late: the next one that is told counts it.
    pub(super) fn tell(&self, operator: Option<String>, request: &str) -> Option<Change> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let periods = state.filled.elapsed().as_millis() / PERIOD.as_millis();
        let periods = u32::try_from(periods).unwrap_or(u32::MAX);
        if periods > 0 {
            state.left = state.left.saturating_add(periods).min(BURST);
            state.filled = Instant::now();
        }
        let Some(left) = state.left.checked_sub(1) else {
            state.unlogged = state.unlogged.saturating_add(1);
            return None;
        };
        state.left = left;
        Some(Change::SignInRefused {
            operator,
            request: request.to_owned(),
            unlogged: std::mem::take(&mut state.unlogged),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_refusals_is_counted_and_told_in_one_leaf() {
        let refusals = Refusals::default();
        for _ in 0..BURST {
            assert!(refusals.tell(None, "provision").is_some());
        }
        for _ in 0..1_000 {
            assert!(refusals.tell(None, "provision").is_none());
        }
        refusals.0.lock().unwrap().filled = Instant::now().checked_sub(PERIOD).unwrap();
        let told = refusals.tell(Some("0a".to_owned()), "provision");
        assert_eq!(
            told,
            Some(Change::SignInRefused {
                operator: Some("0a".to_owned()),
                request: "provision".to_owned(),
                unlogged: 1_000,
            })
        );
        assert!(refusals.tell(None, "provision").is_none());
    }
}
