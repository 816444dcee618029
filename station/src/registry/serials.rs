//! Which unit a serial names: the rules, without a database. A serial names one living unit of its product at a time; it becomes free
//! with the pin under which it was entered, and every use stays on record.

use std::collections::HashMap;

use super::RegistryError;
use super::decide::Decision;
use crate::record::{DeviceIdText, Label, Proof};

/// The latest use of a serial.
#[derive(Clone, Copy, Debug)]
pub(super) struct KnownUse {
    /// Which use of the serial it is, from 1.
    pub(super) turn: i64,
    pub(super) device_id: DeviceIdText,
    /// The device's pin under which it was entered.
    pub(super) generation: i64,
    pub(super) since_ms: u64,
    /// The pin was revoked.
    pub(super) released: bool,
}

/// A use that is to be written.
#[derive(Debug)]
pub(super) struct UseRow<'a> {
    pub(super) label: Label,
    pub(super) turn: i64,
    pub(super) device_id: DeviceIdText,
    pub(super) generation: i64,
    /// The device and the pin of the use before.
    pub(super) previous: Option<(DeviceIdText, i64)>,
    /// The proof of the run in which the label was scanned, where it comes from a bench.
    pub(super) proof: Option<&'a Proof>,
}

/// What is known of the serials and devices that a batch names.
#[derive(Debug, Default)]
pub(super) struct Serials {
    latest: HashMap<Label, KnownUse>,
    /// The serial that a living device has, by device and product.
    living: HashMap<(DeviceIdText, String), String>,
}

impl Serials {
    /// Adds a use that was read or entered; what counts is the latest one of each serial.
    pub(super) fn add(&mut self, label: Label, found: KnownUse) {
        if !found.released {
            let place = (found.device_id, label.product.clone());
            self.living.insert(place, label.serial.clone());
        }
        let latest = self.latest.entry(label).or_insert(found);
        if latest.turn < found.turn {
            *latest = found;
        }
    }

    /// A pin was revoked: what its device was called is free.
    pub(super) fn release(&mut self, device_id: DeviceIdText) {
        self.living.retain(|(device, _), _| *device != device_id);
        let uses = self.latest.values_mut();
        for one in uses.filter(|one| one.device_id == device_id) {
            one.released = true;
        }
    }

    /// The labels of a living device, by product.
    pub(super) fn of_device(&self, device_id: DeviceIdText) -> Vec<Label> {
        let of_device = |(place, _): &(&(DeviceIdText, String), &String)| place.0 == device_id;
        let found = self.living.iter().filter(of_device);
        let mut labels: Vec<_> = found
            .map(|((_, product), serial)| Label {
                product: product.clone(),
                serial: serial.clone(),
            })
            .collect();
        labels.sort_unstable();
        labels
    }

    /// Refuses a label that another living device has, and one that is not the device's own.
    fn refuse(&self, device_id: DeviceIdText, label: &Label) -> Result<(), RegistryError> {
        if let Some(holder) = self.latest.get(label)
            && !holder.released
            && holder.device_id != device_id
        {
            return Err(RegistryError::SerialInUse {
                label: label.clone(),
                device_id,
                holder: holder.device_id,
                since_ms: holder.since_ms,
            });
        }
        match self.serial_of(device_id, &label.product) {
            Some(known) if *known != label.serial => Err(RegistryError::UnitHasAnotherSerial {
                label: label.clone(),
                device_id,
                known: Some(known.clone()),
            }),
            _ => Ok(()),
        }
    }

    fn serial_of(&self, device_id: DeviceIdText, product: &str) -> Option<&String> {
        self.living.get(&(device_id, product.to_owned()))
    }
}

impl<'a> Decision<'a> {
    /// Refuses a label that can't be this device's. Where there is none, nothing is asked.
    pub(super) fn refuse_label(
        &self,
        device_id: DeviceIdText,
        label: Option<&Label>,
    ) -> Result<(), RegistryError> {
        label.map_or(Ok(()), |label| self.known.serials.refuse(device_id, label))
    }

    /// Refuses a label that is not the one which the registry has for this device: an import changes nothing.
    pub(super) fn refuse_new_label(
        &self,
        device_id: DeviceIdText,
        label: Option<&Label>,
    ) -> Result<(), RegistryError> {
        self.refuse_label(device_id, label)?;
        match label {
            Some(label)
                if self
                    .known
                    .serials
                    .serial_of(device_id, &label.product)
                    .is_none() =>
            {
                Err(RegistryError::UnitHasAnotherSerial {
                    label: label.clone(),
                    device_id,
                    known: None,
                })
            }
            _ => Ok(()),
        }
    }

    /// Enters that the label names this device from now on, under its pin of this generation. It was not refused before; where it names
    /// the device already, nothing is written.
    pub(super) fn enter_label(
        &mut self,
        device_id: DeviceIdText,
        generation: i64,
        label: Option<&Label>,
        proof: Option<&'a Proof>,
    ) {
        let Some(label) = label else { return };
        let before = self.known.serials.latest.get(label).copied();
        if before.is_some_and(|before| !before.released) {
            return;
        }
        let turn = before.map_or(1, |before| before.turn + 1);
        let entered = KnownUse {
            turn,
            device_id,
            generation,
            since_ms: self.now_ms,
            released: false,
        };
        self.known.serials.add(label.clone(), entered);
        self.writes.uses.push(UseRow {
            label: label.clone(),
            turn,
            device_id,
            generation,
            previous: before.map(|before| (before.device_id, before.generation)),
            proof,
        });
    }
}
