//! Which slots are in use, so that two commands on one station don't reach for the same fixture.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

/// The slots in which units are being run. Clones share them.
#[derive(Clone, Default)]
pub struct BusySlots {
    numbers: Arc<Mutex<BTreeSet<u16>>>,
}

/// Slots that somebody has; free again when this is dropped.
pub struct SlotGuard {
    slots: BusySlots,
    numbers: Vec<u16>,
}

impl BusySlots {
    /// Takes all of these slots, or none.
    ///
    /// # Errors
    /// The first slot that somebody else has.
    pub fn take(&self, numbers: &[u16]) -> Result<SlotGuard, u16> {
        let mut busy = self.numbers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(taken) = numbers.iter().find(|number| busy.contains(number)) {
            return Err(*taken);
        }
        busy.extend(numbers);
        Ok(SlotGuard {
            slots: self.clone(),
            numbers: numbers.to_vec(),
        })
    }
}

impl Drop for SlotGuard {
    fn drop(&mut self) {
        let mut busy = self
            .slots
            .numbers
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        for number in &self.numbers {
            busy.remove(number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_in_use_once() {
        let slots = BusySlots::default();
        let guard = slots.take(&[1, 2]).ok();
        assert_eq!(slots.take(&[3, 2]).err(), Some(2));
        assert!(slots.take(&[3]).is_ok(), "a refusal takes nothing");
        drop(guard);
        assert!(slots.take(&[2]).is_ok());
    }
}
