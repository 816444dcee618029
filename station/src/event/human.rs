//! Events for people: bars on a terminal while units run, plain lines otherwise, tables and lists for answers.
//!
//! An answer that was asked for goes to standard output, everything else to standard error. A state is always a word with a mark; colour
//! only underlines it.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::answer::Answer;
use super::progress::Progress;
use super::table::{self, printable, printable_lines};
use super::{CheckResult, CheckState, Event, EventSink, Summary, UnitEvent, VerdictView};
use crate::fleet::RefusedRow;
use crate::record::UnitState;
use crate::stop::Stop;

/// How many ended units the closing table shows; a line that runs for days must not fill the memory.
const ROWS_MAX: usize = 100;

/// How many checks of one name and outcome are told.
const CHECKS_MAX: usize = 5;

/// How answers are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerStyle {
    /// Many things: a table.
    Table,
    /// One thing: everything that is known of it.
    Detail,
}

/// What the terminal can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terminal {
    /// Standard error is a terminal: bars make sense.
    pub bars: bool,
    /// Colours are wanted.
    pub colours: bool,
}

impl Terminal {
    /// Looks at this process's standard error and at `NO_COLOR`.
    #[must_use]
    pub fn detect() -> Self {
        use std::io::IsTerminal;
        let bars = std::io::stderr().is_terminal();
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|value| value == "dumb");
        Self {
            bars: bars && !dumb,
            colours: bars && !dumb && !refused,
        }
    }
}

/// Writes for people.
pub struct HumanSink<A: Write + Send, W: Write + Send> {
    state: Mutex<State<A, W>>,
    terminal: Terminal,
    style: AnswerStyle,
    stop: Stop,
}

struct State<A, W> {
    answers: A,
    words: W,
    answer: Answer,
    ended: Vec<UnitEvent>,
    ended_count: usize,
    /// How many checks of each name and outcome came that are not in order.
    checks: BTreeMap<(String, CheckState), usize>,
    progress: Option<Progress>,
}

