//! `keyline witness`: makes, shows and runs a witness. It needs no station home.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::CommandError;
use super::execute::elapsed_ms;
use crate::audit::VerifierKey;
use crate::event::{Event, EventSink, Summary, WitnessLogView, WitnessView};
use crate::exit::ExitCode;
use crate::stop::Stop;
use crate::witness::{WitnessServer, WitnessStore, WitnessStoreError, WitnessStoreView};

/// What is wanted of a witness's store.
pub(super) enum WitnessRequest {
    /// Make one.
    Init {
        /// Where.
        store: PathBuf,
        /// The witness's name.
        name: String,
    },
    /// Trust a log's key.
    Trust {
        /// Where.
        store: PathBuf,
        /// The key.
        key: String,
    },
    /// Trust a log's key no more.
    Distrust {
        /// Where.
        store: PathBuf,
        /// The key.
        key: String,
    },
    /// Show it.
    Show {
        /// Where.
        store: PathBuf,
    },
    /// Cosign until it is stopped.
    Serve {
        /// Where.
        store: PathBuf,
        /// The address.
        listen: SocketAddr,
    },
}

impl WitnessRequest {
    /// Whether it runs until it is stopped.
    pub(super) const fn is_service(&self) -> bool {
        matches!(self, Self::Serve { .. })
    }
}

/// Does what is wanted.
pub(super) async fn run(
    request: WitnessRequest,
    sink: &dyn EventSink,
    stop: &Stop,
) -> Result<Summary, CommandError> {
    let begun = Instant::now();
    match request {
        WitnessRequest::Init { store, name } => {
            drop(WitnessStore::init(&store, &name)?);
            let place = store.display();
            sink.emit(Event::Notice {
                message: format!(
                    "Made a witness at {place}.\nIts key is a file: whoever can read it can cosign in its name.\nNext:\n  keyline witness trust --store {place} VKEY\n  keyline witness serve --store {place} --listen ADDR:PORT"
                ),
            });
            show(&store, sink)?;
        }
        WitnessRequest::Trust { store, key } => {
            trust(&store, &key, sink)?;
            show(&store, sink)?;
        }
        WitnessRequest::Distrust { store, key } => {
            distrust(&store, &key, sink)?;
            show(&store, sink)?;
        }
        WitnessRequest::Show { store } => show(&store, sink)?,
        WitnessRequest::Serve { store, listen } => serve(&store, listen, sink, stop).await?,
    }
    let elapsed_ms = elapsed_ms(begun);
    Ok(Summary::without_units(ExitCode::Success, elapsed_ms))
}

fn trust(path: &Path, key: &str, sink: &dyn EventSink) -> Result<(), CommandError> {
    let key = VerifierKey::parse(key).map_err(WitnessStoreError::LogKey)?;
    let is_new = WitnessStore::open(path)?.trust(&key)?;
    let origin = key.name();
    sink.emit(Event::Notice {
        message: if is_new {
            format!("The log {origin} is trusted with this key.")
        } else {
            format!("The log {origin} was trusted with this key already.")
        },
    });
    Ok(())
}

fn distrust(path: &Path, key: &str, sink: &dyn EventSink) -> Result<(), CommandError> {
    let key = VerifierKey::parse(key).map_err(WitnessStoreError::LogKey)?;
    let was_trusted = WitnessStore::open(path)?.distrust(&key)?;
    let origin = key.name();
    sink.emit(Event::Notice {
        message: if was_trusted {
            format!("The log {origin} is trusted with this key no more. What was cosigned under it stays.")
        } else {
            format!("The log {origin} was not trusted with this key.")
        },
    });
    Ok(())
}

fn show(path: &Path, sink: &dyn EventSink) -> Result<(), CommandError> {
    let store = WitnessStore::view(path)?;
    sink.emit(Event::Witness(Box::new(view(store))));
    Ok(())
}

fn view(store: WitnessStoreView) -> WitnessView {
    let logs = store.logs.into_iter().map(|log| WitnessLogView {
        origin: log.origin,
        keys: log.keys.iter().map(ToString::to_string).collect(),
        size: log.latest.map_or(0, |(size, _, _)| size),
        root: log.latest.map(|(_, root, _)| hex::encode(root)),
        cosigned_at_ms: log
            .latest
            .map(|(_, _, time_s)| time_s.saturating_mul(1_000)),
    });
    WitnessView {
        name: store.key.name().to_owned(),
        key: store.key.to_string(),
        logs: logs.collect(),
        evidence: store.evidence_count,
    }
}

/// Being stopped is how a service ends well.
async fn serve(
    path: &Path,
    listen: SocketAddr,
    sink: &dyn EventSink,
    stop: &Stop,
) -> Result<(), CommandError> {
    let store = WitnessStore::open(path)?;
    let key = store.key().to_string();
    let server =
        WitnessServer::bind(store, listen)
            .await
            .map_err(|source| CommandError::NotReady {
                message: format!("expected to listen at {listen}: {source}"),
                next:
                    "Give an address of this machine and a port that is free: --listen ADDR:PORT."
                        .to_owned(),
            })?;
    sink.emit(Event::Notice {
        message: format!(
            "The witness listens at http://{}\n  key {key}",
            server.address()
        ),
    });
    server.run(stop).await;
    Ok(())
}
