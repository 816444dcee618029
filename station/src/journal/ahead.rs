//! For how long the log has grown without its witnesses, by clocks of which one can be set.
//!
//! Within one start of the machine the time since that start can't be set; over a restart only the wall clock is left. So the steps from
//! one batch to the next are added up, each by the clock that says more, and a step backwards counts as none: whoever sets the wall clock
//! back wins nothing but the time for which the machine was off.

use std::collections::VecDeque;

use super::clock::Moment;

/// The batches that no witness has seen.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    marks: VecDeque<Mark>,
}

/// The first leaf of a batch.
#[derive(Clone, Copy, Debug)]
struct Mark {
    index: u64,
    moment: Moment,
    /// The steps up to here, in milliseconds.
    total_ms: u64,
}

impl Ahead {
    /// Leaves from `index` on were made at this moment.
    pub(super) fn grew(&mut self, index: u64, moment: Moment) {
        let total_ms = match self.marks.back() {
            Some(last) if last.moment == moment => return,
            Some(last) => last.total_ms.saturating_add(step_ms(&last.moment, &moment)),
            None => 0,
        };
        self.marks.push_back(Mark {
            index,
            moment,
            total_ms,
        });
    }

    /// The first `size` leaves were witnessed, of `tree_size`. Says whether it is known when the next leaf was made.
    pub(super) fn witnessed(&mut self, size: u64, tree_size: u64) -> bool {
        if size >= tree_size {
            self.marks.clear();
            return true;
        }
        while self.marks.get(1).is_some_and(|next| next.index <= size) {
            self.marks.pop_front();
        }
        self.marks.front().is_some_and(|first| first.index <= size)
    }

    /// Forgets everything, to be told anew.
    pub(super) fn clear(&mut self) {
        self.marks.clear();
    }

    /// How long ago the first leaf was made that no witness has seen, in milliseconds.
    pub(super) fn elapsed_ms(&self, now: &Moment) -> u64 {
        let (Some(first), Some(last)) = (self.marks.front(), self.marks.back()) else {
            return 0;
        };
        (last.total_ms - first.total_ms).saturating_add(step_ms(&last.moment, now))
    }
}

/// How much later one moment is than another, in milliseconds, by the clock that says more.
fn step_ms(before: &Moment, after: &Moment) -> u64 {
    let wall_ms = after.wall_ms.saturating_sub(before.wall_ms);
    if before.boot_id == after.boot_id {
        wall_ms.max(after.monotonic_ms.saturating_sub(before.monotonic_ms))
    } else {
        wall_ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_MS: u64 = 3_600_000;

    fn at(wall_hours: u64, up_hours: u64, boot: u8) -> Moment {
        Moment {
            wall_ms: wall_hours * HOUR_MS,
            monotonic_ms: up_hours * HOUR_MS,
            boot_id: [boot; 16],
        }
    }

    fn hours(leaves: &[Moment], now: Moment) -> u64 {
        let mut ahead = Ahead::default();
        for (index, moment) in (0..).zip(leaves) {
            ahead.grew(index, *moment);
        }
        ahead.elapsed_ms(&now) / HOUR_MS
    }

    #[test]
    fn a_wall_clock_that_was_set_back_wins_no_time() {
        assert_eq!(hours(&[at(100, 1, 1)], at(110, 11, 1)), 10);
        assert_eq!(hours(&[at(100, 1, 1)], at(40, 11, 1)), 10, "set back");
        assert_eq!(hours(&[at(100, 1, 1)], at(150, 2, 1)), 50, "set forward");
        let often = [at(100, 1, 1), at(90, 6, 1), at(80, 11, 1)];
        assert_eq!(hours(&often, at(70, 16, 1)), 15);
    }

    #[test]
    fn over_a_restart_what_was_run_before_still_counts() {
        let before = [at(100, 1, 1), at(108, 9, 1)];
        assert_eq!(hours(&before, at(109, 0, 2)), 9);
        let set_back = [at(100, 1, 1), at(108, 9, 1), at(50, 0, 2)];
        assert_eq!(hours(&set_back, at(57, 7, 2)), 15);
    }

    #[test]
    fn what_was_witnessed_no_longer_counts() {
        let mut ahead = Ahead::default();
        for (index, hour) in [(0, 10), (5, 12), (9, 15)] {
            ahead.grew(index, at(hour, hour, 1));
        }
        let now = at(20, 20, 1);
        assert!(ahead.witnessed(3, 12), "leaf 3 is of the first batch");
        assert_eq!(ahead.elapsed_ms(&now), 10 * HOUR_MS);
        assert!(ahead.witnessed(5, 12));
        assert_eq!(ahead.elapsed_ms(&now), 8 * HOUR_MS);
        assert!(ahead.witnessed(12, 12));
        assert_eq!(ahead.elapsed_ms(&now), 0);
        ahead.grew(12, now);
        assert!(
            !ahead.witnessed(11, 13),
            "when leaf 11 was made is not known"
        );
    }
}
