//! The state as one request sees it: what it has changed itself lies over what stands.

use super::JournalError;
use super::model::LogKey;
use super::state::{Facts, Layer, OpenRun, OrderRow, UnitRow};
use crate::record::{DeviceIdText, OrderId, OrderState, Product, ProductId, RunId, UnitState};

/// A request's view. Dropping it drops all that the request did.
pub(super) struct View<'a> {
    pub(super) base: &'a Layer,
    pub(super) facts: &'a Facts,
    pub(super) draft: Layer,
    /// The time of the batch, in milliseconds since 1970.
    pub(super) now_ms: u64,
    /// The index of the leaf of the change that is being carried out.
    pub(super) leaf_index: u64,
}

impl<'a> View<'a> {
    pub(super) fn new(base: &'a Layer, facts: &'a Facts, now_ms: u64) -> Self {
        Self {
            base,
            facts,
            draft: Layer::default(),
            now_ms,
            leaf_index: 0,
        }
    }

    /// Every key of the log, the retired ones too.
    pub(super) fn log_keys(&self) -> impl Iterator<Item = &LogKey> {
        let names = self.base.log_keys.keys();
        let new = self.draft.log_keys.keys();
        let new = new.filter(|name| !self.base.log_keys.contains_key(*name));
        names.chain(new).filter_map(|name| self.log_key(name))
    }

    pub(super) fn log_key(&self, name: &str) -> Option<&LogKey> {
        self.draft
            .log_keys
            .get(name)
            .or_else(|| self.base.log_keys.get(name))
    }

    /// The latest version of a bundle, by kind and subject.
    pub(super) fn bundle_version(&self, key: &(String, String)) -> Option<u64> {
        let newest = self.draft.bundles.get(key);
        newest.or_else(|| self.base.bundles.get(key)).copied()
    }

    pub(super) fn product(&self, id: ProductId) -> Option<&Product> {
        self.draft
            .products
            .get(&id)
            .or_else(|| self.base.products.get(&id))
    }

    /// A product that is not retired.
    pub(super) fn live_product(&self, id: ProductId) -> Result<&Product, JournalError> {
        self.product(id)
            .filter(|product| product.retired_at_ms.is_none())
            .ok_or(JournalError::NoLiveProduct(id))
    }

    pub(super) fn order(&self, id: OrderId) -> Option<&OrderRow> {
        self.draft
            .orders
            .get(&id)
            .or_else(|| self.base.orders.get(&id))
    }

    /// An order that is not closed.
    pub(super) fn open_order(&self, id: OrderId) -> Result<&OrderRow, JournalError> {
        self.order(id)
            .filter(|row| row.order.state == OrderState::Open)
            .ok_or(JournalError::NoOpenOrder(id))
    }

    pub(super) fn run(&self, id: RunId) -> Option<&OpenRun> {
        self.draft.runs.get(&id).or_else(|| self.base.runs.get(&id))
    }

    /// A run that has not ended, to be changed.
    pub(super) fn open_run(&self, id: RunId) -> Result<OpenRun, JournalError> {
        self.run(id)
            .filter(|run| run.end.is_none())
            .cloned()
            .ok_or(JournalError::NoOpenRun(id))
    }

    pub(super) fn unit(&self, id: DeviceIdText) -> Option<&UnitRow> {
        self.draft
            .units
            .get(&id)
            .or_else(|| self.base.units.get(&id))
            .and_then(Option::as_ref)
    }

    pub(super) fn known_unit(&self, id: DeviceIdText) -> Result<UnitRow, JournalError> {
        self.unit(id).cloned().ok_or(JournalError::NoUnit(id))
    }

    /// Whether the log says that the unit left for this order.
    pub(super) fn is_shipped(&self, device_id: DeviceIdText, order: OrderId) -> bool {
        let key = (device_id, order);
        self.draft.shipped.contains_key(&key)
            || self.base.shipped.contains_key(&key)
            || self.facts.shipped.contains(&key)
    }

    pub(super) fn put_unit(&mut self, mut row: UnitRow) {
        row.unit.changed_at_ms = self.now_ms;
        self.draft.units.insert(row.unit.device_id, Some(row));
    }

    /// The living unit of the product that has this serial, also one that got it in this batch.
    pub(super) fn serial_owner(&self, product: ProductId, serial: &str) -> Option<DeviceIdText> {
        let holds = |row: &&UnitRow| {
            row.unit.product == Some(product)
                && row.unit.serial.as_deref() == Some(serial)
                && row.unit.state != UnitState::Scrapped
        };
        let here = self.draft.units.values().chain(self.base.units.values());
        // A unit that this request changed is in both layers; the draft's word is the newer one.
        let newest = |row: &UnitRow| self.unit(row.unit.device_id).filter(holds);
        if let Some(row) = here.flatten().filter(holds).find_map(newest) {
            return Some(row.unit.device_id);
        }
        // What the database says of a unit counts only where nothing newer is in memory.
        self.facts
            .serial_owners
            .get(&(product, serial.to_owned()))
            .copied()
            .filter(|owner| self.unit(*owner).is_none())
    }
}
