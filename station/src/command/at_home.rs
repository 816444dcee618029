//! Commands in messages, completed with the home that was named: what is pasted must not work on another one.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::event::{Event, EventSink};

/// How a command begins in a message.
const COMMAND: &str = "`keyline ";

/// What follows where a command needs no home, or names it already.
const WITHOUT_HOME: [&str; 7] = [
    "--home ",
    "witness ",
    "help",
    "demo",
    "init ",
    "completions",
    "man",
];

/// Completes what it passes on.
pub(super) struct AtHome {
    inner: Arc<dyn EventSink>,
    home: PathBuf,
}

impl AtHome {
    pub(super) fn new(inner: Arc<dyn EventSink>, home: PathBuf) -> Self {
        Self { inner, home }
    }
}

impl EventSink for AtHome {
    fn emit(&self, mut event: Event) {
        match &mut event {
            Event::Warning { message, next } => {
                complete(message, &self.home);
                complete(next, &self.home);
            }
            Event::Error { error } => {
                complete(&mut error.message, &self.home);
                complete(&mut error.next, &self.home);
            }
            Event::Notice { message } => complete(message, &self.home),
            Event::Check(check) => complete(&mut check.next, &self.home),
            _ => {}
        }
        self.inner.emit(event);
    }
}

fn complete(text: &mut String, home: &Path) {
    if !text.contains(COMMAND) {
        return;
    }
    let mut pieces = text.split(COMMAND);
    let mut whole = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        whole.push_str(COMMAND);
        if !WITHOUT_HOME.iter().any(|word| piece.starts_with(word)) {
            whole.push_str("--home ");
            whole.push_str(&super::export::quoted(&home.display().to_string()));
            whole.push(' ');
        }
        whole.push_str(piece);
    }
    *text = whole;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_in_a_message_works_on_the_home_that_was_named() {
        for (before, after) in [
            (
                "See `keyline doctor`.",
                "See `keyline --home '/a b' doctor`.",
            ),
            (
                "Run `keyline unit list` or `keyline witness trust`.",
                "Run `keyline --home '/a b' unit list` or `keyline witness trust`.",
            ),
            ("See `keyline help`.", "See `keyline help`."),
            ("`keyline --home /x doctor`", "`keyline --home /x doctor`"),
            ("nothing", "nothing"),
        ] {
            let mut text = before.to_owned();
            complete(&mut text, Path::new("/a b"));
            assert_eq!(text, after);
        }
    }
}
