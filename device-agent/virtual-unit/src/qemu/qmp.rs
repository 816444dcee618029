//! The emulator's machine protocol: system resets.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};
use serde_json::{Value, json};

use super::error::UnitError;

/// A reset takes well under a millisecond; a machine under heavy load gets this long.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);
/// Events are read away at every run of the core; more than this before an answer means that something is wrong.
const EVENTS_MAX: usize = 10_000;

/// The client side of the machine protocol: JSON lines.
#[derive(Debug)]
pub(super) struct Qmp {
    stream: BufReader<UnixStream>,
    /// Resets that were announced by an event and not yet waited for.
    resets_seen: usize,
}

impl Qmp {
    /// Takes a connected stream, reads the greeting and leaves negotiation.
    pub(super) fn new(stream: UnixStream) -> Result<Self, UnitError> {
        stream
            .set_read_timeout(Some(ANSWER_LIMIT))
            .map_err(UnitError::channel("QMP"))?;
        let mut qmp = Self {
            stream: BufReader::new(stream),
            resets_seen: 0,
        };
        qmp.receive()?;
        qmp.ask(&json!({"execute": "qmp_capabilities"}))?;
        Ok(qmp)
    }

    /// Resets the stopped machine and returns when that is done.
    ///
    /// A reset that the program asks for pauses the machine instead (see [`super::machine`]); this one has to go through.
    pub(super) fn system_reset(&mut self) -> Result<(), UnitError> {
        let action =
            |reboot: &str| json!({"execute": "set-action", "arguments": {"reboot": reboot}});
        self.ask(&action("reset"))?;
        self.resets_seen = 0;
        self.ask(&json!({"execute": "system_reset"}))?;
        for _ in 0..EVENTS_MAX {
            if self.resets_seen > 0 {
                break;
            }
            let message = self.receive()?;
            self.note(&message);
        }
        self.ask(&action("shutdown")).map(drop)
    }

    /// Reads away the events that have come, so that they pile up nowhere.
    pub(super) fn drain(&mut self) -> Result<(), UnitError> {
        let failed = UnitError::channel("QMP");
        for _ in 0..EVENTS_MAX {
            let mut peeked = [0; 1];
            let flags = RecvFlags::DONTWAIT | RecvFlags::PEEK;
            let arrived = match recv(self.stream.get_ref(), &mut peeked, flags) {
                Ok((_, count)) => count > 0,
                Err(Errno::AGAIN) => false,
                Err(error) => return Err(failed(error.into())),
            };
            if !arrived && self.stream.buffer().is_empty() {
                break;
            }
            self.receive()?;
        }
        Ok(())
    }

    fn ask(&mut self, command: &Value) -> Result<Value, UnitError> {
        let line = format!("{command}\n");
        self.stream
            .get_mut()
            .write_all(line.as_bytes())
            .map_err(UnitError::channel("QMP"))?;
        for _ in 0..EVENTS_MAX {
            let message = self.receive()?;
            if let Some(answer) = message.get("return") {
                return Ok(answer.clone());
            }
            if message.get("error").is_some() {
                let found = message.to_string();
                return Err(UnitError::unexpected("QMP", "a return value", &found));
            }
            self.note(&message);
        }
        Err(UnitError::unexpected("QMP", "an answer", "only events"))
    }

    fn note(&mut self, message: &Value) {
        if message.get("event").and_then(Value::as_str) == Some("RESET") {
            self.resets_seen += 1;
        }
    }

    fn receive(&mut self) -> Result<Value, UnitError> {
        let failed = UnitError::channel("QMP");
        let mut line = String::new();
        if self.stream.read_line(&mut line).map_err(&failed)? == 0 {
            return Err(failed(std::io::ErrorKind::UnexpectedEof.into()));
        }
        serde_json::from_str(&line)
            .map_err(|_| UnitError::unexpected("QMP", "a line of JSON", line.trim_end()))
    }
}
