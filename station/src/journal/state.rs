//! What the writer holds in memory: products, orders, and what is going on at this moment. Finished units and runs are not in it,
//! so that it stays as large as the line is wide.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::model::{LogKey, Operator, OrderCounts, Unit};
use crate::audit::VerifierKey;
use crate::record::{
    DeviceIdText, Order, OrderId, Product, ProductId, RunId, RunResult, Step, UnitState,
};

/// A run that has not ended, or ends in this batch.
#[derive(Clone, Debug)]
pub(super) struct OpenRun {
    pub(super) order: OrderId,
    pub(super) product: ProductId,
    pub(super) slot: u16,
    pub(super) serial: Option<String>,
    pub(super) operator: String,
    pub(super) started_at_ms: u64,
    pub(super) device_id: Option<DeviceIdText>,
    pub(super) intended: Option<Step>,
    pub(super) reached: Option<Step>,
    /// It is in the run table.
    pub(super) stored: bool,
    /// It began since the journal was opened; otherwise it is one that was interrupted.
    pub(super) live: bool,
    pub(super) end: Option<RunEnd>,
}

/// How a run ended.
#[derive(Clone, Debug)]
pub(super) struct RunEnd {
    pub(super) result: RunResult,
    pub(super) failure: Option<String>,
    pub(super) ended_at_ms: u64,
}

/// A run that ended held and that the registry has not acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct HeldRun {
    /// The index of the leaf that ended it: its place in the outbox.
    pub(super) leaf_index: u64,
    pub(super) run: RunId,
}

/// What became of a run after it ended held.
#[derive(Clone, Debug)]
pub(super) struct Settled {
    pub(super) result: RunResult,
    pub(super) failure: Option<String>,
}

/// A unit, and the result under which its order counts it.
#[derive(Clone, Debug)]
pub(super) struct UnitRow {
    pub(super) unit: Unit,
    pub(super) counted: Option<RunResult>,
    /// Its runs in the outbox, the oldest first.
    pub(super) held: Vec<HeldRun>,
    /// More than state and failures differs from what is stored.
    pub(super) whole: bool,
}

impl UnitRow {
    /// A unit of which nothing is known.
    pub(super) const fn new(device_id: DeviceIdText) -> Self {
        Self {
            unit: Unit {
                device_id,
                serial: None,
                product: None,
                order: None,
                state: UnitState::Failed,
                consecutive_failures: 0,
                last_run: None,
                lock_intended: None,
                changed_at_ms: 0,
            },
            counted: None,
            held: Vec::new(),
            whole: true,
        }
    }

    /// Whether only a release lets a run go on with it.
    pub(super) const fn set_apart(&self) -> bool {
        matches!(
            self.unit.state,
            UnitState::Quarantined | UnitState::Scrapped
        )
    }
}

/// An order and how far it is.
#[derive(Clone, Debug)]
pub(super) struct OrderRow {
    pub(super) order: Order,
    pub(super) counts: OrderCounts,
    /// The order itself differs from what is stored, not only its counts.
    pub(super) whole: bool,
}

/// A set of rows: the writer's memory, or what one request makes of it.
#[derive(Debug, Default)]
pub(super) struct Layer {
    pub(super) products: HashMap<ProductId, Product>,
    pub(super) orders: HashMap<OrderId, OrderRow>,
    pub(super) runs: HashMap<RunId, OpenRun>,
    /// `None`: the unit is known not to be stored.
    pub(super) units: HashMap<DeviceIdText, Option<UnitRow>>,
    /// By id.
    pub(super) operators: HashMap<String, Operator>,
    /// By verifier key, the retired ones too.
    pub(super) log_keys: BTreeMap<String, LogKey>,
    /// The latest version of each bundle, by kind and subject. The bundles themselves are entries.
    pub(super) bundles: HashMap<(String, String), u64>,
    /// What a batch does to the outbox and to the runs that were in it; nothing of it stays in memory.
    pub(super) outbox: OutboxChanges,
    /// Units that leave for an order in this batch, each with the index of the leaf that says so.
    pub(super) shipped: BTreeMap<(DeviceIdText, OrderId), u64>,
    /// Runs whose pin is revoked in this batch: their order no longer counts what they ended with.
    pub(super) revoked_runs: HashSet<RunId>,
}

