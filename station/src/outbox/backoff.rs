//! How long to wait before the registry is asked again.

use std::time::Duration;

/// The first wait: a connection that was cut is often back at once.
const FIRST: Duration = Duration::from_millis(250);

/// The longest wait: a person who has plugged the cable in again does not wait longer for the first sign.
const LONGEST: Duration = Duration::from_secs(30);

/// Waits that double, each with a random part, so that the stations of a factory don't all come back in the same moment.
#[derive(Clone, Debug, Default)]
pub struct Backoff {
    attempts: u32,
}

impl Backoff {
    /// The next wait: between one half and the whole of 250 ms, 500 ms, 1 s … 30 s.
    pub fn next_wait(&mut self) -> Duration {
        let whole = FIRST
            .saturating_mul(1 << self.attempts.min(16))
            .min(LONGEST);
        self.attempts = self.attempts.saturating_add(1);
        whole.mul_f64(0.5 + 0.5 * rand::random::<f64>())
    }

    /// Something was done: the next wait is the first one again.
    pub const fn reset(&mut self) {
        self.attempts = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_limit_and_begin_again_after_a_success() {
        let mut backoff = Backoff::default();
        let mut whole = FIRST;
        for _ in 0..40 {
            let wait = backoff.next_wait();
            assert!(wait >= whole / 2 && wait <= whole, "{wait:?} of {whole:?}");
            whole = (whole * 2).min(LONGEST);
        }
        backoff.reset();
        assert!(backoff.next_wait() <= FIRST);
    }

    #[test]
    fn two_stations_wait_differently() {
        let waits = |_| Backoff::default().next_wait();
        let all: std::collections::HashSet<_> = (0..20).map(waits).collect();
        assert!(all.len() > 1);
    }
}
