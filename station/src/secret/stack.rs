//! Wipes what a computation left on the stack.

use std::hint::black_box;

use zeroize::Zeroize;

/// More than key generation uses: about 40 KiB at most was seen for RSA-3072.
const WIPED_LENGTH: usize = 128 * 1024;

/// Calls `work` in a frame of its own, so that everything it puts on the stack lies below the caller's frame.
#[inline(never)]
pub(super) fn call<R>(work: impl FnOnce() -> R) -> R {
    black_box(work())
}

/// Overwrites the stack below the caller's frame.
#[inline(never)]
#[expect(
    clippy::large_stack_arrays,
    reason = "the stack is what is wiped; threads have 2 MiB"
)]
pub(super) fn wipe() {
    let mut area = [0_u8; WIPED_LENGTH];
    // Without the black box the compiler could see that nobody reads the area and leave it out.
    black_box(&mut area).zeroize();
}
