//! A unit on a serial line: its agent is already there, in flash.
//!
//! Nothing is read by the station itself over this link, so what it learns is *claimed*, not measured. A pseudo-terminal is a serial
//! line as well.

use std::io::{ErrorKind, Read as _, Write as _};
use std::time::{Duration, Instant};

use keyline_protocol::identity::Platform;
use serialport::{ClearBuffer, SerialPort, TTYPort};

use super::{AgentImage, AgentStart, Attachment, LinkError, Target};

/// Bits a second; 8 data bits, no parity, one stop bit.
const BAUD_RATE: u32 = 115_200;

/// How long a write may take: the longest frame is 1,058 bytes, which is 92 ms on this line.
const WRITE_TIMEOUT: Duration = Duration::from_secs(2);

/// The most that is read at once.
const READ_LENGTH: usize = 1024;

/// A unit on a serial line.
pub struct SerialTarget {
    path: String,
    port: Option<TTYPort>,
}

impl SerialTarget {
    /// The unit behind this serial port. Nothing is opened before [`Target::attach`].
    #[must_use]
    pub fn new(path: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            port: None,
        }
    }

    fn port(&mut self, doing: &'static str) -> Result<&mut TTYPort, LinkError> {
        self.port.as_mut().ok_or(LinkError::Lost {
            doing,
            source: None,
        })
    }

    fn opened(&self, error: serialport::Error) -> LinkError {
        let selector = self.path.clone();
        match error.kind() {
            // serialport 4.10, posix/{error,flock}.rs: on Unix this kind is given to a port that another process has locked, and to
            // nothing else.
            serialport::ErrorKind::NoDevice => LinkError::Busy { selector },
            _ => LinkError::ProbeNotFound {
                selector,
                source: Some(Box::new(error)),
            },
        }
    }
}

fn lost(doing: &'static str, source: impl std::error::Error + Send + Sync + 'static) -> LinkError {
    LinkError::Lost {
        doing,
        source: Some(Box::new(source)),
    }
}

impl Target for SerialTarget {
    fn describe(&self) -> String {
        format!("serial {}", self.path)
    }

    fn attach(&mut self, _: Platform) -> Result<Attachment, LinkError> {
        self.port = None;
        let port = serialport::new(&self.path, BAUD_RATE)
            .timeout(WRITE_TIMEOUT)
            .open_native()
            .map_err(|error| self.opened(error))?;
        // What came in before this run is nobody's answer.
        port.clear(ClearBuffer::All)
            .map_err(|error| self.opened(error))?;
        self.port = Some(port);
        Ok(Attachment { probe: None })
    }

    fn start_agent(&mut self, _: &AgentImage) -> Result<AgentStart, LinkError> {
        self.port("looking for the agent")?;
        Ok(AgentStart { measured: None })
    }

    fn send(&mut self, frame: &[u8]) -> Result<(), LinkError> {
        const DOING: &str = "sending";
        let port = self.port(DOING)?;
        port.set_timeout(WRITE_TIMEOUT)
            .map_err(|error| lost(DOING, error))?;
        port.write_all(frame).map_err(|error| lost(DOING, error))
    }

    fn receive(&mut self, deadline: Instant, into: &mut Vec<u8>) -> Result<(), LinkError> {
        const DOING: &str = "receiving";
        let began = Instant::now();
        let mut buffer = [0; READ_LENGTH];
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(LinkError::Timeout {
                    waited: began.elapsed(),
                });
            }
            let port = self.port(DOING)?;
            port.set_timeout(left.max(Duration::from_millis(1)))
                .map_err(|error| lost(DOING, error))?;
            match port.read(&mut buffer) {
                // A terminal whose other end is gone reads as ended.
                Ok(0) => {
                    return Err(LinkError::Lost {
                        doing: DOING,
                        source: None,
                    });
                }
                Ok(length) => {
                    into.extend_from_slice(&buffer[..length]);
                    return Ok(());
                }
                Err(error)
                    if matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::Interrupted) => {}
                Err(error) => return Err(lost(DOING, error)),
            }
        }
    }

    fn reset(&mut self) -> Result<(), LinkError> {
        // The agent was asked to reset and has answered; what the line shows while the chip starts is noise, which `Hello` ends.
        self.port("waiting for a reset").map(drop)
    }

    fn resets_by_itself(&self) -> bool {
        false
    }

    fn read_memory(&mut self, _: u32, _: usize) -> Result<Option<Vec<u8>>, LinkError> {
        Ok(None)
    }

    fn probe_protection(&mut self) -> Result<Option<bool>, LinkError> {
        Ok(None)
    }

    fn detach(&mut self) {
        self.port = None;
    }
}
