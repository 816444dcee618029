//! Events as JSON Lines: one object a line, `{"schema":1,"seq":n,"event":…}`.

use std::io::Write;
use std::sync::Mutex;

use serde::Serialize;

use super::{Event, EventSink, SCHEMA};
use crate::stop::Stop;

/// A line as scripts see it.
#[derive(Serialize)]
struct Line<'a> {
    schema: u32,
    seq: u64,
    #[serde(flatten)]
    event: &'a Event,
}

/// Writes each event as one line, numbered from 1, and flushes it.
pub struct JsonSink<W: Write + Send> {
    state: Mutex<State<W>>,
    stop: Stop,
}

struct State<W> {
    writer: W,
    lines: u64,
    broken: bool,
}

impl<W: Write + Send> JsonSink<W> {
    /// A sink that writes to `writer` and asks for a `stop` when nobody reads any more.
    #[must_use]
    pub const fn new(writer: W, stop: Stop) -> Self {
        Self {
            state: Mutex::new(State {
                writer,
                lines: 0,
                broken: false,
            }),
            stop,
        }
    }
}

impl<W: Write + Send> EventSink for JsonSink<W> {
    fn emit(&self, event: Event) {
        let Ok(mut state) = self.state.lock() else {
            return;
        };
        if state.broken {
            return;
        }
        state.lines += 1;
        let line = Line {
            schema: SCHEMA,
            seq: state.lines,
            event: &event,
        };
        let written = serde_json::to_vec(&line)
            .map_err(std::io::Error::other)
            .and_then(|mut bytes| {
                bytes.push(b'\n');
                state.writer.write_all(&bytes)?;
                state.writer.flush()
            });
        if written.is_err() {
            state.broken = true;
            self.stop.request();
        }
    }
}
