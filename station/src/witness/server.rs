//! The witness over HTTP: what a request means to the store, and what the store's word means in HTTP.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Bytes, HttpBody as _};
use axum::extract::{DefaultBodyLimit, FromRequest as _, Path, Request, State};
use axum::http::header::{CONNECTION, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderName, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::listen;
use super::{AddCheckpoint, Refusal, SIZE_CONTENT_TYPE, WitnessStore};
use crate::clock;
use crate::stop::Stop;

/// The longest body, in bytes: the longest note (131,072), 63 proof lines of 45, the old size, and nothing more to speak of.
const BODY_LENGTH_MAX: usize = 135_168;

/// How long a body may take: a log sends it in one go.
const BODY_PATIENCE: Duration = Duration::from_secs(10);

/// How many requests use the store at a time: each may wait for the disk in a thread of its own.
const REQUESTS_MAX: usize = 32;

/// How long a request waits for its turn.
const TURN_PATIENCE: Duration = Duration::from_secs(5);

const TEXT: [(HeaderName, &str); 1] = [(CONTENT_TYPE, "text/plain; charset=utf-8")];

/// A witness that is bound to its address.
pub struct WitnessServer {
    listener: TcpListener,
    address: SocketAddr,
    service: Arc<Service>,
}

struct Service {
    store: WitnessStore,
    turns: Arc<Semaphore>,
}

impl WitnessServer {
    /// Binds the address; port 0 takes a free one.
    ///
    /// # Errors
    /// What the system says.
    pub async fn bind(store: WitnessStore, address: SocketAddr) -> std::io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        Ok(Self {
            address: listener.local_addr()?,
            listener,
            service: Arc::new(Service {
                store,
                turns: Arc::new(Semaphore::new(REQUESTS_MAX)),
            }),
        })
    }

    /// The address that was bound.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until somebody asks to stop, and then what is in hand.
    pub async fn run(self, stop: &Stop) {
        let router = Router::new()
            .route("/add-checkpoint", post(add_checkpoint))
            .route("/{origin_hash}/checkpoint", get(checkpoint))
            .layer(DefaultBodyLimit::max(BODY_LENGTH_MAX))
            .with_state(self.service);
        listen::serve(self.listener, router, stop).await;
    }
}

async fn add_checkpoint(State(service): State<Arc<Service>>, request: Request) -> Response {
    let body = match body_of(request).await {
        Ok(body) => body,
        Err(response) => return response,
    };
    let request = match AddCheckpoint::parse(&body) {
        Ok(request) => request,
        Err(refusal) => return refused(&refusal),
    };
    let done = in_turn(service, move |store| {
        store.add_checkpoint(&request, clock::wall_ms())
    });
    match done.await {
        Ok(Ok(line)) => (TEXT, format!("{line}\n")).into_response(),
        Ok(Err(refusal)) => refused(&refusal),
        Err(response) => response,
    }
}

/// The whole body, or why there is none: the connection ends then, since nobody knows where the next request would begin.
async fn body_of(request: Request) -> Result<Bytes, Response> {
    let close = [(CONNECTION, "close")];
    let refuse = |status, words: &str| (close, told(status, words)).into_response();
    let length_max = format!("expected a body of at most {BODY_LENGTH_MAX} bytes, got more");
    if request.body().size_hint().lower() > BODY_LENGTH_MAX as u64 {
        return Err(refuse(StatusCode::PAYLOAD_TOO_LARGE, &length_max));
    }
    match timeout(BODY_PATIENCE, Bytes::from_request(request, &())).await {
        Ok(Ok(body)) => Ok(body),
        Ok(Err(rejection)) => {
            let words = match rejection.status() {
                StatusCode::PAYLOAD_TOO_LARGE => length_max.as_str(),
                _ => "expected a whole body, got part of it",
            };
            Err(refuse(rejection.status(), words))
        }
        Err(_) => {
            let words = "expected the whole body within 10 s, got part of it";
            Err(refuse(StatusCode::REQUEST_TIMEOUT, words))
        }
    }
}

async fn checkpoint(State(service): State<Arc<Service>>, Path(hash): Path<String>) -> Response {
    match in_turn(service, move |store| store.latest(&hash)).await {
        Ok(Ok(Some(note))) => (TEXT, note).into_response(),
        Ok(Ok(None)) => {
            let words = "expected the lowercase hexadecimal SHA-256 of the origin of a log that was cosigned, got another";
            told(StatusCode::NOT_FOUND, words)
        }
        Ok(Err(error)) => refused(&error.into()),
        Err(response) => response,
    }
}

/// Does something with the store in a thread that may block, when it is its turn. What was begun is finished, whether or not the client is
/// still there.
async fn in_turn<T: Send + 'static>(
    service: Arc<Service>,
    work: impl FnOnce(&WitnessStore) -> T + Send + 'static,
) -> Result<T, Response> {
    let Ok(Ok(turn)) = timeout(TURN_PATIENCE, Arc::clone(&service.turns).acquire_owned()).await
    else {
        let words = "expected fewer requests at a time, this one waited too long";
        let busy = told(StatusCode::SERVICE_UNAVAILABLE, words);
        return Err(([(RETRY_AFTER, "5")], busy).into_response());
    };
    let done = tokio::task::spawn_blocking(move || {
        // The turn goes with the work: a client that hangs up doesn't free it early.
        let _turn = turn;
        work(&service.store)
    });
    done.await.map_err(|error| {
        tracing::error!(%error, "a request ended in the middle");
        let words = "expected an answer of the store, got none";
        told(StatusCode::INTERNAL_SERVER_ERROR, words)
    })
}

fn refused(refusal: &Refusal) -> Response {
    let status = match refusal {
        Refusal::Malformed { .. } | Refusal::NoCheckpoint(_) | Refusal::OldLarger { .. } => {
            StatusCode::BAD_REQUEST
        }
        Refusal::UnknownLog { .. } => StatusCode::NOT_FOUND,
        Refusal::NotSigned(_) | Refusal::OtherKey => StatusCode::FORBIDDEN,
        Refusal::Conflict { size } => {
            let size_type = [(CONTENT_TYPE, SIZE_CONTENT_TYPE)];
            return (StatusCode::CONFLICT, size_type, format!("{size}\n")).into_response();
        }
        Refusal::Inconsistent { .. } => StatusCode::UNPROCESSABLE_ENTITY,
        Refusal::Clock { .. } => {
            tracing::error!(error = %refusal, "refused to cosign");
            StatusCode::INTERNAL_SERVER_ERROR
        }
        Refusal::Store(error) => {
            // The outside learns that, the log why: paths are nobody's business.
            tracing::error!(error = %crate::command::chain(error), "the store can't be used");
            let words = "expected a store that can be written, got an error; nothing was cosigned";
            return told(StatusCode::INTERNAL_SERVER_ERROR, words);
        }
    };
    told(status, &crate::command::chain(refusal))
}

fn told(status: StatusCode, words: &str) -> Response {
    (status, TEXT, format!("{words}\n")).into_response()
}
