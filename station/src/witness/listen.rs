//! Connections of a server on a hostile network: so many at a time, so many of one address, none for ever, none that only begins.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::stop::Stop;

/// How many connections are served at a time; more wait in the system's queue.
const CONNECTIONS_MAX: usize = 256;

/// How many connections of one address are served at a time; more are closed at once. A station needs one. What comes from this machine
/// itself may be a proxy with everybody behind it, and is not counted.
const CONNECTIONS_OF_ADDRESS_MAX: usize = 32;

/// How long a request's head may take, and how long a connection may wait for its next request.
const HEAD_PATIENCE: Duration = Duration::from_secs(30);

/// The longest head of a request, in bytes.
const HEAD_LENGTH_MAX: usize = 16_384;

/// How long a connection lives at most: whoever reads too slowly does not stay for ever.
const CONNECTION_LIFETIME: Duration = Duration::from_mins(10);

/// How long requests in hand may take when the server stops: longer than a body and a turn may take together.
const STOP_PATIENCE: Duration = Duration::from_secs(20);

/// How long nothing is accepted after the system refused to: it has no file descriptors left, and some will come back.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until somebody asks to stop; then accepts nothing more and finishes what is in hand.
pub(super) async fn serve(listener: TcpListener, router: Router, stop: &Stop) {
    let permits = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let peers = Peers::default();
    let mut connections = JoinSet::new();
    while let Some(next) = accept(&listener, &permits, stop).await {
        match next {
            Ok((stream, address, permit)) => {
                if let Some(place) = peers.admit(address) {
                    let held = (permit, place);
                    let served = serve_connection(stream, router.clone(), stop.clone(), held);
                    connections.spawn(served);
                } else {
                    tracing::debug!(%address, "one connection more than an address may have");
                }
            }
            Err(error) => {
                tracing::warn!(%error, "a connection can't be accepted");
                sleep(ACCEPT_PAUSE).await;
            }
        }
        while connections.try_join_next().is_some() {}
    }
    drop(listener);
    let finish = async { while connections.join_next().await.is_some() {} };
    if timeout(STOP_PATIENCE, finish).await.is_err() {
        tracing::warn!("some connections did not end in time and were cut");
    }
}

/// The next connection, when there is room for one; `None` when it is time to stop.
async fn accept(
    listener: &TcpListener,
    permits: &Arc<Semaphore>,
    stop: &Stop,
) -> Option<std::io::Result<(TcpStream, IpAddr, OwnedSemaphorePermit)>> {
    let next = async {
        // The semaphore is never closed.
        let permit = Arc::clone(permits).acquire_owned().await.ok()?;
        let accepted = listener.accept().await;
        Some(accepted.map(|(stream, peer)| (stream, peer.ip(), permit)))
    };
    tokio::select! {
        () = stop.wait() => None,
        next = next => next,
    }
}

async fn serve_connection(
    stream: TcpStream,
    router: Router,
    stop: Stop,
    _held: (OwnedSemaphorePermit, Place),
) {
    // Without it a small answer may wait for the other side's acknowledgement; with an error it only comes later.
    let _ = stream.set_nodelay(true);
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_PATIENCE)
        .max_buf_size(HEAD_LENGTH_MAX);
    let service = TowerToHyperService::new(router);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    tokio::select! {
        ended = connection.as_mut() => {
            if let Err(error) = ended {
                tracing::debug!(%error, "a connection ended early");
            }
            return;
        }
        () = stop.wait() => {}
        () = sleep(CONNECTION_LIFETIME) => {}
    }
    connection.as_mut().graceful_shutdown();
    if timeout(STOP_PATIENCE, connection).await.is_err() {
        tracing::debug!("a connection was cut");
    }
}

/// How many connections each address has.
#[derive(Clone, Debug, Default)]
struct Peers {
    counts: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

/// A connection of an address, until it is dropped.
#[derive(Debug)]
struct Place {
    peers: Peers,
    /// `None`: it is not counted.
    address: Option<IpAddr>,
}

impl Peers {
    /// A place for one more connection, if the address may have it.
    fn admit(&self, address: IpAddr) -> Option<Place> {
        let address = counted(address);
        if let Some(address) = address {
            let mut counts = self.lock();
            let count = counts.entry(address).or_default();
            if *count >= CONNECTIONS_OF_ADDRESS_MAX {
                return None;
            }
            *count += 1;
        }
        Some(Place {
            peers: self.clone(),
            address,
        })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some(address) = self.address else { return };
        let mut counts = self.peers.lock();
        if let Some(count) = counts.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&address);
            }
        }
    }
}

/// Under which address a connection is counted: of IPv6 the network, all of which is one customer's.
fn counted(address: IpAddr) -> Option<IpAddr> {
    let address = address.to_canonical();
    if address.is_loopback() {
        return None;
    }
    if let IpAddr::V6(address) = address {
        let network = address.to_bits() & !u128::from(u64::MAX);
        return Some(Ipv6Addr::from_bits(network).into());
    }
    Some(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admitted(peers: &Peers, address: &str) -> Vec<Place> {
        let address: IpAddr = address.parse().expect("an address");
        (0..100).map_while(|_| peers.admit(address)).collect()
    }

    #[test]
    fn one_address_leaves_room_for_others_and_gets_its_places_back() {
        let peers = Peers::default();
        let first = admitted(&peers, "192.0.2.1");
        assert_eq!(first.len(), CONNECTIONS_OF_ADDRESS_MAX);
        assert!(admitted(&peers, "::ffff:192.0.2.1").is_empty(), "the same");
        let other = admitted(&peers, "192.0.2.2");
        assert_eq!(other.len(), CONNECTIONS_OF_ADDRESS_MAX);
        drop(first);
        let again = admitted(&peers, "192.0.2.1");
        assert_eq!(again.len(), CONNECTIONS_OF_ADDRESS_MAX);
        drop((other, again));
        assert!(peers.lock().is_empty(), "nothing is kept of who went");
    }

    #[test]
    fn a_network_of_ipv6_is_one_address_and_a_proxy_on_this_machine_none() {
        let peers = Peers::default();
        let network = admitted(&peers, "2001:db8::1");
        assert_eq!(network.len(), CONNECTIONS_OF_ADDRESS_MAX);
        assert!(admitted(&peers, "2001:db8::ffff").is_empty());
        assert_eq!(admitted(&peers, "127.0.0.1").len(), 100);
        assert_eq!(admitted(&peers, "::1").len(), 100);
    }
}
