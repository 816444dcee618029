//! A TCP proxy that can be cut, black-holed and restored, by hand or by itself at seeded random moments.
//!
//! A cut drops every connection in the middle of what travels and closes new ones at once. In a black hole connections stay and nothing
//! arrives; what was sent meanwhile arrives when it ends.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "shared by tests; each uses a part"
)]

use std::net::SocketAddr;
use std::ops::Range;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::watch;

/// What the link does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Open,
    Cut,
    BlackHole,
}

/// When the link cuts itself.
struct RandomCuts {
    random: SmallRng,
    bytes: Range<u64>,
    down: Range<Duration>,
    /// Bytes until the next cut.
    left: u64,
}

struct Shared {
    mode: watch::Sender<Mode>,
    cuts: AtomicU32,
    random: Mutex<Option<RandomCuts>>,
}

/// A proxy that runs until it is dropped, on a thread of its own.
pub struct CutProxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    _runtime: Runtime,
}

impl CutProxy {
    /// Forwards to `upstream`.
    pub fn to(upstream: SocketAddr) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            mode: watch::Sender::new(Mode::Open),
            cuts: AtomicU32::new(0),
            random: Mutex::new(None),
        });
        let serving = Arc::clone(&shared);
        runtime.spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(forward(client, upstream, Arc::clone(&serving)));
            }
        });
        Self {
            address,
            shared,
            _runtime: runtime,
        }
    }

    /// Where clients connect.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Drops every connection, and every new one.
    pub fn cut(&self) {
        self.shared.cuts.fetch_add(1, Ordering::SeqCst);
        self.shared.mode.send_replace(Mode::Cut);
    }

    /// Keeps the connections, and lets nothing through.
    pub fn black_hole(&self) {
        self.shared.mode.send_replace(Mode::BlackHole);
    }

    /// The link is whole again, and cuts itself no more.
    pub fn restore(&self) {
        *self.shared.random.lock().unwrap() = None;
        self.shared.mode.send_replace(Mode::Open);
    }

    /// From now on the link cuts itself after a random number of bytes within `bytes`, both directions counted, is down for a random time
    /// within `down`, and comes back by itself, again and again.
    pub fn cut_at_random(&self, seed: u64, bytes: Range<u64>, down: Range<Duration>) {
        let mut random = SmallRng::seed_from_u64(seed);
        let left = random.random_range(bytes.clone());
        *self.shared.random.lock().unwrap() = Some(RandomCuts {
            random,
            bytes,
            down,
            left,
        });
    }

    /// How often the link was cut.
    pub fn cuts(&self) -> u32 {
        self.shared.cuts.load(Ordering::SeqCst)
    }
}

impl Shared {
    /// How many of these bytes still get through, and for how long the link is then down.
    fn allow(&self, bytes: usize) -> (usize, Option<Duration>) {
        let mut random = self.random.lock().unwrap();
        let Some(cuts) = random.as_mut() else {
            return (bytes, None);
        };
        if cuts.left > bytes as u64 {
            cuts.left -= bytes as u64;
            return (bytes, None);
        }
        let through = usize::try_from(cuts.left).unwrap();
        cuts.left = cuts.random.random_range(cuts.bytes.clone());
        (through, Some(cuts.random.random_range(cuts.down.clone())))
    }

    fn cut_for(self: &Arc<Self>, down: Duration) {
        self.cuts.fetch_add(1, Ordering::SeqCst);
        self.mode.send_replace(Mode::Cut);
        let shared = Arc::clone(self);
        tokio::spawn(async move {
            tokio::time::sleep(down).await;
            // Somebody may have cut it by hand or made it whole meanwhile: then that stands.
            shared
                .mode
                .send_if_modified(|mode| std::mem::replace(mode, Mode::Open) == Mode::Cut);
        });
    }
}

async fn forward(client: TcpStream, upstream: SocketAddr, shared: Arc<Shared>) {
    let mut mode = shared.mode.subscribe();
    if !passable(&mut mode).await {
        return;
    }
    let Ok(server) = TcpStream::connect(upstream).await else {
        return;
    };
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    // The first that ends takes the whole connection with it, in the middle of what travels.
    tokio::select! {
        () = pump(from_client, to_server, &shared) => {}
        () = pump(from_server, to_client, &shared) => {}
        _ = mode.wait_for(|mode| *mode == Mode::Cut) => {}
    }
}

async fn pump(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    shared: &Arc<Shared>,
) {
    let mut buffer = vec![0; 16 * 1024];
    let mut mode = shared.mode.subscribe();
    loop {
        let read = match from.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(read) => read,
        };
        if !passable(&mut mode).await {
            return;
        }
        let (through, cut) = shared.allow(read);
        let written = to.write_all(&buffer[..through]).await;
        if let Some(down) = cut {
            shared.cut_for(down);
            return;
        }
        if written.is_err() {
            return;
        }
    }
}

/// Waits for the end of a black hole; `false` where the link is cut.
async fn passable(mode: &mut watch::Receiver<Mode>) -> bool {
    let known = mode.wait_for(|mode| *mode != Mode::BlackHole).await;
    known.is_ok_and(|mode| *mode == Mode::Open)
}
