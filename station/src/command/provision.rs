//! `keyline provision`: from a request to a line over slots.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use keyline_protocol::identity::KeyPolicy;
use sha2::{Digest as _, Sha256};

use super::beside::{Beside, HeldRuns};
use super::execute::elapsed_ms;
use super::read::order_named;
use super::{CommandError, ProvisionRequest, lower};
use crate::app::{App, SlotGuard};
use crate::event::{Event, EventSink, Summary};
use crate::exit::ExitCode;
use crate::home::{LinkSelector, SlotConfig};
use crate::journal::Idempotency;
use crate::line::{self, BenchSource, Line, LineParts, Slot, UnitSource};
use crate::link::{AgentImage, ProbeTarget, SerialTarget, Target};
use crate::operator::Principal;
use crate::record::{Failure, FailureCode, Order, OrderState, Product};
use crate::stop::Stop;

/// The most events that are stored under an idempotency key: the ends of so many units.
const STORED_EVENTS_MAX: usize = 10_000;

/// Provisions units, or gives the stored result of a request that was carried out before.
pub(super) async fn run(
    app: &Arc<App>,
    principal: &Principal,
    request: ProvisionRequest,
    sink: Arc<dyn EventSink>,
    stop: Stop,
) -> Result<Summary, CommandError> {
    let request = lower::provision(request)?;
    let Some(key) = request.idempotency_key.clone().filter(|_| !request.dry_run) else {
        return conduct(app, principal, &request, sink, stop).await;
    };
    let text = serde_json::to_vec(&request).map_err(|source| CommandError::System {
        doing: "write down its request",
        source: source.into(),
    })?;
    match app
        .journal()
        .idempotency_begin(&key, Sha256::digest(&text).into())
        .await?
    {
        Idempotency::Stored(stored) => replay(&key, &stored, sink.as_ref()),
        Idempotency::Different => Err(CommandError::Usage {
            message: format!(
                "expected the request that was made before with the idempotency key {key:?}, got another: use a new key"
            ),
        }),
        Idempotency::New => {
            let recording = Arc::new(Recording::new(sink));
            let recorded: Arc<dyn EventSink> = recording.clone();
            let summary = conduct(app, principal, &request, recorded, stop).await?;
            // What was cut short is carried out again by whoever asks again.
            if matches!(
                summary.exit_code,
                ExitCode::Success | ExitCode::UnitsFailed | ExitCode::Held
            ) {
                let stored = recording.finish(&summary)?;
                app.journal().idempotency_finish(&key, &stored).await?;
            }
            Ok(summary)
        }
    }
}

/// What is stored under an idempotency key.
#[derive(serde::Serialize, serde::Deserialize)]
struct Stored {
    events: Vec<Event>,
    summary: Summary,
}

/// Passes events on and keeps the ends of units.
struct Recording {
    sink: Arc<dyn EventSink>,
    events: Mutex<Vec<Event>>,
}

impl Recording {
    const fn new(sink: Arc<dyn EventSink>) -> Self {
        Self {
            sink,
            events: Mutex::new(Vec::new()),
        }
    }

    fn finish(&self, summary: &Summary) -> Result<String, CommandError> {
        let stored = Stored {
            events: std::mem::take(
                &mut *self.events.lock().unwrap_or_else(PoisonError::into_inner),
            ),
            summary: summary.clone(),
        };
        serde_json::to_string(&stored).map_err(stored_damaged)
    }
}

impl EventSink for Recording {
    fn emit(&self, event: Event) {
        if matches!(&event, Event::Unit(unit) if unit.ended()) {
            let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
            if events.len() < STORED_EVENTS_MAX {
                events.push(event.clone());
            }
        }
        self.sink.emit(event);
    }
}

fn stored_damaged(source: serde_json::Error) -> CommandError {
    CommandError::System {
        doing: "read or write a stored result",
        source: source.into(),
    }
}

fn replay(key: &str, stored: &str, sink: &dyn EventSink) -> Result<Summary, CommandError> {
    let stored: Stored = serde_json::from_str(stored).map_err(stored_damaged)?;
    sink.emit(Event::Notice {
        message: format!(
            "This was done before with the idempotency key {key:?}: here is its result."
        ),
    });
    for mut event in stored.events {
        // No unit was touched this time: whoever reads only this line must see that.
        if let Event::Unit(unit) = &mut event {
            unit.already = true;
        }
        sink.emit(event);
    }
    Ok(stored.summary)
}

