//! Questions: what the station knows. They need the journal for reading only, so they can be asked while another process owns the home.

use std::path::Path;

use super::ship::shipped_before;
use super::{CommandError, Name, Request, act, cloud_key, log_key, serial, station};
use crate::event::{Event, EventSink, OrderView, ProductView, RunView, StepView, UnitView};
use crate::home::Config;
use crate::journal::{JournalReader, Unit, UnitFilter};
use crate::record::{Change, DeviceIdText, Order, Product, UnitState};
use crate::registry::Registry;

/// Answers a question of the journal; `false` where the request is none.
pub(super) async fn answer(
    journal: &JournalReader,
    request: &Request,
    sink: &dyn EventSink,
) -> Result<bool, CommandError> {
    match request {
        Request::ProductList { all } => {
            for product in journal.products().await? {
                if *all || product.retired_at_ms.is_none() {
                    sink.emit(Event::Product(Box::new(ProductView::from(&product))));
                }
            }
        }
        Request::ProductShow { product } => {
            let product = product_named(journal, product).await?;
            sink.emit(Event::Product(Box::new(ProductView::from(&product))));
        }
        Request::OrderList { state } => {
            for order in journal.orders().await? {
                if state.is_none_or(|wanted| wanted == order.state) {
                    sink.emit(order_event(journal, order, None).await?);
                }
            }
        }
        Request::OrderShow { order } => {
            let order = order_named(journal, order).await?;
            let shipped = shipped_before(journal, order.id).await?.len() as u64;
            sink.emit(order_event(journal, order, Some(shipped)).await?);
        }
        Request::UnitList {
            order,
            state,
            limit,
        } => list_units(journal, order.as_deref(), *state, *limit, sink).await?,
        _ => return Ok(false),
    }
    Ok(true)
}

/// Answers a question from a home's stores as they are, without owning it: one that somebody else owns, or that may not be written to
/// any more. Where the log's keys are kept is not looked for.
pub(super) async fn answer_beside(
    home: &Path,
    config: &Config,
    request: &Request,
    sink: &dyn EventSink,
) -> Result<(), CommandError> {
    let journal = JournalReader::open(&home.join(&config.journal.path)).await?;
    match request {
        Request::PinShow { .. }
        | Request::StationList
        | Request::CloudKeyList { .. }
        | Request::CloudKeyUnits(_) => {
            let registry = Registry::open(config.registry.address(home)?).await?;
            let shown = answer_of_registry(&journal, &registry, request, sink).await;
            registry.close().await;
            shown
        }
        Request::UnitShow { unit } => {
            let registry = serial::reach(home, config).await;
            let shown = serial::show_unit(&journal, &registry, unit, sink).await;
            if let Ok(registry) = registry {
                registry.close().await;
            }
            shown
        }
        Request::AuditKeyList => log_key::list(&journal, &[], sink).await,
        request => answer(&journal, request, sink).await.map(|_| ()),
    }
}

/// Answers a question of the registry.
pub(super) async fn answer_of_registry(
    journal: &JournalReader,
    registry: &Registry,
    request: &Request,
    sink: &dyn EventSink,
) -> Result<(), CommandError> {
    match request {
        Request::PinShow { unit } => act::show_pin(journal, registry, unit, sink).await,
        Request::StationList => station::list(registry, sink).await,
        Request::CloudKeyList { product } => {
            let product = product.as_ref().map(Name::as_str);
            cloud_key::list(registry, product, sink).await
        }
        Request::CloudKeyUnits(wanted) => cloud_key::units(journal, registry, wanted, sink).await,
        request => answer(journal, request, sink).await.map(|_| ()),
    }
}

/// The product of this name that is not retired, or of this id.
pub(super) async fn product_named(
    journal: &JournalReader,
    name: &str,
) -> Result<Product, CommandError> {
    if let Some(product) = journal.product_by_name(name).await? {
        return Ok(product);
    }
    if let Ok(id) = name.parse()
        && let Some(product) = journal.product(id).await?
    {
        return Ok(product);
    }
    Err(unknown("product", name))
}

/// The order of this name or id.
pub(super) async fn order_named(
    journal: &JournalReader,
    name: &str,
) -> Result<Order, CommandError> {
    if let Some(order) = journal.order_by_name(name).await? {
        return Ok(order);
    }
    if let Ok(id) = name.parse()
        && let Some(order) = journal.order(id).await?
    {
        return Ok(order);
    }
    Err(unknown("order", name))
}

