//! The times in a leaf: the wall clock, and one that nobody can set. Where the two part, the log says so.

use std::fs;

use rustix::time::{ClockId, clock_gettime};

use crate::record::Change;

/// By how much the wall clock may part from the time since the machine started between two batches, in milliseconds: more than a
/// time server's slewing ever makes of it, less than a forger needs.
const STEP_MS_MIN: u64 = 2_000;

/// When a batch was committed, by both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moment {
    /// Milliseconds since 1970, by the wall clock.
    pub(super) wall_ms: u64,
    /// Milliseconds since the machine started, sleep included.
    pub(super) monotonic_ms: u64,
    /// The kernel's boot id: which of the machine's starts this is.
    pub(super) boot_id: [u8; 16],
}

impl Moment {
    /// The change that must stand in the log where the wall clock was moved since `earlier`, and the last leaf would not fit this one.
    fn step_since(&self, earlier: &Self) -> Option<Change> {
        let expected_ms = if self.boot_id == earlier.boot_id {
            let passed = self.monotonic_ms.saturating_sub(earlier.monotonic_ms);
            earlier.wall_ms.saturating_add(passed)
        } else {
            // How long the machine was off nobody knows; that time did not run backwards is certain.
            earlier.wall_ms.max(self.wall_ms)
        };
        (expected_ms.abs_diff(self.wall_ms) > STEP_MS_MIN).then_some(Change::ClockStepped {
            expected_ms,
            found_ms: self.wall_ms,
        })
    }
}

/// Reads the clocks, and remembers when they were last committed.
#[derive(Clone, Copy, Debug)]
pub(super) struct LeafClock {
    boot_id: [u8; 16],
    committed: Option<Moment>,
}

impl LeafClock {
    /// Reads the kernel's boot id (proc(5): `sys/kernel/random/boot_id`). A system that has none gets zeros: the leaves then say that
    /// nothing is known. `last` is when the log's last leaf was made.
    pub(super) fn start(last: Option<Moment>) -> Self {
        let boot_id = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let mut bytes = [0; 16];
        if hex::decode_to_slice(boot_id.trim().replace('-', ""), &mut bytes).is_err() {
            bytes = [0; 16];
        }
        Self {
            boot_id: bytes,
            committed: last,
        }
    }

    /// This moment, and the change that belongs before everything else of it.
    pub(super) fn look(&self) -> (Moment, Option<Change>) {
        let now = Moment {
            wall_ms: crate::clock::wall_ms(),
            monotonic_ms: monotonic_ms(),
            boot_id: self.boot_id,
        };
        let step = self.committed.and_then(|last| now.step_since(&last));
        (now, step)
    }

    /// Leaves of this moment are on disk.
    pub(super) const fn commit(&mut self, moment: Moment) {
        self.committed = Some(moment);
    }
}

/// Milliseconds since the machine started, sleep included (`clock_gettime(2)`: `CLOCK_BOOTTIME`).
fn monotonic_ms() -> u64 {
    let time = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanoseconds = u64::try_from(time.tv_nsec).unwrap_or(0);
    seconds * 1_000 + nanoseconds / 1_000_000
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(wall_ms: u64, monotonic_ms: u64, boot: u8) -> Moment {
        Moment {
            wall_ms,
            monotonic_ms,
            boot_id: [boot; 16],
        }
    }

    #[test]
    fn a_wall_clock_that_is_moved_is_told() {
        let last = at(1_000_000, 50_000, 1);
        let step = |wall_ms, monotonic_ms, boot| at(wall_ms, monotonic_ms, boot).step_since(&last);
        assert_eq!(step(1_060_000, 110_000, 1), None);
        assert_eq!(step(1_061_900, 110_000, 1), None, "slewed");
        for (wall_ms, monotonic_ms) in [(1_062_001, 110_000), (1_057_000, 110_000), (0, 50_001)] {
            let expected_ms = 950_000 + monotonic_ms;
            assert_eq!(
                step(wall_ms, monotonic_ms, 1),
                Some(Change::ClockStepped {
                    expected_ms,
                    found_ms: wall_ms
                })
            );
        }
    }

    #[test]
    fn over_a_restart_only_time_that_ran_backwards_is_told() {
        let last = at(1_000_000, 50_000, 1);
        assert_eq!(at(9_000_000, 10, 2).step_since(&last), None);
        assert_eq!(at(999_000, 10, 2).step_since(&last), None, "within bounds");
        assert_eq!(
            at(900_000, 10, 2).step_since(&last),
            Some(Change::ClockStepped {
                expected_ms: 1_000_000,
                found_ms: 900_000
            })
        );
    }

    #[test]
    fn the_clock_reads_this_moment_and_compares_it_with_what_was_committed() {
        let mut clock = LeafClock::start(None);
        let (first, step) = clock.look();
        assert_eq!(step, None);
        clock.commit(first);
        let (second, step) = clock.look();
        assert_eq!(step, None);
        assert!(second.monotonic_ms >= first.monotonic_ms);
        clock.commit(Moment {
            wall_ms: first.wall_ms + 60_000,
            ..first
        });
        assert!(matches!(clock.look().1, Some(Change::ClockStepped { .. })));
    }
}
