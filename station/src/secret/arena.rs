//! Cells of memory that is neither swapped out nor dumped.
#![allow(unsafe_code)]

use std::ffi::c_void;
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, PoisonError};

use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mlock, mmap_anonymous, munlock, munmap};
use zeroize::Zeroize;

/// Why there is no secret memory.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The system gave no memory, or gave some that would be dumped.
    #[error("expected {length} bytes of memory that is not dumped, the system refused")]
    Refused {
        /// How much was asked for.
        length: usize,
        /// Why.
        #[source]
        source: rustix::io::Errno,
    },
    /// Every cell is in use.
    #[error("expected a free cell of secret memory, all {cells} are in use")]
    Full {
        /// How many there are.
        cells: usize,
    },
    /// More bytes than a cell holds.
    #[error("expected a secret of at most {cell_length} bytes, got {got}")]
    TooLong {
        /// The cell's length.
        cell_length: usize,
        /// The secret's length.
        got: usize,
    },
}

/// A number of cells of one length, in pages of their own. Clones share the cells.
#[derive(Clone)]
pub struct Arena {
    shared: Arc<Shared>,
}

struct Shared {
    region: Region,
    cell_length: usize,
    cells: usize,
    free: Mutex<Vec<usize>>,
}

impl Arena {
    /// An arena of `cells` cells of `cell_length` bytes each.
    ///
    /// # Errors
    /// [`SecretError::Refused`] where the system gives no memory. That it can't be locked (see `ulimit -l`) is no error:
    /// [`Arena::locked`] says so.
    pub fn new(cell_length: usize, cells: usize) -> Result<Self, SecretError> {
        let length = cell_length.saturating_mul(cells).max(1);
        Ok(Self {
            shared: Arc::new(Shared {
                region: Region::map(length)?,
                cell_length,
                cells,
                free: Mutex::new((0..cells).rev().collect()),
            }),
        })
    }

    /// Whether the memory is kept from being swapped out.
    #[must_use]
    pub fn locked(&self) -> bool {
        self.shared.region.locked
    }

    /// Copies `bytes` into a free cell. The caller wipes his own copy.
    ///
    /// # Errors
    /// [`SecretError::Full`] and [`SecretError::TooLong`].
    pub fn store(&self, bytes: &[u8]) -> Result<Secret, SecretError> {
        let shared = &self.shared;
        if bytes.len() > shared.cell_length {
            return Err(SecretError::TooLong {
                cell_length: shared.cell_length,
                got: bytes.len(),
            });
        }
        let index = shared
            .free
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop()
            .ok_or(SecretError::Full {
                cells: shared.cells,
            })?;
        let mut secret = Secret {
            shared: Arc::clone(shared),
            index,
            length: bytes.len(),
        };
        secret.cell()[..bytes.len()].copy_from_slice(bytes);
        Ok(secret)
    }
}

/// A secret in a cell of its own. Wiped on drop; neither shown nor copied.
pub struct Secret {
    shared: Arc<Shared>,
    index: usize,
    length: usize,
}

impl Secret {
    /// The secret's bytes.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        let start = self.shared.region.cell(self.index, self.shared.cell_length);
        // SAFETY: `cell` points to `cell_length >= length` initialised bytes that live as long as `shared`. While this value lives its
        // index is not in `free`, so nobody else has a reference into the cell, and writing needs `&mut self`.
        unsafe { std::slice::from_raw_parts(start.as_ptr(), self.length) }
    }

    /// The whole cell.
    fn cell(&mut self) -> &mut [u8] {
        let start = self.shared.region.cell(self.index, self.shared.cell_length);
        // SAFETY: as in `expose`; `&mut self` makes this the only reference.
        unsafe { std::slice::from_raw_parts_mut(start.as_ptr(), self.shared.cell_length) }
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.cell().zeroize();
        self.shared
            .free
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(self.index);
    }
}

