//! What can happen to a frame between station and unit.

use keyline_protocol::frame::ENCODED_LENGTH_MAX;

/// Which way a frame goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the station to the unit.
    ToUnit,
    /// From the unit to the station.
    ToStation,
}

/// What happens to a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameFaultKind {
    /// One bit flips.
    Corrupt,
    /// Its second half is missing; its end is still seen.
    Truncate,
    /// More bytes come before it than a frame can have.
    Oversize,
    /// It comes twice.
    Duplicate,
    /// It is lost.
    Drop,
    /// The frame before it in the same direction comes again, after it.
    Replay,
    /// It is lost, and the cable with it.
    PullCable,
    /// It is lost, and the unit's power with it.
    CutPower,
}

#[derive(Clone, Copy, Debug)]
struct Planned {
    direction: Direction,
    frame: u64,
    kind: FrameFaultKind,
}

/// What becomes of one frame.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Passed {
    /// What arrives instead of it, in order.
    pub(crate) frames: Vec<Vec<u8>>,
    /// The cable is out from now on.
    pub(crate) cable_pulled: bool,
    /// The power is off from now on.
    pub(crate) power_cut: bool,
}

/// The frames of one link: how many went by, and what is to happen to which.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    planned: Vec<Planned>,
    to_unit: Passage,
    to_station: Passage,
}

#[derive(Debug, Default)]
struct Passage {
    count: u64,
    previous: Vec<u8>,
}

impl Faults {
    /// Plans a fault for the `nth` frame from now on; 1 is the next.
    pub(crate) fn plan(&mut self, direction: Direction, nth: u64, kind: FrameFaultKind) {
        let frame = self.passage(direction).count + nth;
        self.planned.push(Planned {
            direction,
            frame,
            kind,
        });
    }

    /// How many frames went each way.
    pub(crate) const fn counts(&self) -> (u64, u64) {
        (self.to_unit.count, self.to_station.count)
    }

    const fn passage(&mut self, direction: Direction) -> &mut Passage {
        match direction {
            Direction::ToUnit => &mut self.to_unit,
            Direction::ToStation => &mut self.to_station,
        }
    }

    /// Lets one frame pass, with what was planned for it.
    pub(crate) fn pass(&mut self, direction: Direction, frame: Vec<u8>) -> Passed {
        let passage = self.passage(direction);
        passage.count += 1;
        let number = passage.count;
        let previous = core::mem::replace(&mut passage.previous, frame.clone());
        let planned = self
            .planned
            .iter()
            .position(|planned| planned.direction == direction && planned.frame == number);
        let kind = planned.map(|index| self.planned.swap_remove(index).kind);
        let mut passed = Passed::default();
        match kind {
            None => passed.frames.push(frame),
            Some(FrameFaultKind::Corrupt) => passed.frames.push(corrupted(frame, number)),
            Some(FrameFaultKind::Truncate) => passed.frames.push(truncated(&frame)),
            Some(FrameFaultKind::Oversize) => {
                let mut long = vec![0x55; ENCODED_LENGTH_MAX + 16];
                long.push(0);
                passed.frames.extend([long, frame]);
            }
            Some(FrameFaultKind::Duplicate) => passed.frames.extend([frame.clone(), frame]),
            Some(FrameFaultKind::Drop) => {}
            Some(FrameFaultKind::Replay) => passed.frames.extend([frame, previous]),
            Some(FrameFaultKind::PullCable) => passed.cable_pulled = true,
            Some(FrameFaultKind::CutPower) => passed.power_cut = true,
        }
        passed
    }
}

/// Flips one bit, anywhere but in the zero that ends the frame, and never so that a byte becomes zero.
fn corrupted(mut frame: Vec<u8>, number: u64) -> Vec<u8> {
    let body = frame.len().saturating_sub(1);
    if body > 0 {
        let at = usize::try_from(number.wrapping_mul(0x9e37_79b9)).unwrap_or(0) % body;
        frame[at] = if frame[at] == 1 { 3 } else { frame[at] ^ 1 };
    }
    frame
}

fn truncated(frame: &[u8]) -> Vec<u8> {
    let mut half = frame[..frame.len() / 2].to_vec();
    half.push(0);
    half
}
