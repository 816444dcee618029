//! The owner's side: takes requests of other processes while the owner lives.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, BufReader};
use tokio::net::unix::OwnedWriteHalf;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;

use super::{
    CallLine, REQUEST_LENGTH_MAX, Reply, SCHEMA, SocketError, check_peer, line, socket_path,
};
use crate::command::Request;
use crate::event::{ErrorBody, Event, EventSink, Summary};
use crate::exit::ExitCode;
use crate::home::Home;
use crate::operator::Token;
use crate::stop::Stop;

/// The most clients at once; further ones wait for a place.
const CLIENTS_MAX: usize = 32;

/// How long a client may take to send its request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// The most events that wait for a client that reads slowly; one that lets more wait has gone away for all practical purposes.
const WAITING_EVENTS_MAX: usize = 65_536;

/// What a client asked for.
pub struct Call {
    /// Its operator's token, if it named one.
    pub token: Option<Token>,
    /// The request.
    pub request: Request,
}

/// Listens in the home until it is shut down.
pub struct Server {
    path: PathBuf,
    end: Stop,
    task: tokio::task::JoinHandle<()>,
}

impl Server {
    /// Begins to listen; `handle` carries out each call, emits its events and returns its summary. `stop` is the owner's own wish to
    /// stop, which reaches every call.
    ///
    /// A socket that lies there already was left by an owner that is gone: this process has the home's lock.
    ///
    /// # Errors
    /// [`SocketError`] where the socket can't be made.
    pub fn start<F, R>(home: &Home, stop: Stop, handle: F) -> Result<Self, SocketError>
    where
        F: Fn(Call, Arc<dyn EventSink>, Stop) -> R + Clone + Send + 'static,
        R: Future<Output = Summary> + Send + 'static,
    {
        let path = socket_path(home.path())?;
        let failed = |doing, source| SocketError::Listen {
            path: path.clone(),
            doing,
            source,
        };
        match std::fs::remove_file(&path) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(source) => return Err(failed("removed", source)),
        }
        let listener = UnixListener::bind(&path).map_err(|source| failed("made", source))?;
        // The home lets nobody else in; the socket itself doesn't either.
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))
            .map_err(|source| failed("made private", source))?;
        let end = Stop::new();
        let task = tokio::spawn(accept(listener, end.clone(), stop, handle));
        Ok(Self { path, end, task })
    }

    /// Takes no further calls and waits for those that are being carried out.
    pub async fn shut_down(self) {
        // Whoever comes now finds no socket and tries to own the home himself.
        let _ = std::fs::remove_file(&self.path);
        self.end.request();
        let _ = self.task.await;
    }
}

async fn accept<F, R>(listener: UnixListener, end: Stop, stop: Stop, handle: F)
where
    F: Fn(Call, Arc<dyn EventSink>, Stop) -> R + Clone + Send + 'static,
    R: Future<Output = Summary> + Send + 'static,
{
    let places = Arc::new(Semaphore::new(CLIENTS_MAX));
    let mut clients = JoinSet::new();
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            break;
        };
        let stream = tokio::select! {
            accepted = listener.accept() => accepted,
            () = end.wait() => break,
        };
        while clients.try_join_next().is_some() {}
        let Ok((stream, _)) = stream else {
            // Out of file descriptors, most likely: clients that end give theirs back.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let (stop, handle) = (stop.clone(), handle.clone());
        clients.spawn(async move {
            if let Err(error) = serve(stream, stop, handle).await {
                tracing::warn!(socket.error = %crate::command::chain(&error), "a client of the home's socket was refused");
            }
            drop(place);
        });
    }
    drop(listener);
    while clients.join_next().await.is_some() {}
}

