//! `keyline unit show` and `pin show`: which units a serial names and named, by the registry. It sees the units of all stations; the
//! journal alone answers where it is out of reach, and that is told.

use std::path::Path;

use super::CommandError;
use super::read::{unit_detail, unit_named};
use crate::event::{Event, EventSink, SerialView};
use crate::home::{Config, missing_registry_file};
use crate::journal::{JournalReader, Unit};
use crate::record::{DeviceIdText, Label};
use crate::registry::{Registry, RegistryError, SerialUse};

/// The registry, or why it can't be asked.
pub(super) type Reach = Result<Registry, CommandError>;

/// The registry of a home that this process does not own. None is made where there is none.
pub(super) async fn reach(home: &Path, config: &Config) -> Reach {
    if let Some(path) = missing_registry_file(home, &config.registry.url) {
        return Err(CommandError::Advice {
            message: format!("there is no registry at {}", path.display()),
            next: "Run `keyline doctor`.".to_owned(),
        });
    }
    Ok(Registry::open(config.registry.address(home)?).await?)
}

/// Shows a unit by its device id or serial, and the history of its serials. One that only the registry knows has no more than that.
pub(super) async fn show_unit(
    journal: &JournalReader,
    registry: &Reach,
    name: &str,
    sink: &dyn EventSink,
) -> Result<(), CommandError> {
    let unit = match unit_named(journal, name).await {
        Ok(unit) => Some(unit),
        Err(CommandError::Unknown { .. }) => None,
        Err(error) => return Err(error),
    };
    let views = match registry {
        Ok(registry) => views(journal, registry, unit.as_ref(), name).await,
        Err(error) => Err(away(error)),
    };
    let known = match unit {
        Some(unit) => {
            let detail = unit_detail(journal, unit).await?;
            sink.emit(Event::UnitRecord(Box::new(detail)));
            true
        }
        None => matches!(&views, Ok(views) if !views.is_empty()),
    };
    match views {
        Ok(views) => tell(views, sink),
        Err(warning) => sink.emit(warning),
    }
    if known {
        Ok(())
    } else {
        Err(super::read::unknown("unit", name))
    }
}

/// Tells the history of the serials that a device has and had.
pub(super) async fn show_serials_of(
    registry: &Registry,
    device_id: DeviceIdText,
    sink: &dyn EventSink,
) -> Result<(), RegistryError> {
    let uses = registry.serials_of(&[device_id]).await?;
    let labels = uses.into_iter().map(|one| one.label).collect();
    tell(histories(registry, labels).await?, sink);
    Ok(())
}

/// The device that a serial names by the registry, where it is one only.
pub(super) async fn device_labelled(
    registry: &Registry,
    serial: &str,
) -> Result<Option<DeviceIdText>, CommandError> {
    let uses = registry.uses_of_serial(serial).await?.into_iter();
    let mut living: Vec<_> = uses
        .filter(SerialUse::is_living)
        .map(|one| one.device_id)
        .collect();
    living.sort_unstable();
    living.dedup();
    match (living.pop(), living.len()) {
        (Some(_), others @ 1..) => Err(CommandError::Ambiguous {
            serial: serial.to_owned(),
            count: others + 1,
        }),
        (device_id, _) => Ok(device_id),
    }
}

fn tell(views: Vec<SerialView>, sink: &dyn EventSink) {
    for view in views {
        sink.emit(Event::Serial(Box::new(view)));
    }
}

/// That the registry could not be asked.
fn away(error: &CommandError) -> Event {
    Event::Warning {
        message: format!(
            "the registry is out of reach, so this is only what this station knows, without the history of serials: {}",
            super::chain(error)
        ),
        next: error.body().next,
    }
}

/// The histories of a unit's serials: those that the registry has of it, and the one by which it is known here. Of a unit that is not
/// known here, whatever the registry has under this name.
async fn views(
    journal: &JournalReader,
    registry: &Registry,
    unit: Option<&Unit>,
    name: &str,
) -> Result<Vec<SerialView>, Event> {
    let labels = labels(journal, registry, unit, name).await;
    let found = match labels {
        Ok(labels) => histories(registry, labels).await.map_err(Into::into),
        Err(error) => Err(error),
    };
    found.map_err(|error| away(&error))
}

async fn labels(
    journal: &JournalReader,
    registry: &Registry,
    unit: Option<&Unit>,
    name: &str,
) -> Result<Vec<Label>, CommandError> {
    let device_id = match unit {
        Some(unit) => Some(unit.device_id),
        None => DeviceIdText::try_from(name.to_owned()).ok(),
    };
    let mut uses = match device_id {
        Some(device_id) => registry.serials_of(&[device_id]).await?,
        None => registry.uses_of_serial(name).await?,
    };
    let mut labels: Vec<_> = uses.drain(..).map(|one| one.label).collect();
    if let Some(unit) = unit
        && let (Some(serial), Some(product)) = (&unit.serial, unit.product)
        && let Some(product) = journal.product(product).await?
    {
        labels.push(Label {
            product: product.name,
            serial: serial.clone(),
        });
    }
    Ok(labels)
}

/// Every use of each of these labels; those that the registry has not are left out.
async fn histories(
    registry: &Registry,
    labels: Vec<Label>,
) -> Result<Vec<SerialView>, RegistryError> {
    let mut labels = labels;
    labels.sort_unstable();
    labels.dedup();
    let mut views = Vec::with_capacity(labels.len());
    for label in labels {
        let mut uses = registry.uses_of_serial(&label.serial).await?;
        uses.retain(|one| one.label == label);
        if !uses.is_empty() {
            views.push(SerialView {
                product: label.product,
                serial: label.serial,
                uses,
            });
        }
    }
    Ok(views)
}
