//! How a command reaches the process that owns the home: a Unix socket in the home that only the home's user can open.
//!
//! ```text
//! client  {"schema":1,"token":"…","request":{"command":"product-list","all":false}}     one line
//! owner   {"reply":"accepted"}                                                          from here on the outcome is the owner's
//! owner   {"reply":"event","event":{…}}                                                 any number, the last one a summary
//! client  (closes, or sends "stop")                                                     the owner finishes what is in hand and stops
//! ```
//!
//! A refusal is an error event and a summary without an `accepted` before them. Lines are bounded, and so are the number of clients and
//! the time that a client has for its request. Being able to connect is no authority: whatever changes something needs an operator's
//! token.

mod client;
mod line;
mod server;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::command::Request;
use crate::event::Event;
use crate::home::SOCKET_FILE;

pub use client::{Answer, call};
pub use server::{Call, Server};

/// The version of these lines.
const SCHEMA: u32 = 1;

/// The longest request, in bytes: a product with two RSA-4096 keys in hexadecimal has less than 4 KiB.
const REQUEST_LENGTH_MAX: usize = 64 * 1024;

/// The longest reply, in bytes: a unit with all its evidence has less than 100 KiB.
const REPLY_LENGTH_MAX: usize = 4 * 1024 * 1024;

/// The kernel's limit for a socket's path (`sun_path`, with its closing zero).
const PATH_LENGTH_MAX: usize = 107;

/// Why another process can't be asked, or a request can't be read.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// The home's path is too long for a socket.
    #[error("expected a home whose socket has a path of at most {PATH_LENGTH_MAX} bytes, got {got} bytes: {}", .path.display())]
    PathTooLong {
        /// The socket.
        path: PathBuf,
        /// Its length.
        got: usize,
    },
    /// Nobody listens.
    #[error("nobody answers at {}", .path.display())]
    NotListening {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The socket can't be made.
    #[error("the socket {} can't be {doing}", .path.display())]
    Listen {
        /// The socket.
        path: PathBuf,
        /// What was being done.
        doing: &'static str,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// Somebody else at the other end.
    #[error("expected a process of user {expected} at the other end, got one of user {got}")]
    Stranger {
        /// This process's user.
        expected: u32,
        /// The other's.
        got: u32,
    },
    /// The connection broke.
    #[error("the connection broke")]
    Broken(#[from] std::io::Error),
    /// It ended early; the owner had begun.
    #[error(
        "the process that owns the home ended before the command did; what was done is in the journal"
    )]
    Ended,
    /// A line that is too long.
    #[error("expected a line of at most {limit} bytes, got a longer one")]
    TooLong {
        /// The limit.
        limit: usize,
    },
    /// No line in time.
    #[error("expected a request within {seconds} s, got none")]
    TooLate {
        /// How long was waited.
        seconds: u64,
    },
    /// A line that isn't one.
    #[error("expected a line in the form of schema {SCHEMA}, got another")]
    Malformed {
        /// What is wrong.
        #[source]
        source: serde_json::Error,
    },
    /// A line of another version.
    #[error("expected schema {SCHEMA}, got {got}: the two processes are of different versions")]
    Schema {
        /// The other's version.
        got: u32,
    },
}

impl SocketError {
    /// What to do.
    #[must_use]
    pub const fn next(&self) -> &'static str {
        match self {
            Self::PathTooLong { .. } => "Use a home with a shorter path.",
            Self::NotListening { .. } => {
                "Wait a moment and run again; if that doesn't help, look at the owner's process."
            }
            Self::Listen { .. } => "Make the home writable for this user, then run again.",
            Self::Stranger { .. } => "Run as the user that the home belongs to.",
            Self::Broken(_) | Self::Ended => {
                "Run again: what was done stays done, and the unit goes on where it stopped."
            }
            Self::TooLong { .. } | Self::TooLate { .. } | Self::Malformed { .. } => {
                "Use the `keyline` command of the same version as the owner's."
            }
            Self::Schema { .. } => {
                "Let the owner's process end, and start it anew with the new version."
            }
        }
    }
}

/// The first line of a client.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CallLine {
    schema: u32,
    token: Option<String>,
    request: Request,
}

/// A line of the owner.
#[derive(Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "kebab-case")]
enum Reply {
    /// The request is being carried out.
    Accepted,
    /// Something happened.
    Event {
        /// What.
        event: Box<Event>,
    },
}

/// The socket of a home.
fn socket_path(home: &Path) -> Result<PathBuf, SocketError> {
    let path = home.join(SOCKET_FILE);
    let got = path.as_os_str().len();
    if got > PATH_LENGTH_MAX {
        return Err(SocketError::PathTooLong { path, got });
    }
    Ok(path)
}

/// Checks that the process at the other end is one of this user's.
fn check_peer(stream: &tokio::net::UnixStream) -> Result<(), SocketError> {
    let expected = rustix::process::geteuid().as_raw();
    let got = stream.peer_cred()?.uid();
    if got == expected {
        Ok(())
    } else {
        Err(SocketError::Stranger { expected, got })
    }
}
