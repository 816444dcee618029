//! The heap of RSA arithmetic, on chips with RAM to spare.
#![allow(unsafe_code, reason = "an allocator has no safe form")]

use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicBool, Ordering};

use critical_section::RawRestoreState;
use embedded_alloc::LlffHeap;

/// Bytes. An RSA-2048 signature takes 11.6 to 14.7 KiB, counted on a Cortex-M0; 3,072 bits take half as much again, and freed memory is
/// scattered.
const HEAP_LENGTH: usize = 48 * 1024;

static mut MEMORY: [MaybeUninit<u8>; HEAP_LENGTH] = [MaybeUninit::uninit(); HEAP_LENGTH];

#[global_allocator]
static HEAP: LlffHeap = LlffHeap::empty();

/// Gives the allocator its memory, once.
pub(super) fn start() {
    static STARTED: AtomicBool = AtomicBool::new(false);
    if !STARTED.swap(true, Ordering::Relaxed) {
        // SAFETY: the memory is handed over once, to the allocator alone, and is not empty.
        unsafe { HEAP.init((&raw mut MEMORY).addr(), HEAP_LENGTH) }
    }
}

struct NoInterrupts;

critical_section::set_impl!(NoInterrupts);

// SAFETY: there is one core, and interrupts are masked for ever: everything is a critical section.
unsafe impl critical_section::Impl for NoInterrupts {
    unsafe fn acquire() -> RawRestoreState {}

    unsafe fn release(_: RawRestoreState) {}
}
