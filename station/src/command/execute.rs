//! Carries out a request on an open home, for this process or for one that came through the socket.

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::act::Act;
use super::{
    CommandError, Request, cloud_key, export, fleet, log_key, provision, read, serial, sync,
};
use crate::app::App;
use crate::event::{Event, EventSink, Summary};
use crate::exit::ExitCode;
use crate::operator::Principal;
use crate::socket::Call;
use crate::stop::Stop;

/// A call that is being carried out. Boxed, so that the compiler proves once, here, that it may move between threads.
pub(super) type Execution = Pin<Box<dyn Future<Output = Summary> + Send>>;

/// Carries out a call. Everything but the summary goes to the sink, an error among it.
pub(super) fn execute(
    app: Arc<App>,
    call: Call,
    sink: Arc<dyn EventSink>,
    stop: Stop,
) -> Execution {
    Box::pin(async move { executed(&app, call, sink, stop).await })
}

async fn executed(app: &Arc<App>, call: Call, sink: Arc<dyn EventSink>, stop: Stop) -> Summary {
    let begun = Instant::now();
    let mut summary = match carry_out(app, call, Arc::clone(&sink), stop).await {
        Ok(summary) => summary,
        Err(error) => failed(&error, sink.as_ref(), begun),
    };
    summary.checkpoint = Some(app.journal().checkpoint().to_string());
    summary.home = Some(app.home().path().to_owned());
    summary
}

/// Tells of an error and gives the summary that it means.
pub(super) fn failed(error: &CommandError, sink: &dyn EventSink, begun: Instant) -> Summary {
    tracing::error!(target: super::log::TOLD, error = %super::chain(error), "the command failed");
    sink.emit(Event::Error {
        error: error.body(),
    });
    Summary::without_units(error.exit_code(), elapsed_ms(begun))
}

/// Since then, in milliseconds.
pub(super) fn elapsed_ms(begun: Instant) -> u64 {
    u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX)
}

async fn carry_out(
    app: &Arc<App>,
    call: Call,
    sink: Arc<dyn EventSink>,
    stop: Stop,
) -> Result<Summary, CommandError> {
    let begun = Instant::now();
    let Some(permission) = call.request.permission() else {
        question(app, &call.request, sink.as_ref()).await?;
        return Ok(Summary::without_units(ExitCode::Success, elapsed_ms(begun)));
    };
    let principal = app
        .authorise(call.token.as_ref(), permission, call.request.name())
        .await?;
    tracing::info!(operator.id = %principal.operator, operator.role = principal.role.name(), request = call.request.name(), "the command begins");
    if let Request::Provision(request) = call.request {
        return provision::run(app, &principal, request, sink, stop).await;
    }
    if let Request::AuditExport(request) = call.request {
        export::run(app, principal, *request, sink, stop).await?;
        return Ok(Summary::without_units(ExitCode::Success, elapsed_ms(begun)));
    }
    if let Request::RegistryImport(request) = call.request {
        return fleet::take_in(app, &principal, *request, sink, stop).await;
    }
    if let Request::RegistryExport(request) = call.request {
        return fleet::hand_out(app, &principal, *request, sink).await;
    }
    if let Request::Sync { wait_s } = call.request {
        return sync::run(app, Duration::from_secs(wait_s), sink, stop).await;
    }
    if let Request::CloudKeyUnits(request) = &call.request
        && let Some(out) = &request.out
    {
        cloud_key::write(app, &principal, request, out, sink.as_ref()).await?;
        return Ok(Summary::without_units(ExitCode::Success, elapsed_ms(begun)));
    }
    if let Request::OrderShip { order, list } = &call.request {
        let act = Act {
            app,
            principal: &principal,
            sink: sink.as_ref(),
        };
        return ship(&act, order, *list, begun).await;
    }
    change(app, &principal, call.request, sink.as_ref()).await?;
    Ok(Summary::without_units(ExitCode::Success, elapsed_ms(begun)))
}

async fn ship(
    act: &Act<'_>,
    order: &str,
    list: bool,
    begun: Instant,
) -> Result<Summary, CommandError> {
    let shipment = act.ship_order(order, list).await?;
    let exit_code = match (shipment.held, shipment.stay) {
        (0, 0) => ExitCode::Success,
        (_, 0) => ExitCode::Held,
        (_, _) => ExitCode::UnitsFailed,
    };
    let mut summary = Summary::without_units(exit_code, elapsed_ms(begun));
    summary.dry_run = list;
    Ok(summary)
}

async fn question(app: &App, request: &Request, sink: &dyn EventSink) -> Result<(), CommandError> {
    match request {
        Request::UnitShow { unit } => {
            let registry = app.registry().await.map_err(CommandError::from);
            serial::show_unit(app.journal(), &registry, unit, sink).await
        }
        Request::AuditKeyList => log_key::list(app.journal(), app.log_keys(), sink).await,
        Request::PinShow { .. }
        | Request::StationList
        | Request::CloudKeyList { .. }
        | Request::CloudKeyUnits(_) => {
            let registry = app.registry().await?;
            read::answer_of_registry(app.journal(), &registry, request, sink).await
        }
        // That there is an answer is the answer.
        Request::Ping => Ok(()),
        request => read::answer(app.journal(), request, sink).await.map(|_| ()),
    }
}

async fn change(
    app: &App,
    principal: &Principal,
    request: Request,
    sink: &dyn EventSink,
) -> Result<(), CommandError> {
    let act = Act {
        app,
        principal,
        sink,
    };
    match request {
        Request::ProductAdd(draft) => act.add_product(*draft).await,
        Request::ProductAddBundle(request) => act.add_signed_product(*request).await,
        Request::AuthorityInstall { note } => act.install_bundle(&note).await,
        Request::AuthorityPublish { note } => act.publish(&note).await,
        Request::AuthorityFetch => act.fetch_bundles().await,
        Request::AuthorityReplaceRoot { note } => act.replace_root(&note).await,
        Request::ProductRetire { product } => act.retire_product(&product).await,
        Request::OrderAdd {
            name,
            product,
            quantity,
            rework,
        } => act.add_order(name, &product, quantity, rework).await,
        Request::OrderClose { order } => act.close_order(&order).await,
        Request::UnitRelease { unit, reason } => act.release_unit(&unit, reason).await,
        Request::UnitScrap {
            unit,
            reason,
            permit,
        } => act.scrap_unit(&unit, reason, &permit).await,
        Request::UnitRework {
            unit,
            reason,
            permit,
        } => act.rework_unit(&unit, reason, &permit).await,
        Request::AuditKeyAdd { key } => act.add_log_key(&key).await,
        Request::AuditKeyRetire {
            key,
            reason,
            permit,
        } => act.retire_log_key(&key, reason, &permit).await,
        Request::ActDraft(draft) => act.draft_act(*draft).await,
        Request::ActCarryOut(order) => act.carry_out_act(*order).await,
        Request::StationEnroll {
            station,
            name,
            certificate,
        } => act.enroll_station(station, name, certificate).await,
        Request::StationRetire {
            station,
            successor,
            reason,
            permit,
        } => {
            act.retire_station(station, successor, &reason, &permit)
                .await
        }
        request => Err(CommandError::Usage {
            message: format!("{} is no change", request.name()),
        }),
    }
}
