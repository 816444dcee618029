//! Keys that the station makes for units, ahead of the moment when a unit needs one.
//!
//! Background threads fill the pool; a key is handed out once and wiped when its owner lets go of it. Private keys lie in
//! [`secret`](crate::secret) memory only.

mod generate;

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use keyline_protocol::identity::Algorithm;

use crate::secret::{Arena, Secret, SecretError};

pub use generate::{GenerateError, Library, generate};

/// A key pair that the station made. Wiped on drop; neither shown nor copied.
pub struct StationKey {
    algorithm: Algorithm,
    private: Secret,
    spki: Vec<u8>,
}

impl StationKey {
    /// The algorithm.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The private key: a P-256 scalar of 32 bytes, big-endian, or an `RSAPrivateKey` DER (RFC 8017, A.1.2).
    #[must_use]
    pub fn private(&self) -> &[u8] {
        self.private.expose()
    }

    /// The public key, SPKI DER.
    #[must_use]
    pub fn spki(&self) -> &[u8] {
        &self.spki
    }
}

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyPoolError {
    /// No secret memory.
    #[error("the pool of station-made keys has no memory to keep them in")]
    Memory(#[from] SecretError),
    /// No thread.
    #[error("the pool of station-made keys could not start a thread")]
    Thread {
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The key could not be made.
    #[error("no station-made key could be made")]
    Generate(#[from] GenerateError),
}

/// The longest P-256 private key: the scalar.
const P256_CELL_LENGTH: usize = 32;

/// The longest `RSAPrivateKey` DER with 3,072 bits is 1,770 bytes: two integers of modulus length, five of half that, each with a header.
const RSA_CELL_LENGTH: usize = 1_792;

/// Keys that were handed out and not let go of yet have cells too: one for each slot, of which a station has at most so many.
const KEYS_OUT_MAX: usize = 64;

/// The most keys of one algorithm that wait.
pub const LEVEL_MAX: usize = 256;

/// The pool. Threads run only while there is something to fill; dropping the pool wipes every key that waits.
pub struct KeyPool {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    threads_max: usize,
}

struct Shared {
    p256_arena: Arena,
    rsa_arena: Arena,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    shelves: [Shelf; 3],
    closed: bool,
}

/// The keys of one algorithm.
#[derive(Default)]
struct Shelf {
    keys: VecDeque<StationKey>,
    /// How many shall wait.
    target: usize,
    /// How many are being made.
    making: usize,
    /// The last attempt failed; said once to whoever waits.
    failure: Option<GenerateError>,
}

/// The algorithms in the order of the shelves, the quickest to make first.
const SHELVES: [Algorithm; 3] = Algorithm::ALL;

const fn shelf_index(algorithm: Algorithm) -> usize {
    match algorithm {
        Algorithm::P256 => 0,
        Algorithm::Rsa2048 => 1,
        Algorithm::Rsa3072 => 2,
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    const fn arena(&self, algorithm: Algorithm) -> &Arena {
        match algorithm {
            Algorithm::P256 => &self.p256_arena,
            Algorithm::Rsa2048 | Algorithm::Rsa3072 => &self.rsa_arena,
        }
    }

    fn make(&self, algorithm: Algorithm) -> Result<StationKey, GenerateError> {
        generate(
            algorithm,
            Library::fastest(algorithm),
            self.arena(algorithm),
        )
    }

    /// A thread of the pool: fills the shelf that lacks most, until the pool is closed.
    fn run(&self) {
        let mut state = self.lock();
        loop {
            if state.closed {
                return;
            }
            let Some(index) = state.next_to_fill() else {
                state = self
                    .changed
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            state.shelves[index].making += 1;
            drop(state);
            let made = self.make(SHELVES[index]);
            state = self.lock();
            let shelf = &mut state.shelves[index];
            shelf.making -= 1;
            match made {
                Ok(key) => shelf.keys.push_back(key),
                Err(failure) => {
                    // Trying again and again would only burn the processor: whoever takes a key tries for himself.
                    shelf.target = 0;
                    shelf.failure = Some(failure);
                }
            }
            self.changed.notify_all();
        }
    }
}

impl State {
    fn next_to_fill(&self) -> Option<usize> {
        (0..self.shelves.len())
            .filter(|index| self.shelves[*index].lacks() > 0)
            .max_by_key(|index| {
                let shelf = &self.shelves[*index];
                (shelf.lacks() * LEVEL_MAX / shelf.target.max(1), 3 - index)
            })
    }
}

impl Shelf {
    fn lacks(&self) -> usize {
        self.target.saturating_sub(self.keys.len() + self.making)
    }
}

impl KeyPool {
    /// An empty pool that will use at most `threads_max` threads.
    ///
    /// # Errors
    /// [`KeyPoolError::Memory`] where the system gives no memory for secrets.
    pub fn new(threads_max: usize) -> Result<Self, KeyPoolError> {
        let cells = LEVEL_MAX + KEYS_OUT_MAX;
        Ok(Self {
            shared: Arc::new(Shared {
                p256_arena: Arena::new(P256_CELL_LENGTH, cells)?,
                rsa_arena: Arena::new(RSA_CELL_LENGTH, 2 * LEVEL_MAX + KEYS_OUT_MAX)?,
                state: Mutex::default(),
                changed: Condvar::new(),
            }),
            threads: Mutex::default(),
            threads_max: threads_max.max(1),
        })
    }

    /// Whether the keys are kept from being swapped out.
    #[must_use]
    pub fn locked(&self) -> bool {
        self.shared.p256_arena.locked() && self.shared.rsa_arena.locked()
    }

    /// Has the pool filled in the background until `level` keys of `algorithm` wait (at most [`LEVEL_MAX`]), and kept so.
    ///
    /// # Errors
    /// [`KeyPoolError::Thread`] where no thread can be started.
    pub fn keep(&self, algorithm: Algorithm, level: usize) -> Result<(), KeyPoolError> {
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        while level > 0 && threads.len() < self.threads_max {
            let shared = Arc::clone(&self.shared);
            let thread = std::thread::Builder::new()
                .name("station-keys".to_owned())
                .spawn(move || shared.run())
                .map_err(|source| KeyPoolError::Thread { source })?;
            threads.push(thread);
        }
        drop(threads);
        self.shared.lock().shelves[shelf_index(algorithm)].target = level.min(LEVEL_MAX);
        self.shared.changed.notify_all();
        Ok(())
    }

    /// How many keys of `algorithm` wait.
    #[must_use]
    pub fn level(&self, algorithm: Algorithm) -> usize {
        self.shared.lock().shelves[shelf_index(algorithm)]
            .keys
            .len()
    }

    /// Blocks until as many keys of `algorithm` wait as [`KeyPool::keep`] asked for.
    ///
    /// # Errors
    /// [`KeyPoolError::Generate`] where keys can't be made.
    pub fn wait_full(&self, algorithm: Algorithm) -> Result<(), KeyPoolError> {
        let index = shelf_index(algorithm);
        let mut state = self.shared.lock();
        loop {
            if let Some(failure) = state.shelves[index].failure.take() {
                return Err(failure.into());
            }
            if state.shelves[index].keys.len() >= state.shelves[index].target {
                return Ok(());
            }
            state = self
                .shared
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Hands out a key, once: one that waits, else one that is made now, which blocks for as long as that takes.
    ///
    /// # Errors
    /// [`KeyPoolError::Generate`] where none waits and none can be made.
    pub fn take(&self, algorithm: Algorithm) -> Result<StationKey, KeyPoolError> {
        let waiting = {
            let mut state = self.shared.lock();
            state.shelves[shelf_index(algorithm)].keys.pop_front()
        };
        self.shared.changed.notify_all();
        match waiting {
            Some(key) => Ok(key),
            None => Ok(self.shared.make(algorithm)?),
        }
    }
}

impl Drop for KeyPool {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.changed.notify_all();
        let threads = self
            .threads
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        for thread in threads.drain(..) {
            // A thread that panicked has nothing to say that its panic message didn't.
            let _ = thread.join();
        }
    }
}
