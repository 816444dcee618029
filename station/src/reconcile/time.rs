//! The times in the leaves, held against each other: the wall clock can be set, the time since the machine's start can't.

use super::{Code, Finding};

/// By how much wall time may differ from the time since the machine's start, from one leaf to the next, without a leaf that says so.
const DRIFT_MAX_MS: u64 = 2_000;

/// By how much the time since the start may seem to go back where another process goes on: the kernel gives it in hundredths of a second,
/// cut off.
const RESOLUTION_MS: u64 = 10;

/// The times of a leaf.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    pub(super) wall_ms: u64,
    pub(super) monotonic_ms: u64,
    pub(super) boot_id: [u8; 16],
    /// The leaf says that the clock was set.
    pub(super) stepped: bool,
}

/// A jump that the next leaves may account for.
#[derive(Debug)]
struct Jump {
    code: Code,
    place: String,
    message: String,
    batch: u64,
}

/// Looks at the leaves of a log, one after the other.
#[derive(Debug, Default)]
pub(super) struct TimeCheck {
    last: Option<Times>,
    jump: Option<Jump>,
    batch: u64,
    /// The batch in which a leaf last said that the clock was set.
    stepped_in: Option<u64>,
    boot_unknown: bool,
}

impl TimeCheck {
    /// The next batch begins.
    pub(super) fn next_batch(&mut self) -> Option<Finding> {
        self.batch += 1;
        // The leaf that says so may stand in the batch behind the jump.
        let late = |jump: &Jump| self.batch > jump.batch + 1;
        if self.jump.as_ref().is_some_and(late) {
            return self.give_up();
        }
        None
    }

    /// Nothing accounts for the jump any more.
    pub(super) fn give_up(&mut self) -> Option<Finding> {
        let jump = self.jump.take()?;
        Some(jump.code.at(jump.place, jump.message))
    }

    /// Takes the next leaf.
    pub(super) fn take(&mut self, index: u64, now: Times) -> Vec<Finding> {
        let mut findings = Vec::new();
        if now.stepped {
            self.stepped_in = Some(self.batch);
        }
        if let Some(last) = self.last.replace(now) {
            findings.extend(self.compare(index, last, now));
        }
        let said = self.stepped_in.is_some_and(|batch| batch + 1 >= self.batch);
        if said && let Some(jump) = self.jump.take() {
            let message = format!("{}; a clock-stepped leaf says so", jump.message);
            findings.push(Code::ClockStepped.at(jump.place, message));
            self.stepped_in = None;
        }
        findings
    }

    fn compare(&mut self, index: u64, last: Times, now: Times) -> Vec<Finding> {
        let mut findings = Vec::new();
        let place = format!("leaf {index}");
        if now.boot_id == [0; 16] {
            if !std::mem::replace(&mut self.boot_unknown, true) {
                let message = "from here on the leaves say nothing of the machine's start";
                findings.push(Code::BootUnknown.at(place, message));
            }
            return findings;
        }
        if now.boot_id != last.boot_id {
            if now.wall_ms < last.wall_ms {
                let message = format!(
                    "after a restart wall time goes back by {} ms, from {} to {}, and no clock-stepped leaf says so",
                    last.wall_ms - now.wall_ms,
                    last.wall_ms,
                    now.wall_ms
                );
                findings.extend(self.jumped(Code::ClockWentBack, place, message));
            }
            return findings;
        }
        if now.monotonic_ms.saturating_add(RESOLUTION_MS) < last.monotonic_ms {
            let message = format!(
                "expected a time since the machine's start of {} ms or more, as in the leaf before, found {} ms",
                last.monotonic_ms, now.monotonic_ms
            );
            findings.push(Code::MonotonicWentBack.at(&place, message));
            return findings;
        }
        let due_ms = last
            .wall_ms
            .saturating_add(now.monotonic_ms.saturating_sub(last.monotonic_ms));
        if now.wall_ms.abs_diff(due_ms) > DRIFT_MAX_MS {
            let message = format!(
                "expected wall time {due_ms} by the time since the machine's start, found {} ({} by {} ms)",
                now.wall_ms,
                if now.wall_ms < due_ms {
                    "set back"
                } else {
                    "set forward"
                },
                now.wall_ms.abs_diff(due_ms)
            );
            findings.extend(self.jumped(Code::ClockJumped, place, message));
        }
        findings
    }

