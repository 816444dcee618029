//! Rounds over the outbox.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::task::{JoinError, JoinSet};

use super::settle::{self, Dealt, Outcome};
use super::{Backoff, OutboxError, RegistryTrouble, ask};
use crate::event::{Event, EventSink, UnitEvent};
use crate::journal::{Journal, JournalError, JournalReader, WaitingRun};
use crate::record::{DeviceIdText, Failure, FailureCode, Run, RunId, Step, UnitState};
use crate::registry::Registry;
use crate::stop::Stop;

/// How many units are on their way at once at most: as many as the registry takes into one transaction.
const IN_FLIGHT_MAX: usize = 512;

/// How many units a round begins with; each that arrives lets one more go along. Over a link that is cut again and again a large
/// transaction would never arrive. After a round without a success the next one begins with half as many.
const IN_FLIGHT_FIRST: usize = 8;

/// How many runs are read at once: a long outbox must not fill the memory.
const PAGE: u32 = 4_096;

/// What became of the outbox.
#[derive(Debug, Default)]
pub struct Report {
    /// The units that were dealt with, by the last of their runs, with the state that they have now.
    pub settled: Vec<(RunId, UnitState)>,
    /// Why the last round ended early: the registry is out of reach.
    pub away: Option<RegistryTrouble>,
    /// The last trouble that the registry had with single units; they wait on.
    pub trouble: Option<RegistryTrouble>,
}

/// Takes what is held to the registry.
#[derive(Clone)]
pub struct Synchroniser {
    journal: Journal,
    registry: Registry,
    sink: Arc<dyn EventSink>,
}

/// What became of one round.
#[derive(Default)]
struct Round {
    settled: Vec<(RunId, UnitState)>,
    away: Option<RegistryTrouble>,
    trouble: Option<RegistryTrouble>,
}

/// The units on their way, and whether one of them found the link down.
struct Flight {
    tasks: JoinSet<Result<Vec<Dealt>, JournalError>>,
    link_down: Arc<AtomicBool>,
}

impl Synchroniser {
    /// From this journal to this registry; each unit is told to the sink once its leaf is on disk.
    #[must_use]
    pub fn new(journal: Journal, registry: Registry, sink: Arc<dyn EventSink>) -> Self {
        Self {
            journal,
            registry,
            sink,
        }
    }

    /// The journal whose outbox it is.
    #[must_use]
    pub const fn journal(&self) -> &Journal {
        &self.journal
    }

    /// Makes rounds until nothing waits, somebody asks to stop, or the registry has been out of reach for `patience` since a unit was
    /// last settled. With no patience it makes one round.
    ///
    /// # Errors
    /// [`OutboxError`] where the journal fails. What was settled before is on disk.
    pub async fn run(&self, patience: Duration, stop: &Stop) -> Result<Report, OutboxError> {
        let mut report = Report::default();
        let mut backoff = Backoff::default();
        let mut settled_at = Instant::now();
        let mut passed_over = HashSet::new();
        let mut first = IN_FLIGHT_FIRST;
        loop {
            let round = self.round(&mut passed_over, first, stop).await?;
            if round.settled.is_empty() {
                first = (first / 2).max(1);
            } else {
                first = IN_FLIGHT_FIRST;
                backoff.reset();
                settled_at = Instant::now();
            }
            report.settled.extend(round.settled);
            report.trouble = round.trouble.or(report.trouble);
            report.away = round.away;
            let Some(away) = &report.away else { break };
            let left = patience.saturating_sub(settled_at.elapsed());
            if left.is_zero() || stop.requested() {
                break;
            }
            let wait = backoff.next_wait().min(left);
            tracing::info!(outbox.wait_ms = wait.as_millis(), registry.error = %away, "the registry is out of reach; it is asked again");
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = stop.wait() => break,
            }
        }
        Ok(report)
    }

    /// Goes through the outbox once, in its order, until the link turns out to be down. Units that the registry has trouble with are
    /// passed over from then on.
    async fn round(
        &self,
        passed_over: &mut HashSet<DeviceIdText>,
        first: usize,
        stop: &Stop,
    ) -> Result<Round, OutboxError> {
        let mut round = Round::default();
        let mut after = None;
        loop {
            let page = self.journal.waiting_runs(after, PAGE).await?;
            let Some(last) = page.last() else { break };
            if after.is_none()
                && let Err(trouble) = ask(self.registry.ping())
                    .await
                    .and_then(|answer| Ok(answer?))
            {
                round.away = Some(trouble);
                break;
            }
            after = Some(last.leaf);
            let mut flight = Flight {
                tasks: JoinSet::new(),
                link_down: Arc::new(AtomicBool::new(false)),
            };
            for runs in by_unit(page, passed_over) {
                if flight.is_over(stop) {
                    break;
                }
                let window = (first + round.settled.len()).min(IN_FLIGHT_MAX);
                if flight.tasks.len() >= window
                    && let Some(landed) = flight.tasks.join_next().await
                {
                    self.land(landed, &mut round, passed_over).await?;
                }
                self.start(&mut flight, runs);
            }
            while let Some(landed) = flight.tasks.join_next().await {
                self.land(landed, &mut round, passed_over).await?;
            }
            if flight.is_over(stop) {
                break;
            }
        }
        Ok(round)
    }

    /// Sends a unit on its way.
    fn start(&self, flight: &mut Flight, runs: Vec<WaitingRun>) {
        let (journal, registry) = (self.journal.clone(), self.registry.clone());
        let link_down = Arc::clone(&flight.link_down);
        flight.tasks.spawn(async move {
            let dealt = settle::unit(&journal, &registry, runs).await?;
            if dealt.iter().any(Dealt::link_is_down) {
                link_down.store(true, Ordering::SeqCst);
            }
            Ok(dealt)
        });
    }

    /// A unit is back: counts and tells it.
    async fn land(
        &self,
        landed: Result<Result<Vec<Dealt>, JournalError>, JoinError>,
        round: &mut Round,
        passed_over: &mut HashSet<DeviceIdText>,
    ) -> Result<(), OutboxError> {
        let mut dealt = landed.map_err(OutboxError::Lost)??;
        let Some(last) = dealt.pop() else {
            return Ok(());
        };
        let is_down = last.link_is_down();
        match last.outcome {
            Outcome::Elsewhere => {}
            Outcome::Waits(trouble) if is_down => round.away = Some(trouble),
            Outcome::Waits(trouble) => {
                tracing::warn!(unit = %last.waiting.device_id.0, registry.error = %crate::error_text::chain(&trouble), "the registry has trouble with a held unit; it waits on");
                passed_over.insert(last.waiting.device_id);
                round.trouble = Some(trouble);
            }
            Outcome::Released | Outcome::Refused(_) => {
                let known = self.journal.unit(last.waiting.device_id).await?;
                // A run that began meanwhile tells for itself how it ends.
                let state = known.map_or(UnitState::Failed, |unit| unit.state);
                round.settled.push((last.waiting.run, state));
                self.tell(last, state);
            }
        }
        Ok(())
    }

    fn tell(&self, dealt: Dealt, state: UnitState) {
        let Dealt {
            waiting,
            run,
            outcome,
        } = dealt;
        let error = match outcome {
            Outcome::Refused(failure) => Some(failure),
            _ => None,
        };
        let event = unit_event(&waiting, run.as_ref(), state, error);
        self.sink.emit(Event::Unit(Box::new(event)));
    }
}

