//! Connections of a server on a hostile network: so many at a time, none for ever, none that only begins.

use std::pin::pin;
use std::sync::Arc;
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
    let mut connections = JoinSet::new();
    while let Some(next) = accept(&listener, &permits, stop).await {
        match next {
            Ok((stream, permit)) => {
                let connection = serve_connection(stream, router.clone(), stop.clone(), permit);
                connections.spawn(connection);
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
) -> Option<std::io::Result<(TcpStream, OwnedSemaphorePermit)>> {
    let next = async {
        // The semaphore is never closed.
        let permit = Arc::clone(permits).acquire_owned().await.ok()?;
        let accepted = listener.accept().await;
        Some(accepted.map(|(stream, _)| (stream, permit)))
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
    _permit: OwnedSemaphorePermit,
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