impl<A: Write + Send, W: Write + Send> HumanSink<A, W> {
    /// A sink that writes answers to `answers` and everything else to `words`, and asks for a `stop` when answers can't be written.
    #[must_use]
    pub const fn new(
        answers: A,
        words: W,
        terminal: Terminal,
        style: AnswerStyle,
        stop: Stop,
    ) -> Self {
        Self {
            state: Mutex::new(State {
                answers,
                words,
                answer: Answer::new(),
                ended: Vec::new(),
                ended_count: 0,
                checks: BTreeMap::new(),
                progress: None,
            }),
            terminal,
            style,
            stop,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<A, W>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn unit(&self, state: &mut State<A, W>, unit: UnitEvent) {
        if let Some(progress) = &mut state.progress {
            progress.unit(&unit);
        }
        if !unit.ended() {
            return;
        }
        state.say(&self.unit_line(&unit));
        state.ended_count += 1;
        if state.ended.len() < ROWS_MAX {
            state.ended.push(unit);
        }
    }

    fn unit_line(&self, unit: &UnitEvent) -> String {
        let name = unit.device_id.map_or_else(
            || unit.serial.clone().unwrap_or_else(|| "no unit".to_owned()),
            |id| id.0.to_string(),
        );
        let mut line = format!(
            "{}  slot {}  {}  {}",
            self.word(unit.state),
            unit.slot,
            printable(&name),
            milliseconds(unit.elapsed_ms)
        );
        if unit.already {
            line.push_str("  it was finished before");
        }
        if unit.late {
            line.push_str("  it was held");
        }
        if let Some(failure) = &unit.error {
            line = format!(
                "{line}\n      {}: {}\n      next: {}",
                failure.code.name(),
                printable(&failure.message),
                printable(&failure.next)
            );
        }
        line
    }

    /// A state as a mark and a word; the colour says nothing that the word doesn't.
    fn word(&self, state: UnitState) -> String {
        let (text, colour) = match state {
            UnitState::InProgress => ("· ....", ""),
            UnitState::Passed => ("✓ PASS", "32"),
            UnitState::Weak => ("~ WEAK", "33"),
            UnitState::Held => ("‖ HELD", "33"),
            UnitState::Failed => ("✗ FAIL", "1;31"),
            UnitState::Quarantined => ("✗ QUARANTINE", "1;31"),
            UnitState::Scrapped => ("✗ SCRAPPED", "1;31"),
        };
        self.colour(text, colour)
    }

    fn check(&self, check: &CheckResult) -> String {
        let mark = match check.state {
            CheckState::Ok => self.colour("✓ ok  ", "32"),
            CheckState::Warn => self.colour("! warn", "33"),
            CheckState::Fail => self.colour("✗ FAIL", "1;31"),
        };
        let line = format!(
            "{mark}  {:<12}  {}",
            check.check,
            printable_lines(&check.found)
        );
        if check.next.is_empty() {
            line
        } else {
            format!("{line}\n        next: {}", printable(&check.next))
        }
    }

    /// Of many checks of one name the first few are told: the rest mostly follows from them.
    fn one_check(&self, state: &mut State<A, W>, check: &CheckResult) {
        let counted = state.checks.entry((check.check.clone(), check.state));
        let count = counted.or_default();
        *count += 1;
        if *count <= CHECKS_MAX {
            let line = self.check(check);
            state.say(&line);
        }
    }

    fn verdict(&self, verdict: &VerdictView) -> String {
        let mut text = format!("{}:\n", verdict.path.display());
        for check in &verdict.checks {
            text += &self.check(check);
            text.push('\n');
        }
        let (word, colour) = if verdict.holds {
            ("✓ HOLDS", "32")
        } else {
            ("✗ DOES NOT HOLD", "1;31")
        };
        let VerdictView {
            what,
            subject,
            result,
            ..
        } = verdict;
        let of = printable(&match (verdict.holds, subject.as_str()) {
            (true, _) => format!("{what} of {subject}: {result}"),
            (false, "") => format!("{what}: {result}"),
            (false, _) => format!("{what} of {subject}, which claims: {result}"),
        });
        text + &format!("{}  {of}\n", self.colour(word, colour))
    }

    fn colour(&self, text: &str, colour: &str) -> String {
        if self.terminal.colours && !colour.is_empty() {
            format!("\u{1b}[{colour}m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }

    fn summary(&self, state: &mut State<A, W>, summary: &Summary) {
        state.progress = None;
        let answer = state.answer.text(self.style);
        let written = state.answers.write_all(answer.as_bytes());
        if written.and_then(|()| state.answers.flush()).is_err() {
            self.stop.request();
        }
        if state.ended_count == 0 {
            return;
        }
        if state.ended_count > 1 {
            let rows: Vec<_> = state.ended.iter().map(row).collect();
            let headings = ["slot", "device id", "serial", "result", "step", "time"];
            state.say(&format!("\n{}", table::table(&headings, &rows).trim_end()));
            if state.ended_count > state.ended.len() {
                let more = state.ended_count - state.ended.len();
                state.say(&format!("and {more} more: `keyline unit list`"));
            }
        }
        state.say(&format!("\n{}", totals(summary)));
    }
}

impl<A: Write, W: Write> State<A, W> {
    /// Says how many checks of each name were not told.
    fn say_untold(&mut self) {
        let counts = std::mem::take(&mut self.checks).into_iter();
        for ((name, _), count) in counts.filter(|(_, count)| *count > CHECKS_MAX) {
            let (name, more) = (printable(&name), count - CHECKS_MAX);
            self.say(&format!(
                "        and {more} more of {name}: --json shows them"
            ));
        }
    }

    /// One or more lines to standard error, above the bars.
    fn say(&mut self, text: &str) {
        let words = &mut self.words;
        // Nobody reads it: nothing can be said about that.
        let mut write = || {
            let _ = writeln!(words, "{text}");
        };
        match &self.progress {
            Some(progress) => progress.suspend(write),
            None => write(),
        }
    }
}

fn row(unit: &UnitEvent) -> Vec<String> {
    vec![
        unit.slot.to_string(),
        unit.device_id
            .map_or_else(String::new, |id| id.0.to_string()),
        unit.serial.clone().unwrap_or_default(),
        unit.state.name().to_uppercase(),
        unit.step.map_or("", |step| step.name()).to_owned(),
        milliseconds(unit.elapsed_ms),
    ]
}

fn milliseconds(milliseconds: u64) -> String {
    if milliseconds < 10_000 {
        format!("{milliseconds} ms")
    } else {
        format!("{}.{} s", milliseconds / 1_000, milliseconds % 1_000 / 100)
    }
}

fn refused_row(row: &RefusedRow) -> String {
    let device = row
        .device_id
        .map_or_else(String::new, |id| format!("  {}", id.0));
    format!(
        "refused  line {}{device}\n      {}: {}\n      next: {}",
        row.line,
        row.code.name(),
        printable(&row.message),
        printable(&row.next)
    )
}

fn totals(summary: &Summary) -> String {
    let mut text = format!(
        "{} {}: {} passed, {} failed, {} held",
        summary.units,
        if summary.units == 1 { "unit" } else { "units" },
        summary.passed,
        summary.failed,
        summary.held
    );
    if summary.weak > 0 {
        text = format!(
            "{text}, {} weak (counted apart: not a full PASS)",
            summary.weak
        );
    }
    format!("{text}; {}", milliseconds(summary.elapsed_ms))
}

impl<A: Write + Send, W: Write + Send> EventSink for HumanSink<A, W> {
    fn emit(&self, event: Event) {
        let mut state = self.lock();
        match event {
            Event::Plan { slots, units } => {
                state.progress = self.terminal.bars.then(|| Progress::new(&slots, units));
            }
            Event::Unit(unit) => self.unit(&mut state, *unit),
            Event::Notice { message } => state.say(&printable_lines(&message)),
            Event::Warning { message, next } => {
                let mark = self.colour("warning:", "33");
                state.say(&format!(
                    "{mark} {}\n  next: {}",
                    printable_lines(&message),
                    printable(&next)
                ));
            }
            Event::RefusedRow(row) => state.say(&refused_row(&row)),
            Event::Check(check) => self.one_check(&mut state, &check),
            Event::Verdict(verdict) => {
                state.say_untold();
                state.say(&self.verdict(&verdict));
            }
            Event::Error { error } => {
                state.progress = None;
                let mark = self.colour("error:", "1;31");
                state.say(&format!(
                    "{mark} {}\n  next: {}",
                    printable_lines(&error.message),
                    printable(&error.next)
                ));
            }
            Event::Summary(summary) => self.summary(&mut state, &summary),
            answer => state.answer.push(answer),
        }
    }
}