/// Tells of every unit that waits on, and gives how many there are.
///
/// # Errors
/// [`OutboxError`] where the journal can't be read.
pub async fn tell_waiting(
    journal: &JournalReader,
    sink: &dyn EventSink,
    why: &str,
) -> Result<u64, OutboxError> {
    let mut units = HashSet::new();
    let mut after = None;
    loop {
        let page = journal.waiting_runs(after, PAGE).await?;
        let Some(last) = page.last() else {
            return Ok(units.len() as u64);
        };
        after = Some(last.leaf);
        for waiting in page {
            if units.insert(waiting.device_id) {
                let failure = Failure::new(FailureCode::RegistryUnreachable, why);
                let run = journal.run(waiting.run).await?;
                let event = unit_event(&waiting, run.as_ref(), UnitState::Held, Some(failure));
                sink.emit(Event::Unit(Box::new(event)));
            }
        }
    }
}

impl Dealt {
    /// The registry could not be asked at all.
    fn link_is_down(&self) -> bool {
        match &self.outcome {
            Outcome::Waits(RegistryTrouble::Registry(error)) => error.is_temporary(),
            Outcome::Waits(RegistryTrouble::Silent(_)) => true,
            _ => false,
        }
    }
}

impl Flight {
    /// No further unit is sent on its way.
    fn is_over(&self, stop: &Stop) -> bool {
        self.link_down.load(Ordering::SeqCst) || stop.requested()
    }
}

/// The runs of a page, unit by unit: the units in the order of their first run, the runs of each in theirs.
fn by_unit(page: Vec<WaitingRun>, passed_over: &HashSet<DeviceIdText>) -> Vec<Vec<WaitingRun>> {
    let mut units: Vec<Vec<WaitingRun>> = Vec::new();
    let mut places: HashMap<DeviceIdText, usize> = HashMap::new();
    for waiting in page {
        if passed_over.contains(&waiting.device_id) {
            continue;
        }
        let place = *places.entry(waiting.device_id).or_insert(units.len());
        match units.get_mut(place) {
            Some(runs) => runs.push(waiting),
            None => units.push(vec![waiting]),
        }
    }
    units
}

fn unit_event(
    waiting: &WaitingRun,
    run: Option<&Run>,
    state: UnitState,
    error: Option<Failure>,
) -> UnitEvent {
    let began = run.map(|run| run.started_at_ms);
    UnitEvent {
        run: Some(waiting.run),
        order: run.map(|run| run.order),
        device_id: Some(waiting.device_id),
        serial: run.and_then(|run| run.serial.clone()),
        slot: run.map_or(0, |run| run.slot),
        step: if matches!(state, UnitState::Passed | UnitState::Weak) {
            Some(Step::Pinned)
        } else {
            run.and_then(|run| run.reached)
        },
        state,
        already: false,
        late: state != UnitState::Held,
        elapsed_ms: began.map_or(0, |began| crate::clock::wall_ms().saturating_sub(began)),
        error,
    }
}