/// The unit of this device id or serial.
pub(super) async fn unit_named(journal: &JournalReader, name: &str) -> Result<Unit, CommandError> {
    if let Ok(device_id) = DeviceIdText::try_from(name.to_owned())
        && let Some(unit) = journal.unit(device_id).await?
    {
        return Ok(unit);
    }
    let mut units = journal.units_by_serial(name).await?;
    match (units.pop(), units.len()) {
        (Some(unit), 0) => Ok(unit),
        (Some(_), others) => Err(CommandError::Ambiguous {
            serial: name.to_owned(),
            count: others + 1,
        }),
        (None, _) => Err(unknown("unit", name)),
    }
}

pub(super) fn unknown(what: &'static str, name: &str) -> CommandError {
    CommandError::Unknown {
        what,
        name: name.escape_debug().to_string(),
    }
}

async fn order_event(
    journal: &JournalReader,
    order: Order,
    shipped: Option<u64>,
) -> Result<Event, CommandError> {
    let counts = journal.order_counts(order.id).await?.unwrap_or_default();
    let product = journal.product(order.product).await?;
    Ok(Event::Order(Box::new(OrderView {
        product_name: product.map(|product| product.name).unwrap_or_default(),
        passed: counts.passed.into(),
        weak: counts.weak.into(),
        held: counts.held.into(),
        failed: u64::from(counts.failed) + u64::from(counts.failed_unidentified),
        shipped,
        order,
    })))
}

/// How many units are read at once: a long list must not fill the memory.
const PAGE: u32 = 1_000;

async fn list_units(
    journal: &JournalReader,
    order: Option<&str>,
    state: Option<UnitState>,
    limit: u32,
    sink: &dyn EventSink,
) -> Result<(), CommandError> {
    let order = match order {
        Some(name) => Some(order_named(journal, name).await?.id),
        None => None,
    };
    let mut filter = UnitFilter {
        order,
        state,
        after: None,
    };
    let waiting = journal.outbox().await?;
    if waiting.units > 0 {
        sink.emit(Event::Notice {
            message: format!(
                "{} units of this station are held; `keyline sync` enters them.",
                waiting.units
            ),
        });
    }
    let mut left = limit;
    while left > 0 {
        let units = journal.units(&filter, left.min(PAGE)).await?;
        let Some(last) = units.last() else {
            return Ok(());
        };
        filter.after = Some(last.device_id);
        left = left.saturating_sub(u32::try_from(units.len()).unwrap_or(u32::MAX));
        for unit in units {
            sink.emit(Event::UnitRecord(Box::new(unit_view(journal, unit).await?)));
        }
    }
    if !journal.units(&filter, 1).await?.is_empty() {
        sink.emit(Event::Notice {
            message: format!(
                "There are more than {limit} units: give --limit, --order or --state."
            ),
        });
    }
    Ok(())
}

/// A unit as a list shows it; why it failed is looked up only where it did.
async fn unit_view(journal: &JournalReader, unit: Unit) -> Result<UnitView, CommandError> {
    let troubled = matches!(unit.state, UnitState::Failed | UnitState::Quarantined);
    let failure = match unit.last_run.filter(|_| troubled) {
        Some(run) => journal.run(run).await?.and_then(|run| run.failure),
        None => None,
    };
    let order_name = match unit.order {
        Some(id) => journal.order(id).await?.map(|order| order.name),
        None => None,
    };
    Ok(UnitView {
        device_id: unit.device_id,
        serial: unit.serial,
        state: unit.state,
        order: unit.order,
        order_name,
        failure,
        shipped_at: None,
        last_run: None,
    })
}

/// A unit with its last run, and whether it left the building.
pub(super) async fn unit_detail(
    journal: &JournalReader,
    unit: Unit,
) -> Result<UnitView, CommandError> {
    let last_run = match unit.last_run {
        Some(id) => journal.run(id).await?,
        None => None,
    };
    let device_id = unit.device_id;
    let mut view = unit_view(journal, unit).await?;
    for entry in journal.station_entries(&["order-shipped"]).await? {
        if let Ok(Change::OrderShipped { device_ids, .. }) = serde_json::from_str(&entry.body)
            && device_ids.contains(&device_id)
        {
            view.shipped_at = Some(entry.index);
        }
    }
    if let Some(run) = last_run {
        let steps = journal.steps_of(run.id).await?.into_iter();
        let steps = steps.map(|step| StepView {
            step: step.step,
            phase: step.phase,
            at_ms: step.at_ms,
            evidence: step.evidence,
        });
        view.last_run = Some(RunView::new(&run, steps.collect()));
    }
    Ok(view)
}