async fn conduct(
    app: &Arc<App>,
    principal: &Principal,
    request: &ProvisionRequest,
    sink: Arc<dyn EventSink>,
    stop: Stop,
) -> Result<Summary, CommandError> {
    let order = order_named(app.journal(), &request.order).await?;
    let configured = chosen_slots(app, &request.slots)?;
    if request.serial.is_some() && configured.len() > 1 {
        return Err(CommandError::Usage {
            message: format!(
                "expected --slot with --serial on a station of {} slots: the unit that was scanned is in one of them",
                configured.len()
            ),
        });
    }
    let numbers: Vec<u16> = configured.iter().map(|slot| slot.number).collect();
    let guard = take_slots(app, &numbers)?;
    let held = Arc::new(HeldRuns::new(Arc::clone(&sink)));
    let told: Arc<dyn EventSink> = held.clone();
    let line = line_of(app, principal, order, told, stop.clone()).await?;
    let slots = configured
        .into_iter()
        .map(|slot| bench_slot(slot, &line, request.serial.clone()))
        .collect();
    let runs_max = match (&request.serial, request.count) {
        (Some(_), _) => 1,
        (None, Some(count)) => count,
        (None, None) => u32::try_from(numbers.len()).unwrap_or(u32::MAX),
    };
    if request.dry_run {
        return dry_run(line, slots, guard, &sink).await;
    }
    super::run::warn_of_interrupted(&app.conclude_after_outage().await?, sink.as_ref());
    super::cloud_key::tell_builds(app, &line.registry, &principal.operator, sink.as_ref()).await?;
    let beside = Beside::start(&line, held, Arc::clone(&sink));
    let driven = drive(line, slots, runs_max, request.failures_max, guard, &sink).await;
    beside.end(driven, &stop).await
}

/// The slots that take part: those that were named, else all in the configuration.
fn chosen_slots(app: &App, wanted: &[u16]) -> Result<Vec<SlotConfig>, CommandError> {
    let config = app.home().config();
    if config.slots.is_empty() {
        return Err(CommandError::NotReady {
            message: "expected at least one slot in the configuration, found none".to_owned(),
            next: format!(
                "Add a [[slot]] with its number and link to {}.",
                app.home().path().join(crate::home::CONFIG_FILE).display()
            ),
        });
    }
    if wanted.is_empty() {
        return Ok(config.slots.clone());
    }
    wanted
        .iter()
        .map(|number| {
            config.slot(*number).cloned().ok_or_else(|| {
                let known: Vec<_> = config
                    .slots
                    .iter()
                    .map(|slot| slot.number.to_string())
                    .collect();
                CommandError::Usage {
                    message: format!(
                        "expected one of the slots {}, got {number}",
                        known.join(", ")
                    ),
                }
            })
        })
        .collect()
}

/// Takes the slots for this command alone.
pub(super) fn take_slots(app: &App, numbers: &[u16]) -> Result<SlotGuard, CommandError> {
    app.busy_slots()
        .take(numbers)
        .map_err(|slot| CommandError::NotReady {
            message: format!("slot {slot} is in use by another command on this station"),
            next: "Wait until that command has ended, or choose other slots with --slot."
                .to_owned(),
        })
}

/// A line for an order that is open and has places left.
pub(super) async fn line_of(
    app: &Arc<App>,
    principal: &Principal,
    order: Order,
    sink: Arc<dyn EventSink>,
    stop: Stop,
) -> Result<Line, CommandError> {
    if order.state == OrderState::Closed {
        return Err(CommandError::Order(Failure::new(
            FailureCode::OrderClosed,
            format!(
                "expected an open work order, order {} is closed",
                order.name
            ),
        )));
    }
    let counts = app
        .journal()
        .order_counts(order.id)
        .await?
        .unwrap_or_default();
    let places = order.quantity.saturating_sub(counts.finished());
    if places == 0 {
        return Err(CommandError::Order(Failure::new(
            FailureCode::OrderFilled,
            format!(
                "order {} is for {} units, and all of them are finished",
                order.name, order.quantity
            ),
        )));
    }
    let product = app
        .journal()
        .product(order.product)
        .await?
        .ok_or_else(|| super::read::unknown("product", &order.product.to_string()))?;
    let image = image_of(&order, &product)?;
    keep_keys(app, &product, sink.as_ref())?;
    Ok(Line::new(LineParts {
        journal: app.journal().clone(),
        registry: app.registry().await?,
        runtime: tokio::runtime::Handle::current(),
        station: app.home().station(),
        operator: principal.operator.clone(),
        product,
        order,
        places,
        image,
        failures_before_quarantine: app.home().config().line.failures_max,
        keys: app.keys().clone(),
        events: sink,
        stop,
    }))
}

