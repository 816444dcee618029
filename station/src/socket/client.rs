//! Asks the owner of a home to carry out a request.

use std::path::Path;

use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::UnixStream;

use super::{
    CallLine, REPLY_LENGTH_MAX, Reply, SCHEMA, SocketError, check_peer, line, socket_path,
};
use crate::command::Request;
use crate::event::{Event, EventSink, Summary};
use crate::operator::Token;
use crate::stop::Stop;

/// What became of a request.
pub enum Answer {
    /// The owner carried it out; every event but the summary went to the sink.
    Done(Summary),
    /// The owner went away before it began: nothing was done, and somebody else may own the home now.
    NotBegun,
}

/// Sends a request to the owner of `home` and passes on what the owner tells.
///
/// # Errors
/// [`SocketError`] where nobody listens, or where the owner went away in the middle.
pub async fn call(
    home: &Path,
    token: Option<&Token>,
    request: Request,
    sink: &dyn EventSink,
    stop: &Stop,
) -> Result<Answer, SocketError> {
    let path = socket_path(home)?;
    let stream = UnixStream::connect(&path)
        .await
        .map_err(|source| SocketError::NotListening { path, source })?;
    check_peer(&stream)?;
    let (reader, mut writer) = stream.into_split();
    let mut reader = BufReader::new(reader);
    let call = CallLine {
        schema: SCHEMA,
        token: token.map(|token| token.expose().to_owned()),
        request,
    };
    if line::write(&mut writer, &call).await.is_err() {
        return Ok(Answer::NotBegun);
    }
    let mut begun = false;
    let mut asked_to_stop = false;
    loop {
        let read = line::read(&mut reader, REPLY_LENGTH_MAX);
        tokio::pin!(read);
        let reply = loop {
            tokio::select! {
                reply = &mut read => break reply,
                () = stop.wait(), if !asked_to_stop => {
                    asked_to_stop = true;
                    // An owner that is gone says so by closing its side.
                    let _ = writer.write_all(b"stop\n").await;
                }
            }
        };
        let reply = match reply {
            Ok(Some(reply)) => reply,
            Ok(None) | Err(SocketError::Broken(_)) if begun => return Err(SocketError::Ended),
            Ok(None) | Err(SocketError::Broken(_)) => return Ok(Answer::NotBegun),
            Err(error) => return Err(error),
        };
        match serde_json::from_slice(&reply).map_err(|source| SocketError::Malformed { source })? {
            Reply::Accepted => begun = true,
            Reply::Event { event } => match *event {
                Event::Summary(summary) => return Ok(Answer::Done(summary)),
                event => {
                    // A refusal comes without an acceptance, and is an answer all the same.
                    begun = true;
                    sink.emit(event);
                }
            },
        }
    }
}
