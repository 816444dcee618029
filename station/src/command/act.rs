//! What changes the state of the station. Each act is journalled before anything else is changed, under the operator's id.

use super::authority_act::check_orderable;
use super::read::{order_named, product_named, unit_named, unknown};
use super::{CommandError, Name, Permit, lower, serial};
use crate::app::App;
use crate::clock::wall_ms;
use crate::event::{Event, EventSink, OrderView, PinView};
use crate::journal::JournalReader;
use crate::link::AgentImage;
use crate::operator::Principal;
use crate::record::{Change, DeviceIdText, Order, OrderId, OrderState, Pin, UnitState};
use crate::registry::{PinEvent, Registry, Revocation};

/// What an act works with.
pub(super) struct Act<'a> {
    pub(super) app: &'a App,
    pub(super) principal: &'a Principal,
    pub(super) sink: &'a dyn EventSink,
}

impl Act<'_> {
    pub(super) async fn commit(&self, change: Change) -> Result<(), CommandError> {
        self.app.journal().commit(vec![change]).await?;
        Ok(())
    }

    pub(super) fn operator(&self) -> String {
        self.principal.operator.clone()
    }

    pub(super) fn say(&self, message: String) {
        self.sink.emit(Event::Notice { message });
    }

    pub(super) async fn retire_product(&self, name: &str) -> Result<(), CommandError> {
        let product = product_named(self.app.journal(), name).await?;
        self.commit(Change::ProductRetired {
            product: product.id,
            operator: self.operator(),
        })
        .await?;
        self.say(format!("Retired product {}.", product.name));
        Ok(())
    }

    pub(super) async fn add_order(
        &self,
        name: Name,
        product: &str,
        quantity: u32,
        rework: bool,
    ) -> Result<(), CommandError> {
        let product = product_named(self.app.journal(), product).await?;
        let image = AgentImage::for_platform(product.platform)?;
        check_orderable(self.app, &product, &image.digest).await?;
        let order = Order {
            id: OrderId::generate(),
            name: name.into(),
            product: product.id,
            quantity,
            rework,
            agent_digest: image.digest,
            state: OrderState::Open,
            added_at_ms: wall_ms(),
        };
        self.commit(Change::OrderAdded {
            order: order.clone(),
            operator: self.operator(),
        })
        .await?;
        self.say(format!(
            "Added work order {}: {} of {}.",
            order.name, order.quantity, product.name
        ));
        self.sink.emit(Event::Order(Box::new(OrderView {
            order,
            product_name: product.name,
            passed: 0,
            weak: 0,
            held: 0,
            failed: 0,
            shipped: None,
        })));
        Ok(())
    }

    pub(super) async fn close_order(&self, name: &str) -> Result<(), CommandError> {
        let order = order_named(self.app.journal(), name).await?;
        self.commit(Change::OrderClosed {
            order: order.id,
            operator: self.operator(),
        })
        .await?;
        self.say(format!("Closed work order {}.", order.name));
        Ok(())
    }

    pub(super) async fn release_unit(
        &self,
        name: &str,
        reason: String,
    ) -> Result<(), CommandError> {
        let unit = unit_named(self.app.journal(), name).await?;
        let reason = lower::checked_reason(&reason)?;
        if unit.state != UnitState::Quarantined {
            return Err(CommandError::Usage {
                message: format!(
                    "expected a unit in quarantine, unit {} is {}",
                    unit.device_id.0,
                    unit.state.name()
                ),
            });
        }
        self.commit(Change::UnitReleased {
            device_id: unit.device_id,
            operator: self.operator(),
            reason,
        })
        .await?;
        self.say(format!("Released unit {}.", unit.device_id.0));
        Ok(())
    }

    pub(super) async fn scrap_unit(
        &self,
        name: &str,
        reason: String,
        permit: &[Permit],
    ) -> Result<(), CommandError> {
        let unit = unit_named(self.app.journal(), name).await?;
        let reason = lower::checked_reason(&reason)?;
        require(
            permit,
            Permit::Scrap,
            "a scrapped unit is out for good and is never released",
        )?;
        // A unit that is gone must not be trusted any more; one that is in the bin must not wait for a link either.
        let pin = match self.app.registry().await {
            Ok(registry) => registry.pin_of(unit.device_id).await.map_err(Into::into),
            Err(error) => Err(CommandError::from(error)),
        };
        let mut changes = Vec::new();
        if let Ok(Some(pin)) = &pin {
            changes.push(Change::PinRevoked {
                device_id: unit.device_id,
                fingerprint: pin.fingerprint,
                operator: self.operator(),
                reason: reason.clone(),
            });
        }
        changes.push(Change::UnitScrapped {
            device_id: unit.device_id,
            operator: self.operator(),
            reason: reason.clone(),
        });
        self.app.journal().commit(changes).await?;
        let revoked = match pin {
            Ok(Some(_)) => self.revoke_pin(unit.device_id, reason).await,
            Ok(None) => Ok(()),
            Err(error) => Err(error),
        };
        if let Err(error) = revoked {
            self.sink.emit(Event::Warning {
                message: format!("its pin was not revoked: {}", super::chain(&error)),
                next: format!(
                    "Have two people revoke it: `keyline pin revoke {}`.",
                    unit.device_id.0
                ),
            });
        }
        self.say(format!(
            "Scrapped unit {}. Put it in the scrap bin.",
            unit.device_id.0
        ));
        Ok(())
    }

    /// Has the registry trust the unit's key no more, on the word of this station's operator. The log says so already.
    async fn revoke_pin(
        &self,
        device_id: DeviceIdText,
        reason: String,
    ) -> Result<(), CommandError> {
        let revocation = Revocation {
            device_id,
            station: self.app.home().station(),
            operator: self.operator(),
            reason,
        };
        self.app.registry().await?.revoke(revocation).await?;
        Ok(())
    }

    pub(super) async fn rework_unit(
        &self,
        name: &str,
        reason: String,
        permit: &[Permit],
    ) -> Result<(), CommandError> {
        let unit = unit_named(self.app.journal(), name).await?;
        let reason = lower::checked_reason(&reason)?;
        require(
            permit,
            Permit::Revoke,
            "the cloud stops trusting the unit, and its present key never returns",
        )?;
        let registry = self.app.registry().await?;
        // A unit without a pin has nothing to revoke, and must not get out of quarantine by asking for it.
        let pin = registry
            .pin_of(unit.device_id)
            .await?
            .ok_or_else(|| unknown("pin", name))?;
        let revoked = Change::PinRevoked {
            device_id: unit.device_id,
            fingerprint: pin.fingerprint,
            operator: self.operator(),
            reason: reason.clone(),
        };
        let released = Change::UnitReleased {
            device_id: unit.device_id,
            operator: self.operator(),
            reason: format!("rework: {reason}"),
        };
        self.app.journal().commit(vec![revoked, released]).await?;
        self.revoke_pin(unit.device_id, reason).await?;
        self.say(format!(
            "Revoked the pin of unit {}. A work order with --rework may give it a new key.",
            unit.device_id.0
        ));
        Ok(())
    }
}

