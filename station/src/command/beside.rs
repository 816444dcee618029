//! The outbox beside a line: what the line holds is entered as soon as the registry is back, and counts as what became of it.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use super::CommandError;
use crate::event::{Event, EventSink, Summary};
use crate::exit::ExitCode;
use crate::line::Line;
use crate::outbox::{Background, Report, Synchroniser};
use crate::record::{RunId, UnitState, WhenRegistryUnreachable};
use crate::stop::Stop;

/// Passes a line's events on and remembers the runs that ended held.
pub(super) struct HeldRuns {
    sink: Arc<dyn EventSink>,
    runs: Mutex<HashSet<RunId>>,
}

impl HeldRuns {
    pub(super) fn new(sink: Arc<dyn EventSink>) -> Self {
        Self {
            sink,
            runs: Mutex::default(),
        }
    }

    /// Counts what was settled of these runs as what became of them.
    fn correct(&self, report: &Report, summary: &mut Summary) {
        let runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        for (_, state) in report.settled.iter().filter(|(run, _)| runs.contains(run)) {
            if *state != UnitState::Held && summary.held > 0 {
                summary.held -= 1;
                summary.units -= 1;
                summary.count(*state);
            }
        }
        let by_counts = matches!(
            summary.exit_code,
            ExitCode::Success | ExitCode::UnitsFailed | ExitCode::Held
        );
        if by_counts {
            summary.exit_code = summary.exit_code_of_counts();
        }
    }
}

impl EventSink for HeldRuns {
    fn emit(&self, event: Event) {
        if let Event::Unit(unit) = &event
            && let (UnitState::Held, Some(run)) = (unit.state, unit.run)
        {
            let mut runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
            runs.insert(run);
        }
        self.sink.emit(event);
    }
}

/// Works on the outbox while a line runs whose product holds units.
pub(super) struct Beside {
    background: Option<Background>,
    held: Arc<HeldRuns>,
}

impl Beside {
    /// Must be called inside the runtime, before the line is driven.
    pub(super) fn start(line: &Line, held: Arc<HeldRuns>, sink: Arc<dyn EventSink>) -> Self {
        let holds = line.product.when_registry_unreachable == WhenRegistryUnreachable::Hold;
        let synchroniser = || Synchroniser::new(line.journal.clone(), line.registry.clone(), sink);
        Self {
            background: holds.then(|| Background::start(synchroniser())),
            held,
        }
    }

    /// Makes a last round and corrects the summary. What was settled counts, also where the last round fails: the next one finds it.
    pub(super) async fn end(
        self,
        driven: Result<Summary, CommandError>,
        stop: &Stop,
    ) -> Result<Summary, CommandError> {
        let Some(background) = self.background else {
            return driven;
        };
        let ended = background.end(stop).await;
        let mut summary = driven?;
        match ended {
            Ok(report) => self.held.correct(&report, &mut summary),
            Err(error) => {
                tracing::error!(outbox.error = %super::chain(&error), "what is held could not be entered at the line's end");
            }
        }
        Ok(summary)
    }
}