/// The agent that the order fixed when it was added: an upgrade of the station does not change an open order.
fn image_of(order: &Order, product: &Product) -> Result<AgentImage, CommandError> {
    let image = AgentImage::for_platform(product.platform)?;
    let simulated = AgentImage::simulated(product.platform);
    for known in [&image, &simulated] {
        if known.digest == order.agent_digest {
            return Ok(known.clone());
        }
    }
    Err(CommandError::NotReady {
        message: format!(
            "expected the agent {} that order {} fixed, this station brings {}",
            hex::encode(order.agent_digest),
            order.name,
            hex::encode(image.digest)
        ),
        next: "Finish the order with the version of the station that it was added with, or close it and add another.".to_owned(),
    })
}

/// Has station-made keys wait before the first unit needs one.
fn keep_keys(app: &App, product: &Product, sink: &dyn EventSink) -> Result<(), CommandError> {
    if product.key_policy != KeyPolicy::Station {
        return Ok(());
    }
    if !app.keys().locked() {
        sink.emit(Event::Warning {
            message: "the system's limit keeps station-made keys from being locked in memory: they could be swapped out".to_owned(),
            next: "Raise the limit of locked memory to 4 MiB (`ulimit -l 4096`).".to_owned(),
        });
    }
    let level = app.home().config().key_pool.level(product.algorithm);
    app.keys()
        .keep(product.algorithm, level)
        .map_err(|error| CommandError::App(error.into()))
}

fn bench_slot(config: SlotConfig, line: &Line, serial: Option<String>) -> Slot {
    let make_target: Box<dyn FnMut() -> Box<dyn Target> + Send> = match config.link {
        LinkSelector::Sim => {
            return Slot {
                number: config.number,
                source: crate::demo::simulated(&line.image, &line.product, serial),
            };
        }
        LinkSelector::Probe(selector) => Box::new(move || Box::new(ProbeTarget::new(&selector))),
        LinkSelector::Serial(path) => {
            let path = path.display().to_string();
            Box::new(move || Box::new(SerialTarget::new(path.clone())))
        }
    };
    let source: Box<dyn UnitSource> =
        Box::new(BenchSource::new(make_target, line.image.platform, serial));
    Slot {
        number: config.number,
        source,
    }
}

async fn dry_run(
    line: Line,
    slots: Vec<Slot>,
    guard: SlotGuard,
    sink: &Arc<dyn EventSink>,
) -> Result<Summary, CommandError> {
    let begun = Instant::now();
    let count = slots.len();
    blocking(move || {
        let looked = line::dry_run(&line, slots);
        drop(guard);
        looked
    })
    .await??;
    sink.emit(Event::Notice {
        message: format!(
            "Ready: {count} slots, order, agent, journal and registry. Nothing was written."
        ),
    });
    let mut summary = Summary::without_units(ExitCode::Success, elapsed_ms(begun));
    summary.dry_run = true;
    Ok(summary)
}

/// Runs the line to its end; what stopped it is told, and what it did until then is counted all the same.
pub(super) async fn drive(
    line: Line,
    slots: Vec<Slot>,
    runs_max: u32,
    failures_max: Option<u32>,
    guard: SlotGuard,
    sink: &Arc<dyn EventSink>,
) -> Result<Summary, CommandError> {
    let (summary, result) = blocking(move || {
        let done = line::provision(&line, slots, runs_max, failures_max);
        drop(guard);
        done
    })
    .await?;
    if let Err(error) = result {
        sink.emit(Event::Error {
            error: CommandError::from(error).body(),
        });
    }
    Ok(summary)
}

/// A line blocks; the runtime's own threads must not.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, CommandError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| CommandError::System {
            doing: "keep its line running",
            source: std::io::Error::other(error),
        })
}