/// Refuses a destructive act without its permission.
pub(super) fn require(
    given: &[Permit],
    permit: Permit,
    words: &'static str,
) -> Result<(), CommandError> {
    if given.contains(&permit) {
        Ok(())
    } else {
        Err(CommandError::PermitMissing { permit, words })
    }
}

/// Shows a unit's keys and their history; `name` is a device id, a serial or a fingerprint. Changes nothing.
pub(super) async fn show_pin(
    journal: &JournalReader,
    registry: &Registry,
    name: &str,
    sink: &dyn EventSink,
) -> Result<(), CommandError> {
    let mut fingerprint = [0; 32];
    if hex::decode_to_slice(name, &mut fingerprint).is_ok() {
        let pin = registry.by_fingerprint(fingerprint).await?;
        let pin = pin.ok_or_else(|| unknown("pin", name))?;
        sink.emit(pin_event(pin, Vec::new()));
        return Ok(());
    }
    // A unit of another station is in the registry, but not in this journal.
    let device_id = match DeviceIdText::try_from(name.to_owned()) {
        Ok(device_id) => device_id,
        Err(_) => match unit_named(journal, name).await {
            Ok(unit) => unit.device_id,
            Err(unknown @ CommandError::Unknown { .. }) => {
                let labelled = serial::device_labelled(registry, name).await?;
                labelled.ok_or(unknown)?
            }
            Err(error) => return Err(error),
        },
    };
    let mut pins = registry.keys_of(device_id).await?;
    let last = pins.pop().ok_or_else(|| unknown("pin", name))?;
    for pin in pins {
        sink.emit(pin_event(pin, Vec::new()));
    }
    sink.emit(pin_event(last, registry.history(device_id).await?));
    serial::show_serials_of(registry, device_id, sink).await?;
    Ok(())
}

fn pin_event(pin: Pin, history: Vec<PinEvent>) -> Event {
    Event::Pin(Box::new(PinView { pin, history }))
}