/// What a batch does to the outbox.
#[derive(Debug, Default)]
pub(super) struct OutboxChanges {
    pub(super) entered: Vec<(DeviceIdText, HeldRun)>,
    /// By leaf index. Some may have been entered in the same batch.
    pub(super) left: Vec<u64>,
    pub(super) settled: Vec<(RunId, Settled)>,
}

/// What a batch has changed and must store.
#[derive(Debug, Default)]
pub(super) struct Dirty {
    pub(super) products: HashSet<ProductId>,
    pub(super) orders: HashSet<OrderId>,
    pub(super) runs: HashSet<RunId>,
    pub(super) units: HashSet<DeviceIdText>,
    pub(super) operators: HashSet<String>,
    pub(super) log_keys: HashSet<String>,
}

/// What was read from the database for one batch, beside the units.
#[derive(Debug, Default)]
pub(super) struct Facts {
    /// Whose a serial is among the living units of a product.
    pub(super) serial_owners: HashMap<(ProductId, String), DeviceIdText>,
    /// Runs that ended before.
    pub(super) ended_runs: HashSet<RunId>,
    /// Under which result a unit is counted in an order that is not its last one.
    pub(super) counted: HashMap<(OrderId, DeviceIdText), RunResult>,
    /// Units that left before, of those that are about to.
    pub(super) shipped: HashSet<(DeviceIdText, OrderId)>,
}

impl Layer {
    /// Takes over what a request made, and notes what must be stored.
    pub(super) fn take(&mut self, draft: Self, dirty: &mut Dirty) {
        dirty.products.extend(draft.products.keys());
        dirty.orders.extend(draft.orders.keys());
        dirty.runs.extend(draft.runs.keys());
        dirty.units.extend(draft.units.keys());
        dirty.operators.extend(draft.operators.keys().cloned());
        dirty.log_keys.extend(draft.log_keys.keys().cloned());
        self.products.extend(draft.products);
        self.orders.extend(draft.orders);
        self.runs.extend(draft.runs);
        self.units.extend(draft.units);
        self.operators.extend(draft.operators);
        self.log_keys.extend(draft.log_keys);
        self.bundles.extend(draft.bundles);
        self.outbox.entered.extend(draft.outbox.entered);
        self.outbox.left.extend(draft.outbox.left);
        self.outbox.settled.extend(draft.outbox.settled);
        self.shipped.extend(draft.shipped);
        self.revoked_runs.extend(draft.revoked_runs);
    }

    /// The keys that sign the checkpoint of a batch, the oldest first: those in force, and those that the batch adds or retires. So the
    /// checkpoint that covers such a change carries the signatures of both sides of it, and whoever trusts one comes to trust the other.
    pub(super) fn signing_keys(&self, dirty: &Dirty) -> Vec<VerifierKey> {
        let signing = self
            .log_keys
            .iter()
            .filter(|(name, key)| key.in_force() || dirty.log_keys.contains(*name));
        let mut signing: Vec<_> = signing.map(|(_, key)| key).collect();
        signing.sort_by_key(|key| key.added_at);
        signing.into_iter().map(|key| key.key.clone()).collect()
    }

    /// The keys in force, the oldest first.
    pub(super) fn keys_in_force(&self) -> Vec<VerifierKey> {
        self.signing_keys(&Dirty::default())
    }

    /// Forgets what is finished, and that the rest was new.
    pub(super) fn settle(&mut self, dirty: &Dirty) {
        self.outbox = OutboxChanges::default();
        self.shipped.clear();
        self.revoked_runs.clear();
        for id in &dirty.orders {
            if let Some(row) = self.orders.get_mut(id) {
                row.whole = false;
            }
        }
        for id in &dirty.runs {
            match self.runs.get_mut(id) {
                Some(run) if run.end.is_none() => run.stored = true,
                _ => drop(self.runs.remove(id)),
            }
        }
        let runs = &self.runs;
        self.units.retain(|_, row| match row {
            Some(row) => {
                row.whole = false;
                row.unit.last_run.is_some_and(|run| runs.contains_key(&run))
            }
            None => false,
        });
    }
}
