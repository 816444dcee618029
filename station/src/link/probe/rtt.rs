//! Frames through the two ring buffers in the unit's RAM (SEGGER RTT, UM08001, chapter 16), read and written while the core runs.
//!
//! The station keeps all that only it changes (its own two indices) and what never changes (addresses and lengths), so that a frame
//! costs its words, one index to poll and one to write.

use std::time::{Duration, Instant};

use probe_rs::Error;

use super::bus::Bus;
use crate::link::LinkError;

/// `SEGGER RTT` and six zeros, as words.
const READY: [u32; 4] = [
    u32::from_le_bytes(*b"SEGG"),
    u32::from_le_bytes(*b"ER R"),
    u32::from_le_bytes(*b"TT\0\0"),
    0,
];

/// The words of a control block with one buffer each way.
const BLOCK_WORDS: usize = 18;

/// A buffer longer than a chip's RAM is none.
const LENGTH_MAX: u32 = 0x4_0000;

/// How long a started agent may take until its control block is ready; start-up clears 16 KiB of RAM and paints the stack.
const START_TIMEOUT: Duration = Duration::from_secs(3);

/// How long a unit may leave a full buffer unread: it reads before it works, and what it works on takes at most seconds.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// Polls begin this far apart, ...
const POLL_INTERVAL_MIN: Duration = Duration::from_micros(200);
/// ... are this part of the time already waited apart (so that the waiting adds at most a tenth), ...
const POLL_SHARE: u32 = 10;
/// ... and never farther.
const POLL_INTERVAL_MAX: Duration = Duration::from_millis(50);

/// A ring buffer in the unit's RAM.
#[derive(Clone, Copy, Debug)]
struct Ring {
    /// Where its descriptor lies.
    descriptor: u32,
    buffer: u32,
    length: u32,
    /// The index that this side owns.
    own: u32,
    /// The other side's index, when last seen.
    other: u32,
}

impl Ring {
    fn write_index(&self) -> u32 {
        self.descriptor + 12
    }

    fn read_index(&self) -> u32 {
        self.descriptor + 16
    }
}

/// The pair of ring buffers of one start of an agent.
pub(super) struct Channel {
    up: Ring,
    down: Ring,
    /// What this side has written, so that whole words can be written without reading.
    shadow: Vec<u8>,
}

/// Makes sure that a control block from before a reset is not taken for a new one.
pub(super) fn invalidate(bus: &mut Bus, address: u32) -> Result<(), Error> {
    bus.write_word(address, 0)
}

/// Waits until the agent has set its control block up, and reads it.
pub(super) fn open(bus: &mut Bus, address: u32) -> Result<Channel, LinkError> {
    let began = Instant::now();
    loop {
        // While the chip starts the bus may answer with faults.
        if matches!(bus.poll(address), Ok(word) if word == READY[0]) {
            break;
        }
        pause(began, began + START_TIMEOUT)?;
    }
    let mut block = [0; BLOCK_WORDS];
    bus.read(address, &mut block)
        .map_err(super::open::lost("reading the control block"))?;
    let up = ring(address + 24, &block[6..12], Side::Up);
    let down = ring(address + 48, &block[12..18], Side::Down);
    let counts = block[4..6] == [1, 1];
    match (up, down) {
        (Some(up), Some(down)) if counts && block[..4] == READY => Ok(Channel {
            shadow: vec![0; down.length as usize],
            up,
            down,
        }),
        _ => Err(LinkError::ControlBlock { address }),
    }
}

#[derive(Clone, Copy)]
enum Side {
    Up,
    Down,
}

fn ring(descriptor: u32, words: &[u32], side: Side) -> Option<Ring> {
    let &[_, buffer, length, write, read, _] = words else {
        return None;
    };
    let sound = buffer.is_multiple_of(4)
        && length.is_multiple_of(4)
        && (8..=LENGTH_MAX).contains(&length)
        && write < length
        && read < length;
    let (own, other) = match side {
        Side::Up => (read, write),
        Side::Down => (write, read),
    };
    sound.then_some(Ring {
        descriptor,
        buffer,
        length,
        own,
        other,
    })
}

