//! What the slots of one line share so that they don't get in each other's way: the places of a work order, and the units in hand.

use std::collections::HashSet;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use keyline_protocol::identity::DeviceId;

/// How many more units an order takes. A slot takes a place before it begins a unit and gives it back unless the unit filled it.
#[derive(Clone)]
pub struct Places {
    shared: Arc<Shared>,
}

struct Shared {
    counts: Mutex<Counts>,
    changed: Condvar,
}

struct Counts {
    free: u32,
    taken: u32,
}

/// How often a slot that waits for a place looks whether the line is ending.
const LOOK_PERIOD: Duration = Duration::from_millis(100);

impl Places {
    /// So many places.
    #[must_use]
    pub fn new(free: u32) -> Self {
        Self {
            shared: Arc::new(Shared {
                counts: Mutex::new(Counts { free, taken: 0 }),
                changed: Condvar::new(),
            }),
        }
    }

    /// Takes a place. Where none is free but another slot may still give one back, it waits for that; `None` where there will be none,
    /// or when the line is `ending`.
    #[must_use]
    pub fn take(&self, ending: impl Fn() -> bool) -> Option<Place> {
        let mut counts = lock(&self.shared.counts);
        loop {
            if ending() || (counts.free == 0 && counts.taken == 0) {
                return None;
            }
            if counts.free > 0 {
                counts.free -= 1;
                counts.taken += 1;
                return Some(Place {
                    places: self.clone(),
                    filled: false,
                });
            }
            counts = self
                .shared
                .changed
                .wait_timeout(counts, LOOK_PERIOD)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }
}

/// A place that was taken. Dropping it gives it back.
pub struct Place {
    places: Places,
    filled: bool,
}

impl Place {
    /// The unit counts: the place is used up.
    pub fn fill(mut self) {
        self.filled = true;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = lock(&self.places.shared.counts);
        counts.taken -= 1;
        if !self.filled {
            counts.free += 1;
        }
        self.places.shared.changed.notify_all();
    }
}

/// The device ids that are in some slot of this process at this moment.
#[derive(Clone, Default)]
pub struct UnitsInHand {
    shared: Arc<Mutex<HashSet<DeviceId>>>,
}

impl UnitsInHand {
    /// Takes a unit in hand; `None` where another slot has it.
    #[must_use]
    pub fn take(&self, device_id: DeviceId) -> Option<UnitInHand> {
        lock(&self.shared).insert(device_id).then(|| UnitInHand {
            units: self.clone(),
            device_id,
        })
    }
}

/// A unit that one slot has in hand. Dropping it lets it go.
pub struct UnitInHand {
    units: UnitsInHand,
    device_id: DeviceId,
}

impl Drop for UnitInHand {
    fn drop(&mut self) {
        lock(&self.units.shared).remove(&self.device_id);
    }
}

/// What is behind these locks is whole after every statement, so a slot that panicked while holding one left nothing half-done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_comes_back_unless_it_was_filled() {
        let places = Places::new(2);
        let (first, second) = (
            places.take(|| false).unwrap(),
            places.take(|| false).unwrap(),
        );
        let waiting = std::thread::spawn({
            let places = places.clone();
            move || places.take(|| false).map(Place::fill)
        });
        first.fill();
        drop(second);
        assert!(
            waiting.join().unwrap().is_some(),
            "the place that came back"
        );
        assert!(places.take(|| false).is_none(), "all are filled");
    }

    #[test]
    fn nobody_waits_for_a_place_on_a_line_that_ends() {
        let places = Places::new(1);
        let _taken = places.take(|| false).unwrap();
        assert!(places.take(|| true).is_none());
    }

    #[test]
    fn a_unit_is_in_one_hand_only() {
        let units = UnitsInHand::default();
        let id = DeviceId::from_bytes([1; 12]);
        let hand = units.take(id);
        assert!(hand.is_some());
        assert!(units.take(id).is_none());
        drop(hand);
        assert!(units.take(id).is_some());
    }
}
