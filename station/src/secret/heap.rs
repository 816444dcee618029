//! A heap that wipes what is freed, on the threads and for the time that ask for it.
//!
//! Libraries wipe the keys that they hand out, but not every number that they computed on the way: a candidate for a prime that passed
//! is a factor of the key. So the allocator wipes, whatever the library does.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::mem::MaybeUninit;

use zeroize::Zeroize;

thread_local! {
    static WIPES: Cell<bool> = const { Cell::new(false) };
}

/// Runs `work` with wiping on, for this thread.
pub(super) fn wiping<R>(work: impl FnOnce() -> R) -> R {
    /// Sets the former state again, after a panic as well.
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            WIPES.set(self.0);
        }
    }
    let _restore = Restore(WIPES.replace(true));
    work()
}

/// The system's allocator; where a thread asked for it, what is freed is overwritten first.
pub struct WipingAllocator;

impl WipingAllocator {
    /// A thread that is ending has no flag any more, and makes no keys either.
    fn wipes() -> bool {
        WIPES.try_with(Cell::get).unwrap_or(false)
    }
}

// SAFETY: every call is passed on to `System` with the caller's own arguments, and `System` upholds the contract. What is done besides
// is to overwrite memory that the caller has given up, before `System` gets it back.
unsafe impl GlobalAlloc for WipingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's contract is `System`'s.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's contract is `System`'s.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        if Self::wipes() {
            // SAFETY: the caller gives up a live block of `layout.size()` bytes; nobody else refers to it, and `MaybeUninit` asks nothing
            // of its content.
            let block = unsafe {
                std::slice::from_raw_parts_mut(pointer.cast::<MaybeUninit<u8>>(), layout.size())
            };
            block.zeroize();
        }
        // SAFETY: the caller's contract is `System`'s.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        if !Self::wipes() {
            // SAFETY: the caller's contract is `System`'s.
            return unsafe { System.realloc(pointer, layout, new_size) };
        }
        // `System` may move the block and leave the old bytes behind, so the move is made here.
        // SAFETY: the caller guarantees that `new_size` is not zero and fits the alignment.
        let new_layout = unsafe { Layout::from_size_align_unchecked(new_size, layout.align()) };
        // SAFETY: `new_layout` is valid, as above.
        let new_pointer = unsafe { System.alloc(new_layout) };
        if !new_pointer.is_null() {
            // SAFETY: both blocks are live, distinct and at least this long; the old one is the caller's to give up.
            unsafe {
                std::ptr::copy_nonoverlapping(pointer, new_pointer, layout.size().min(new_size));
                self.dealloc(pointer, layout);
            }
        }
        new_pointer
    }
}