async fn serve<F, R>(stream: UnixStream, owner_stop: Stop, handle: F) -> Result<(), SocketError>
where
    F: Fn(Call, Arc<dyn EventSink>, Stop) -> R,
    R: Future<Output = Summary>,
{
    let peer = check_peer(&stream);
    let (reader, mut writer) = stream.into_split();
    let mut reader = BufReader::new(reader);
    let call = match peer {
        Ok(()) => read_call(&mut reader).await,
        Err(error) => Err(error),
    };
    let call = match call {
        Ok(Some(call)) => call,
        Ok(None) => return Ok(()),
        Err(error) => {
            refuse(&mut writer, &error).await?;
            return Err(error);
        }
    };
    line::write(&mut writer, &Reply::Accepted).await?;
    let stop = Stop::new();
    let (sink, events) = QueueSink::new(stop.clone());
    let sink: Arc<dyn EventSink> = Arc::new(sink);
    let told = tokio::spawn(tell(writer, events, stop.clone()));
    let watch = watch(reader, owner_stop, stop.clone());
    let work = handle(call, Arc::clone(&sink), stop);
    tokio::pin!(watch, work);
    let summary = tokio::select! {
        summary = &mut work => summary,
        // Whoever wished to stop: what is in hand is finished all the same.
        () = &mut watch => work.await,
    };
    sink.emit(Event::Summary(summary));
    drop(sink);
    let _ = told.await;
    Ok(())
}

async fn read_call(
    reader: &mut (impl tokio::io::AsyncBufRead + Unpin),
) -> Result<Option<Call>, SocketError> {
    let line = tokio::time::timeout(REQUEST_TIMEOUT, line::read(reader, REQUEST_LENGTH_MAX))
        .await
        .map_err(|_| SocketError::TooLate {
            seconds: REQUEST_TIMEOUT.as_secs(),
        })??;
    let Some(line) = line else {
        return Ok(None);
    };
    check_schema(&line)?;
    let call: CallLine =
        serde_json::from_slice(&line).map_err(|source| SocketError::Malformed { source })?;
    let token = call.token.map(zeroize::Zeroizing::new);
    Ok(Some(Call {
        // A token that is none is nobody's: the command that needs one says so.
        token: token.and_then(|token| Token::parse(&token).ok()),
        request: call.request,
    }))
}

/// The version first: a line of another version may have any other form.
fn check_schema(line: &[u8]) -> Result<(), SocketError> {
    #[derive(serde::Deserialize)]
    struct Versioned {
        schema: u32,
    }
    let versioned: Versioned =
        serde_json::from_slice(line).map_err(|source| SocketError::Malformed { source })?;
    if versioned.schema == SCHEMA {
        Ok(())
    } else {
        Err(SocketError::Schema {
            got: versioned.schema,
        })
    }
}

async fn refuse(writer: &mut OwnedWriteHalf, error: &SocketError) -> Result<(), SocketError> {
    let error = ErrorBody {
        code: "socket".to_owned(),
        message: crate::command::chain(error),
        next: error.next().to_owned(),
    };
    for event in [
        Event::Error { error },
        Event::Summary(Summary::without_units(ExitCode::Usage, 0)),
    ] {
        let event = Box::new(event);
        line::write(writer, &Reply::Event { event }).await?;
    }
    Ok(())
}

/// Returns when the client closes or says stop, or the owner wishes to stop; each asks the call to stop.
async fn watch(mut reader: BufReader<impl AsyncRead + Unpin>, owner_stop: Stop, stop: Stop) {
    tokio::select! {
        _ = line::read(&mut reader, REQUEST_LENGTH_MAX) => {}
        () = owner_stop.wait() => {}
    }
    stop.request();
}

/// Writes events to the client until there are no more; a client that reads no more is gone.
async fn tell(mut writer: OwnedWriteHalf, mut events: mpsc::Receiver<Event>, stop: Stop) {
    while let Some(event) = events.recv().await {
        let event = Box::new(event);
        if line::write(&mut writer, &Reply::Event { event })
            .await
            .is_err()
        {
            stop.request();
            return;
        }
    }
}

/// Queues events for the task that writes them.
struct QueueSink {
    sender: mpsc::Sender<Event>,
    stop: Stop,
}

impl QueueSink {
    fn new(stop: Stop) -> (Self, mpsc::Receiver<Event>) {
        let (sender, receiver) = mpsc::channel(WAITING_EVENTS_MAX);
        let sink = Self { sender, stop };
        (sink, receiver)
    }
}

impl EventSink for QueueSink {
    fn emit(&self, event: Event) {
        if self.sender.try_send(event).is_err() {
            self.stop.request();
        }
    }
}
