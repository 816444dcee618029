//! Memory for private keys: the one place to review.
//!
//! - [`Arena`] is memory that is not swapped out (`mlock`), not in a core dump (`MADV_DONTDUMP`) and wiped when it is let go of. Keys
//!   that wait lie there and nowhere else.
//! - [`on_wiped_memory`] runs the making of a key: what the libraries free while they work is wiped at once, and so are the stack
//!   and the vector registers that they used.
//! - [`harden_process`] makes the whole process one that is never dumped.
//!
//! What this can't do: keep a key from somebody who can read a running process's memory, such as root.

mod arena;
mod heap;
mod registers;
mod stack;

use rustix::process::{
    DumpableBehavior, Resource, Rlimit, dumpable_behavior, set_dumpable_behavior, setrlimit,
};

pub use arena::{Arena, Secret, SecretError};
pub use heap::WipingAllocator;

/// Runs `work`, then wipes what it left behind on this thread's stack; what it frees on the heap is wiped when it is freed.
///
/// Only what is allocated *and* freed inside is wiped: a result that holds secrets is the caller's to wipe.
pub fn on_wiped_memory<R>(work: impl FnOnce() -> R) -> R {
    let result = heap::wiping(|| stack::call(work));
    stack::wipe();
    registers::wipe();
    result
}

/// What stands between this process's memory and a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hardening {
    /// The kernel writes no core dump of this process, and no other process of the same user may look into it.
    pub not_dumpable: bool,
    /// The size limit of core dumps is zero.
    pub no_core_file: bool,
}

impl Hardening {
    /// Whether everything holds.
    #[must_use]
    pub const fn complete(&self) -> bool {
        self.not_dumpable && self.no_core_file
    }
}

/// Makes this process one that is never dumped, and says what came of it.
#[must_use]
pub fn harden_process() -> Hardening {
    let no_core_file = setrlimit(
        Resource::Core,
        Rlimit {
            current: Some(0),
            maximum: Some(0),
        },
    )
    .is_ok();
    let not_dumpable = set_dumpable_behavior(DumpableBehavior::NotDumpable).is_ok()
        && matches!(dumpable_behavior(), Ok(DumpableBehavior::NotDumpable));
    Hardening {
        not_dumpable,
        no_core_file,
    }
}