    fn jumped(&mut self, code: Code, place: String, message: String) -> Option<Finding> {
        let earlier = self.give_up();
        self.jump = Some(Jump {
            code,
            place,
            message,
            batch: self.batch,
        });
        earlier
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOOT: [u8; 16] = [1; 16];

    fn at(wall_ms: u64, monotonic_ms: u64, boot_id: [u8; 16]) -> Times {
        Times {
            wall_ms,
            monotonic_ms,
            boot_id,
            stepped: false,
        }
    }

    fn stepped(times: Times) -> Times {
        Times {
            stepped: true,
            ..times
        }
    }

    /// Each leaf a batch of its own, and some batches behind the last.
    fn codes(leaves: &[Times]) -> Vec<&'static str> {
        let mut check = TimeCheck::default();
        let mut findings = Vec::new();
        for (index, leaf) in leaves.iter().enumerate() {
            findings.extend(check.take(index as u64, *leaf));
            findings.extend(check.next_batch());
        }
        findings.extend(check.give_up());
        findings.iter().map(|finding| finding.code).collect()
    }

    #[test]
    fn clocks_that_keep_pace_are_nothing_to_tell() {
        let day = 86_400_000;
        let leaves = [
            at(10_000, 500, BOOT),
            at(10_000, 501, BOOT),
            at(10_000 + day, 501 + day, BOOT),
            at(9_000 + day, 600 + day, BOOT),
            // Another process, whose uptime was cut to hundredths.
            at(9_100 + day, 591 + day, BOOT),
            at(50_000 + day, 3, [2; 16]),
        ];
        assert_eq!(codes(&leaves), Vec::<&str>::new());
    }

    #[test]
    fn a_jump_is_a_violation_unless_a_leaf_next_to_it_says_so() {
        let (before, after) = (at(100_000, 500, BOOT), at(90_000, 600, BOOT));
        assert_eq!(codes(&[before, after]), ["clock-jumped"]);
        assert_eq!(codes(&[before, at(110_000, 600, BOOT)]), ["clock-jumped"]);
        assert_eq!(codes(&[before, stepped(after)]), ["clock-stepped"]);
        assert_eq!(codes(&[before, after, stepped(after)]), ["clock-stepped"]);
        assert_eq!(codes(&[stepped(before), after]), ["clock-stepped"]);
        let late = [before, after, after, stepped(after)];
        assert_eq!(codes(&late), ["clock-jumped"]);
        let twice = [before, stepped(after), after, at(80_000, 700, BOOT)];
        assert_eq!(
            codes(&twice),
            ["clock-stepped", "clock-jumped"],
            "one leaf, one jump"
        );
    }

    #[test]
    fn over_a_restart_only_going_back_is_told() {
        let before = at(100_000, 500_000, BOOT);
        assert_eq!(
            codes(&[before, at(99_999, 5, [2; 16])]),
            ["clock-went-back"]
        );
        let said = [before, stepped(at(99_999, 5, [2; 16]))];
        assert_eq!(codes(&said), ["clock-stepped"]);
        assert!(codes(&[before, at(100_000, 5, [2; 16])]).is_empty());
    }

    #[test]
    fn the_clock_that_nobody_sets_never_goes_back() {
        let leaves = [at(100_000, 500_000, BOOT), at(100_000, 499_000, BOOT)];
        assert_eq!(codes(&leaves), ["monotonic-went-back"]);
    }

    #[test]
    fn a_time_at_the_end_of_all_numbers_is_one_like_others() {
        let leaves = [at(100_000, 500, BOOT), at(100_000, u64::MAX, BOOT)];
        assert_eq!(codes(&leaves), ["clock-jumped"]);
        let back = [at(100_000, u64::MAX, BOOT), at(100_000, 0, BOOT)];
        assert_eq!(codes(&back), ["monotonic-went-back"]);
    }

    #[test]
    fn a_station_without_a_boot_id_is_told_once() {
        let leaf = at(100, 0, [0; 16]);
        assert_eq!(codes(&[leaf, leaf, leaf]), ["boot-unknown"]);
    }
}