/// Whole pages, mapped for this alone.
struct Region {
    start: NonNull<u8>,
    length: usize,
    locked: bool,
}

// SAFETY: a region is plain memory that belongs to no thread; who may touch which part is settled by `Secret`.
unsafe impl Send for Region {}
// SAFETY: as above: a shared region hands out nothing but addresses.
unsafe impl Sync for Region {}

impl Region {
    fn map(length: usize) -> Result<Self, SecretError> {
        let length = length.next_multiple_of(rustix::param::page_size());
        let refused = |source| SecretError::Refused { length, source };
        // SAFETY: a new private mapping at an address of the kernel's choice touches no memory that exists.
        let address = unsafe {
            mmap_anonymous(
                std::ptr::null_mut(),
                length,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::PRIVATE,
            )
        }
        .map_err(refused)?;
        let start = NonNull::new(address.cast::<u8>()).ok_or(refused(rustix::io::Errno::NOMEM))?;
        let mut region = Self {
            start,
            length,
            locked: false,
        };
        // SAFETY: the advice concerns only the mapping that was just made. A child gets none of it either.
        unsafe {
            madvise(region.address(), length, Advice::LinuxDontDump).map_err(refused)?;
            madvise(region.address(), length, Advice::LinuxDontFork).map_err(refused)?;
        }
        // SAFETY: locks only the mapping that was just made.
        region.locked = unsafe { mlock(region.address(), length) }.is_ok();
        Ok(region)
    }

    const fn address(&self) -> *mut c_void {
        self.start.as_ptr().cast()
    }

    /// The start of a cell. `Arena::new` made the region long enough for every index that it handed out.
    fn cell(&self, index: usize, cell_length: usize) -> NonNull<u8> {
        let offset = index * cell_length;
        assert!(
            offset + cell_length <= self.length,
            "a cell lies in its region"
        );
        // SAFETY: the offset lies inside the mapping, as was just checked.
        unsafe { self.start.add(offset) }
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: the mapping is this value's own, readable and writable, and no `Secret` lives any more, for each keeps it alive.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.length) }.zeroize();
        // SAFETY: as above. A failure leaves wiped memory mapped, which harms nobody.
        unsafe {
            let _ = munlock(self.address(), self.length);
            let _ = munmap(self.address(), self.length);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_wiped_and_its_cell_used_again() {
        let arena = Arena::new(32, 2).unwrap();
        let first = arena.store(&[7; 32]).unwrap();
        let second = arena.store(b"short").unwrap();
        assert!(matches!(
            arena.store(b"x"),
            Err(SecretError::Full { cells: 2 })
        ));
        assert_eq!(first.expose(), [7; 32]);
        assert_eq!(second.expose(), b"short");
        let index = first.index;
        drop(first);
        let region = &arena.shared.region;
        let start = region.cell(index, 32);
        // SAFETY: the cell is mapped, and nobody uses it.
        let cell = unsafe { std::slice::from_raw_parts(start.as_ptr(), 32) };
        assert_eq!(cell, [0; 32], "the cell was wiped");
        assert_eq!(arena.store(b"again").unwrap().index, index);
        assert!(matches!(
            arena.store(&[0; 33]),
            Err(SecretError::TooLong {
                cell_length: 32,
                got: 33
            })
        ));
    }

    #[test]
    fn the_kernel_leaves_the_arena_out_of_dumps_and_swap() {
        let arena = Arena::new(2048, 4).unwrap();
        let address = format!("{:x}-", arena.shared.region.start.as_ptr() as usize);
        let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let at = maps
            .find(&address)
            .expect("the arena has a mapping of its own");
        let flags = maps[at..]
            .lines()
            .find(|line| line.starts_with("VmFlags:"))
            .unwrap();
        assert!(flags.contains(" dd"), "not dumped: {flags}");
        assert_eq!(flags.contains(" lo"), arena.locked(), "locked: {flags}");
    }
}
