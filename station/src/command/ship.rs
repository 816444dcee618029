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
use crate::record::{Change, DeviceIdText, OrderId, UnitState};

/// How many units are read at once.
const PAGE: u32 = 1_000;

/// How many units one leaf names.
const UNITS_PER_LEAF: usize = 1_000;

/// How many leaves one commit has.
const LEAVES_PER_COMMIT: usize = 32;

impl Act<'_> {
    /// Ships what may be shipped of an order and says of the rest why not. Gives how many stay that are held, and how many for other
    /// reasons.
    pub(super) async fn ship_order(&self, name: &str) -> Result<(u64, u64), CommandError> {
        let journal = self.app.journal();
        let order = order_named(journal, name).await?;
        let witnessed_size = self.witnessed_size().await?;
        let shipped = shipped_before(journal, order.id).await?;
        let mut ships: Vec<DeviceIdText> = Vec::new();
        let (mut held, mut stays) = (0, 0);
        let mut filter = UnitFilter {
            order: Some(order.id),
            ..UnitFilter::default()
        };
        loop {
            let page = journal.units(&filter, PAGE).await?;
            let Some(last) = page.last() else { break };
            filter.after = Some(last.device_id);
            for unit in page {
                if shipped.contains(&unit.device_id) {
                    continue;
                }
                let why = why_not(journal, &unit, witnessed_size).await?;
                match (&why, unit.state) {
                    (None, _) => ships.push(unit.device_id),
                    (Some(_), UnitState::Held) => held += 1,
                    (Some(_), _) => stays += 1,
                }
                self.sink.emit(Event::Shipment(Box::new(ShipmentView {
                    device_id: unit.device_id,
                    serial: unit.serial,
                    state: unit.state,
                    ships: why.is_none(),
                    why,
                })));
            }
        }
        let leaves: Vec<_> = ships
            .chunks(UNITS_PER_LEAF)
            .map(|device_ids| Change::OrderShipped {
                order: order.id,
                device_ids: device_ids.to_vec(),
                witnessed_size,
                operator: self.principal.operator.clone(),
            })
            .collect();
        for changes in leaves.chunks(LEAVES_PER_COMMIT) {
            journal.commit(changes.to_vec()).await?;
        }
        self.sink.emit(Event::Notice {
            message: format!(
                "{} units of {} may leave the building; {held} are held and {stays} stay for other reasons; {} had left before.",
                ships.len(),
                order.name,
                shipped.len()
            ),
        });
        Ok((held, stays))
    }

    /// How many leaves the latest checkpoint covers that enough witnesses have cosigned, after they were asked once more.
    async fn witnessed_size(&self) -> Result<u64, CommandError> {
        let round = self.app.cosigner().round().await?;
        if round.witnessed {
            return Ok(round.size);
        }
        if let Some(size) = self.app.witnessed_size().await? {
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

/// The units of the order that were shipped before.
async fn shipped_before(
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
            UnitState::Held => "held: the registry has not acknowledged its pin".to_owned(),
            state => format!("it is {}", state.name()),
        }));
    }
    let end = match unit.last_run {
        Some(run) => journal
            .entries_of_run(run)
            .await?
            .last()
            .map(|entry| entry.index),
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