impl Channel {
    /// Writes bytes to the unit; waits where its buffer is full.
    pub(super) fn send(&mut self, bus: &mut Bus, bytes: &[u8]) -> Result<(), LinkError> {
        let began = Instant::now();
        let mut rest = bytes;
        while !rest.is_empty() {
            let ring = self.down;
            let free = (ring.other + ring.length - ring.own - 1) % ring.length;
            let to_end = ring.length - ring.own;
            let count = rest.len().min(free.min(to_end) as usize);
            if count == 0 {
                self.down.other = self.index(bus, ring.read_index())?;
                if self.down.other == ring.other {
                    pause(began, began + DRAIN_TIMEOUT)?;
                }
                continue;
            }
            let (now, later) = rest.split_at(count);
            self.put(bus, now).map_err(super::open::lost("sending"))?;
            rest = later;
        }
        Ok(())
    }

    /// Writes bytes that fit before the end of the buffer, and tells the unit.
    fn put(&mut self, bus: &mut Bus, bytes: &[u8]) -> Result<(), Error> {
        let begin = self.down.own as usize;
        let end = begin + bytes.len();
        self.shadow[begin..end].copy_from_slice(bytes);
        let first = begin / 4 * 4;
        let words: Vec<u32> = self.shadow[first..end.next_multiple_of(4)]
            .as_chunks::<4>()
            .0
            .iter()
            .map(|bytes| u32::from_le_bytes(*bytes))
            .collect();
        let offset = u32::try_from(first).unwrap_or(0);
        bus.write(self.down.buffer + offset, &words)?;
        let end = u32::try_from(end).unwrap_or(0) % self.down.length;
        bus.write_near(self.down.write_index(), end)?;
        self.down.own = end;
        Ok(())
    }

    /// Appends what the unit has written: waits for the first byte of it.
    pub(super) fn receive(
        &mut self,
        bus: &mut Bus,
        deadline: Instant,
        into: &mut Vec<u8>,
    ) -> Result<(), LinkError> {
        let began = Instant::now();
        loop {
            self.up.other = self.index(bus, self.up.write_index())?;
            if self.up.other != self.up.own {
                break;
            }
            pause(began, deadline)?;
        }
        self.take(bus, into).map_err(super::open::lost("receiving"))
    }

    /// Reads what lies ready, in one piece or in two around the end of the buffer, and tells the unit.
    fn take(&mut self, bus: &mut Bus, into: &mut Vec<u8>) -> Result<(), Error> {
        let ring = self.up;
        if ring.other > ring.own {
            copy(bus, ring, ring.own..ring.other, into)?;
        } else {
            copy(bus, ring, ring.own..ring.length, into)?;
            copy(bus, ring, 0..ring.other, into)?;
        }
        bus.write_near(ring.read_index(), ring.other)?;
        self.up.own = ring.other;
        Ok(())
    }

    /// Reads an index of the unit's; one that lies outside its buffer is nobody's.
    fn index(&self, bus: &mut Bus, address: u32) -> Result<u32, LinkError> {
        let index = bus.poll(address).map_err(super::open::lost("polling"))?;
        if index < self.up.length.max(self.down.length) {
            Ok(index)
        } else {
            Err(LinkError::ControlBlock { address })
        }
    }
}

/// Appends a piece of a ring buffer, read as whole words.
fn copy(
    bus: &mut Bus,
    ring: Ring,
    piece: std::ops::Range<u32>,
    into: &mut Vec<u8>,
) -> Result<(), Error> {
    if piece.is_empty() {
        return Ok(());
    }
    let first = piece.start / 4 * 4;
    let mut words = vec![0; (piece.end - first).div_ceil(4) as usize];
    bus.read(ring.buffer + first, &mut words)?;
    into.extend(
        words
            .iter()
            .flat_map(|word| word.to_le_bytes())
            .skip((piece.start - first) as usize)
            .take(piece.len()),
    );
    Ok(())
}

/// Sleeps until the next poll, or says that the time is over.
fn pause(began: Instant, deadline: Instant) -> Result<(), LinkError> {
    let waited = began.elapsed();
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(LinkError::Timeout { waited });
    }
    let interval = (waited / POLL_SHARE).clamp(POLL_INTERVAL_MIN, POLL_INTERVAL_MAX);
    std::thread::sleep(interval.min(left));
    Ok(())
}
