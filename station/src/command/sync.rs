//! `keyline sync`: enters what is held in the registry.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::CommandError;
use super::execute::elapsed_ms;
use crate::app::{App, AppError};
use crate::error_text::chain;
use crate::event::{ErrorBody, Event, EventSink, Summary};
use crate::exit::ExitCode;
use crate::journal::Outbox;
use crate::outbox::{Backoff, Report, Synchroniser};
use crate::record::FailureCode;
use crate::registry::Registry;
use crate::stop::Stop;

/// Makes rounds over the outbox until nothing waits, or the registry has been out of reach for `patience`.
pub(super) async fn run(
    app: &Arc<App>,
    patience: Duration,
    sink: Arc<dyn EventSink>,
    stop: Stop,
) -> Result<Summary, CommandError> {
    let begun = Instant::now();
    let waiting = app.journal().outbox().await?;
    if waiting.runs == 0 {
        sink.emit(Event::Notice {
            message: "Nothing is held.".to_owned(),
        });
        return Ok(Summary::without_units(ExitCode::Success, elapsed_ms(begun)));
    }
    tell(&waiting, sink.as_ref());
    let registry = match reach(app, patience, &stop).await? {
        Ok(registry) => registry,
        Err(why) => return out_of_reach(app, &why, &waiting, &sink, &stop, begun).await,
    };
    let synchroniser = Synchroniser::new(app.journal().clone(), registry, Arc::clone(&sink));
    let report = synchroniser
        .run(patience.saturating_sub(begun.elapsed()), &stop)
        .await?;
    ended(&synchroniser, report, sink.as_ref(), &stop, begun).await
}

fn tell(waiting: &Outbox, sink: &dyn EventSink) {
    let since = waiting.since_ms.map_or_else(String::new, |ms| {
        format!(", the oldest since {}", crate::clock::text(ms))
    });
    sink.emit(Event::Notice {
        message: format!("{} units are held{since}.", waiting.units),
    });
    sink.emit(Event::Plan {
        slots: Vec::new(),
        units: Some(waiting.units),
    });
}

/// The registry, tried again while it is out of reach; or why it could not be reached in time.
async fn reach(
    app: &App,
    patience: Duration,
    stop: &Stop,
) -> Result<Result<Registry, String>, CommandError> {
    let begun = Instant::now();
    let mut backoff = Backoff::default();
    loop {
        let error = match app.registry().await {
            Ok(registry) => return Ok(Ok(registry)),
            Err(AppError::Registry(error)) if error.is_temporary() => error,
            Err(error) => return Err(error.into()),
        };
        let left = patience.saturating_sub(begun.elapsed());
        if left.is_zero() || stop.requested() {
            return Ok(Err(chain(&error)));
        }
        tokio::select! {
            () = tokio::time::sleep(backoff.next_wait().min(left)) => {}
            () = stop.wait() => return Ok(Err(chain(&error))),
        }
    }
}

/// The registry was never reached.
async fn out_of_reach(
    app: &App,
    why: &str,
    waiting: &Outbox,
    sink: &Arc<dyn EventSink>,
    stop: &Stop,
    begun: Instant,
) -> Result<Summary, CommandError> {
    crate::outbox::tell_waiting(app.journal(), sink.as_ref(), why).await?;
    let mut summary = Summary::without_units(ExitCode::NotReady, 0);
    summary.units = waiting.units;
    summary.held = waiting.units;
    finish(&mut summary, Some(why), sink.as_ref(), stop, begun);
    Ok(summary)
}

/// Counts what was settled and tells of what waits on.
async fn ended(
    synchroniser: &Synchroniser,
    report: Report,
    sink: &dyn EventSink,
    stop: &Stop,
    begun: Instant,
) -> Result<Summary, CommandError> {
    let mut summary = Summary::without_units(ExitCode::Success, 0);
    for (_, state) in &report.settled {
        summary.count(*state);
    }
    let why = report.away.as_ref().or(report.trouble.as_ref());
    let why = why.map(|why| chain(why));
    let words = why.as_deref().unwrap_or("it was not its turn yet");
    summary.held = crate::outbox::tell_waiting(synchroniser.journal(), sink, words).await?;
    summary.units += summary.held;
    summary.exit_code = if report.settled.is_empty() && why.is_some() {
        ExitCode::NotReady
    } else {
        summary.exit_code_of_counts()
    };
    finish(&mut summary, why.as_deref(), sink, stop, begun);
    Ok(summary)
}

fn finish(
    summary: &mut Summary,
    why: Option<&str>,
    sink: &dyn EventSink,
    stop: &Stop,
    begun: Instant,
) {
    if let Some(why) = why.filter(|_| summary.held > 0) {
        let code = FailureCode::RegistryUnreachable;
        sink.emit(Event::Error {
            error: ErrorBody {
                code: code.name().to_owned(),
                message: format!("{} units are still held: {why}", summary.held),
                next: format!("{} Then run `keyline sync` again.", code.next()),
            },
        });
    }
    if stop.requested() {
        summary.exit_code = ExitCode::Interrupted;
    }
    summary.elapsed_ms = elapsed_ms(begun);
}
