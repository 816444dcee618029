//! Where a command's events go, and whether they got there: a script that reads half an answer must not see exit code 0.

use std::io::{self, ErrorKind, Write};
use std::sync::{Arc, OnceLock};

use super::CommandError;
use super::arguments::GlobalArguments;
use super::at_home::AtHome;
use crate::event::{AnswerStyle, EventSink, HumanSink, JsonSink, Terminal};
use crate::exit::ExitCode;
use crate::stop::Stop;

/// A command's events on their way out.
pub(super) struct Output {
    /// Takes the events.
    pub(super) sink: Arc<dyn EventSink>,
    lost: Arc<OnceLock<io::Error>>,
}

impl Output {
    /// As JSON Lines or for people, as was asked for.
    pub(super) fn new(global: &GlobalArguments, style: AnswerStyle, stop: &Stop) -> Self {
        let lost = Arc::new(OnceLock::new());
        let stop = stop.clone();
        let answers = Watched {
            writer: io::stdout(),
            lost: Arc::clone(&lost),
        };
        let sink: Arc<dyn EventSink> = if global.json {
            Arc::new(JsonSink::new(answers, stop))
        } else {
            let terminal = Terminal::detect();
            let words = io::stderr();
            Arc::new(HumanSink::new(answers, words, terminal, style, stop))
        };
        let sink = match &global.home {
            Some(home) => Arc::new(AtHome::new(sink, home.clone())),
            None => sink,
        };
        Self { sink, lost }
    }

    /// The exit code of a command that ended with this one, after everything was written.
    ///
    /// A reader that went away has what it wanted, as `head` does; an output that can't be written is told and is no success.
    pub(super) fn exit_code(&self, code: ExitCode) -> ExitCode {
        let lost = self.lost.get();
        let Some(lost) = lost.filter(|error| error.kind() != ErrorKind::BrokenPipe) else {
            return code;
        };
        let error = CommandError::System {
            doing: "write its output",
            source: lost
                .raw_os_error()
                .map_or_else(|| lost.kind().into(), io::Error::from_raw_os_error),
        };
        // Standard error is the last place to say it.
        let _ = writeln!(
            io::stderr(),
            "error: {}\n  next: Make room where the output goes, then ask again: what was done stays done.",
            error.body().message
        );
        match code {
            ExitCode::Success | ExitCode::Interrupted => error.exit_code(),
            worse => worse,
        }
    }
}

/// Remembers the first failure of a writer.
struct Watched<W> {
    writer: W,
    lost: Arc<OnceLock<io::Error>>,
}

impl<W> Watched<W> {
    fn remember<T>(&self, result: io::Result<T>) -> io::Result<T> {
        result.map_err(|error| {
            let kind = error.kind();
            // Only the first one says what happened.
            let _ = self.lost.set(error);
            kind.into()
        })
    }
}

impl<W: Write> Write for Watched<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.writer.write(bytes);
        self.remember(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        let flushed = self.writer.flush();
        self.remember(flushed)
    }
}
