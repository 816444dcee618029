//! Real-Time Transfer: two ring buffers in RAM, which a debugger reads and writes while the core runs.
//!
//! The control block, as SEGGER's manual (UM08001, chapter 16) lays it out:
//!
//! | offset | size | field |
//! |-|-|-|
//! | 0 | 16 | `SEGGER RTT` and zeros: the block is ready |
//! | 16 | 4 | buffers towards the debugger: 1 |
//! | 20 | 4 | buffers towards the unit: 1 |
//! | 24 | 24 | the first [`Ring`] |
//! | 48 | 24 | the second |
//!
//! Everything is an atomic, because the debugger changes it too; no value that it writes is trusted to lie in its buffer.

use core::ffi::CStr;
use core::ptr;
use core::sync::atomic::{AtomicPtr, AtomicU8, AtomicU32, Ordering};

use crate::chip::clock::Deadline;
use crate::chip::family::{RTT_DOWN_LENGTH, RTT_UP_LENGTH};
use crate::chip::rtt_block::CONTROL_BLOCK;

const NAME: &CStr = c"keyline";

/// `SEGGER RTT` and six zeros, as words.
const READY: [u32; 4] = [
    u32::from_le_bytes(*b"SEGG"),
    u32::from_le_bytes(*b"ER R"),
    u32::from_le_bytes(*b"TT\0\0"),
    0,
];

/// How long the debugger may leave a full buffer unread.
const PATIENCE_MICROSECONDS: u32 = 2_000_000;

static UP: [AtomicU8; RTT_UP_LENGTH] = [const { AtomicU8::new(0) }; RTT_UP_LENGTH];
static DOWN: [AtomicU8; RTT_DOWN_LENGTH] = [const { AtomicU8::new(0) }; RTT_DOWN_LENGTH];

/// One ring buffer. It is empty where the two indices are equal.
#[repr(C)]
struct Ring {
    name: AtomicPtr<u8>,
    buffer: AtomicPtr<u8>,
    length: AtomicU32,
    write: AtomicU32,
    read: AtomicU32,
    flags: AtomicU32,
}

impl Ring {
    const fn new() -> Self {
        Self {
            name: AtomicPtr::new(ptr::null_mut()),
            buffer: AtomicPtr::new(ptr::null_mut()),
            length: AtomicU32::new(0),
            write: AtomicU32::new(0),
            read: AtomicU32::new(0),
            flags: AtomicU32::new(0),
        }
    }

    fn start(&self, buffer: &'static [AtomicU8]) {
        let name: *const u8 = NAME.as_ptr().cast();
        let start: *const u8 = buffer.as_ptr().cast();
        self.name.store(name.cast_mut(), Ordering::Relaxed);
        self.buffer.store(start.cast_mut(), Ordering::Relaxed);
        self.length
            .store(u32::try_from(buffer.len()).unwrap_or(0), Ordering::Relaxed);
        self.write.store(0, Ordering::Relaxed);
        self.read.store(0, Ordering::Relaxed);
        self.flags.store(0, Ordering::Relaxed);
    }
}

/// The control block.
#[repr(C)]
pub(crate) struct ControlBlock {
    ready: [AtomicU32; 4],
    up_count: AtomicU32,
    down_count: AtomicU32,
    up: Ring,
    down: Ring,
}

impl ControlBlock {
    /// A block that is not ready.
    pub(crate) const fn new() -> Self {
        Self {
            ready: [const { AtomicU32::new(0) }; 4],
            up_count: AtomicU32::new(0),
            down_count: AtomicU32::new(0),
            up: Ring::new(),
            down: Ring::new(),
        }
    }
}

/// Sets up the block. Its first word is cleared first and set last, so that a debugger never takes a block that survived a reset, or
/// one that is half set, for a ready one.
pub(crate) fn start() {
    let block = &CONTROL_BLOCK;
    block.ready[0].store(0, Ordering::SeqCst);
    block.up_count.store(1, Ordering::Relaxed);
    block.down_count.store(1, Ordering::Relaxed);
    block.up.start(&UP);
    block.down.start(&DOWN);
    for (place, word) in block.ready.iter().zip(READY).rev() {
        place.store(word, Ordering::SeqCst);
    }
}

/// The index behind `index`, which lies in a buffer of `length` bytes.
const fn following(index: usize, length: usize) -> usize {
    if index + 1 < length { index + 1 } else { 0 }
}

/// The next byte that the debugger wrote, if it wrote one.
pub(crate) fn receive() -> Option<u8> {
    let ring = &CONTROL_BLOCK.down;
    let read = ring.read.load(Ordering::Relaxed);
    let write = ring.write.load(Ordering::Acquire);
    if read == write {
        return None;
    }
    let Some(byte) = DOWN.get(read as usize) else {
        // Somebody wrote over the index: begin anew at the start.
        ring.read.store(0, Ordering::Release);
        return None;
    };
    let byte = byte.load(Ordering::Relaxed);
    let next = following(read as usize, RTT_DOWN_LENGTH);
    ring.read
        .store(u32::try_from(next).unwrap_or(0), Ordering::Release);
    Some(byte)
}

/// Sends `bytes`; gives up where the debugger leaves the buffer full for too long.
pub(crate) fn send(bytes: &[u8]) {
    let ring = &CONTROL_BLOCK.up;
    let mut write = ring.write.load(Ordering::Relaxed) as usize;
    for &byte in bytes {
        let Some(place) = UP.get(write) else {
            ring.write.store(0, Ordering::Release);
            return;
        };
        place.store(byte, Ordering::Relaxed);
        let next = following(write, RTT_UP_LENGTH);
        if !wait_until_free(ring, next) {
            return;
        }
        ring.write
            .store(u32::try_from(next).unwrap_or(0), Ordering::Release);
        write = next;
    }
}

/// Waits until the debugger has read everything, or has left it unread for too long.
pub(crate) fn drain() {
    let ring = &CONTROL_BLOCK.up;
    let deadline = Deadline::after_microseconds(PATIENCE_MICROSECONDS);
    while ring.read.load(Ordering::Acquire) != ring.write.load(Ordering::Relaxed) {
        if deadline.is_past() {
            return;
        }
    }
}

/// Waits until the debugger has read on from `index`; `false` where it did not in time.
fn wait_until_free(ring: &Ring, index: usize) -> bool {
    if ring.read.load(Ordering::Acquire) as usize != index {
        return true;
    }
    let deadline = Deadline::after_microseconds(PATIENCE_MICROSECONDS);
    while ring.read.load(Ordering::Acquire) as usize == index {
        if deadline.is_past() {
            return false;
        }
    }
    true
}
