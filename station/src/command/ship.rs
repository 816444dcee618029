//! `keyline order ship`: which units of an order may leave the building, and that they did.
//!
//! A unit ships that has passed, whose pin the registry has acknowledged, and whose leaves a checkpoint covers that enough witnesses have
//! cosigned: from then on nobody can take back what the log says of it.

use std::collections::HashSet;

use super::CommandError;
use super::act::Act;
use super::read::order_named;
use crate::event::{Event, ShipmentView};
use crate::journal::{JournalReader, Unit, UnitFilter};
use crate::record::{Change, DeviceIdText, OrderId, RunId, UnitState};

/// How many units are read at once, and named in one leaf.
const UNITS_PER_LEAF: u32 = 1_000;

/// How many units of an order leave, and how many stay.
#[derive(Default)]
pub(super) struct Shipment {
    leaves: usize,
    /// Those that are held.
    pub(super) held: usize,
    /// Those that stay for any other reason.
    pub(super) stay: usize,
}

impl Act<'_> {
    /// Ships what may be shipped of an order and says of the rest why not. A unit is told to leave only after its leaf is on disk. With
    /// `list` it only says so: nothing is written, and no witness is asked.
    pub(super) async fn ship_order(
        &self,
        name: &str,
        list: bool,
    ) -> Result<Shipment, CommandError> {
        let journal = self.app.journal();
        let order = order_named(journal, name).await?;
        let witnessed_size = if list {
            self.app.witnessed_size().await?.unwrap_or(0)
        } else {
            self.witnessed_size().await?
        };
        let shipped = shipped_before(journal, order.id).await?;
        let mut shipment = Shipment::default();
        let mut filter = UnitFilter {
            order: Some(order.id),
            ..UnitFilter::default()
        };
        loop {
            let page = journal.units(&filter, UNITS_PER_LEAF).await?;
            let Some(last) = page.last() else { break };
            filter.after = Some(last.device_id);
            let mut views = Vec::with_capacity(page.len());
            for unit in page {
                if !shipped.contains(&unit.device_id) {
                    let why = why_not(journal, &unit, witnessed_size).await?;
                    shipment.count(unit.state, why.is_some());
                    views.push(view(unit, why));
                }
            }
            let ships = views.iter().filter(|view| view.ships);
            let device_ids: Vec<_> = ships.map(|view| view.device_id).collect();
            if !device_ids.is_empty() && !list {
                let shipped = Change::OrderShipped {
                    order: order.id,
                    device_ids,
                    witnessed_size,
                    operator: self.principal.operator.clone(),
                };
                journal.commit(vec![shipped]).await?;
            }
            for view in views {
                self.sink.emit(Event::Shipment(Box::new(view)));
            }
        }
        self.sink.emit(Event::Notice {
            message: format!(
                "{} units of {} may leave the building; {} are held and {} stay for other reasons; {} had left before.{}",
                shipment.leaves,
                order.name,
                shipment.held,
                shipment.stay,
                shipped.len(),
                if list { " Nothing was recorded." } else { "" }
            ),
        });
        Ok(shipment)
    }

    /// How many leaves the latest checkpoint covers that enough witnesses have cosigned, after they were asked once more.
    async fn witnessed_size(&self) -> Result<u64, CommandError> {
        let round = self.app.cosigner().round().await?;
        if round.witnessed {
            return Ok(round.size);
        }
        if let Some(size) = self.app.witnessed_size().await? {
            if !round.silent.is_empty() {
                self.sink.emit(Event::Warning {
                    message: format!(
                        "the latest checkpoint has not the cosignatures that it needs, so that only what is under the one of {size} leaves ships: {}",
                        round.silent.join("; ")
                    ),
                    next: "Run `keyline doctor`: it says of each witness why it does not cosign.".to_owned(),
                });
            }
            return Ok(size);
        }
        let why = if round.silent.is_empty() {
            "the configuration asks for none".to_owned()
        } else {
            round.silent.join("; ")
        };
        Err(CommandError::NotReady {
            message: format!(
                "expected a checkpoint that witnesses have cosigned, there is none: {why}"
            ),
            next: "Name witnesses in the configuration ([[audit.witness]], audit.cosignatures_min) and bring them in reach: nothing ships without."
                .to_owned(),
        })
    }
}

impl Shipment {
    const fn count(&mut self, state: UnitState, stays: bool) {
        match (stays, state) {
            (false, _) => self.leaves += 1,
            (true, UnitState::Held) => self.held += 1,
            (true, _) => self.stay += 1,
        }
    }
}

fn view(unit: Unit, why: Option<String>) -> ShipmentView {
    ShipmentView {
        device_id: unit.device_id,
        serial: unit.serial,
        state: unit.state,
        ships: why.is_none(),
        why,
    }
}

/// The units of the order that were shipped before.
pub(super) async fn shipped_before(
    journal: &JournalReader,
    id: OrderId,
) -> Result<HashSet<DeviceIdText>, CommandError> {
    let mut shipped = HashSet::new();
    for entry in journal.station_entries(&["order-shipped"]).await? {
        if let Ok(Change::OrderShipped {
            order, device_ids, ..
        }) = serde_json::from_str(&entry.body)
            && order == id
        {
            shipped.extend(device_ids);
        }
    }
    Ok(shipped)
}

/// Why a unit stays; `None` where it may leave.
async fn why_not(
    journal: &JournalReader,
    unit: &Unit,
    witnessed_size: u64,
) -> Result<Option<String>, CommandError> {
    if !matches!(unit.state, UnitState::Passed | UnitState::Weak) {
        return Ok(Some(match unit.state {
            UnitState::Held => {
                "held: the registry has not acknowledged its pin; `keyline sync` asks it".to_owned()
            }
            state => stays(journal, unit, state).await?,
        }));
    }
    let end = match unit.last_run {
        Some(run) => last_leaf(journal, unit, run).await?,
        None => None,
    };
    Ok(match end {
        Some(index) if index < witnessed_size => None,
        Some(index) => Some(format!(
            "its last leaf, {index}, is not under a checkpoint that witnesses have cosigned ({witnessed_size} leaves)"
        )),
        None => Some("the log has no run of it".to_owned()),
    })
}

/// The state, and for what the unit was set apart or its last run failed.
async fn stays(
    journal: &JournalReader,
    unit: &Unit,
    state: UnitState,
) -> Result<String, CommandError> {
    let events = journal.unit_events(unit.device_id).await?.into_iter();
    let set_apart = events.rev().find_map(|event| match event.change {
        Change::UnitQuarantined { failure, .. } => Some(failure),
        _ => None,
    });
    let failure = match (state, unit.last_run) {
        (UnitState::Quarantined, _) => set_apart,
        (_, Some(run)) => journal.run(run).await?.and_then(|run| run.failure),
        (_, None) => None,
    };
    Ok(match failure {
        Some(failure) => format!(
            "it is {}: {}: {}",
            state.name(),
            failure.code.name(),
            failure.message
        ),
        None => format!("it is {}", state.name()),
    })
}

/// The last leaf that a pass stands on: of the unit's last run, or of what befell it afterwards, such as its release from being held.
async fn last_leaf(
    journal: &JournalReader,
    unit: &Unit,
    run: RunId,
) -> Result<Option<u64>, CommandError> {
    let of_run = journal.entries_of_run(run).await?;
    let of_run = of_run.last().map(|entry| entry.index);
    let events = journal.unit_events(unit.device_id).await?;
    let since = events.last().map(|event| event.leaf);
    Ok(of_run.map(|of_run| since.map_or(of_run, |since| since.max(of_run))))
}
