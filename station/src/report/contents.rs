//! From entries of a log to what a report says: the one place where the units are told apart and their states are made out.

use std::collections::BTreeMap;

use keyline_protocol::identity::fingerprint;

use super::{FORMAT_FIRST, Report};
use crate::dossier::finding::about;
use crate::dossier::log::{self, Told};
use crate::record::{
    Change, DeviceIdText, Evidence, Order, OrderId, Product, RunId, RunResult, StationId,
    UnitState, parse_proof_transcript,
};

/// What a report says. Holding one proves that every entry has its place in it.
pub(super) struct Contents<'t, 'r> {
    pub(super) station: Option<StationId>,
    pub(super) product: &'t Product,
    pub(super) order: &'t Order,
    pub(super) closed_at_ms: Option<u64>,
    /// The units that the log says were shipped for the order.
    pub(super) shipped: Vec<DeviceIdText>,
    /// What belongs to no unit.
    pub(super) plan: Vec<&'t Told<'r>>,
    /// By device id.
    pub(super) units: Vec<LotUnit<'t, 'r>>,
}

/// A unit of the lot.
pub(super) struct LotUnit<'t, 'r> {
    pub(super) device_id: DeviceIdText,
    /// Whether a revoked pin makes a failed unit of one that had passed, as it does in the journal.
    revoked_fails: bool,
    /// Its entries, in the order of the log.
    pub(super) told: Vec<&'t Told<'r>>,
    pub(super) serial: Option<&'t str>,
    pub(super) state: UnitState,
    /// The fingerprint of the key that it showed last.
    pub(super) key: Option<[u8; 32]>,
    pub(super) proof: Option<ProofKind>,
    pub(super) pin: PinWord,
    pub(super) leaf_last: u64,
    /// When that leaf was made.
    pub(super) at_ms: u64,
    /// When its last run began.
    pub(super) started_at_ms: Option<u64>,
}

/// How a unit has proven itself.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum ProofKind {
    Signed,
    Weak,
}

/// What the log says of a unit's pin.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum PinWord {
    No,
    Yes,
    Revoked,
}

/// Opens every entry, and says what is wrong with those that can't be.
pub(super) fn open(report: &Report) -> (Vec<Told<'_>>, Vec<String>) {
    let mut told = Vec::with_capacity(report.entries.len());
    let mut wrong = Vec::new();
    for entry in &report.entries {
        match log::open(entry.index, &entry.leaf, &entry.salt, &entry.body) {
            Ok(one) => told.push(one),
            Err(words) => wrong.push(about(entry.index, &words)),
        }
    }
    (told, wrong)
}

impl<'t, 'r> Contents<'t, 'r> {
    /// Gives every entry its place; the words say which entry has none.
    pub(super) fn new(report: &Report, told: &'t [Told<'r>]) -> Result<Self, String> {
        let devices = devices_of_runs(report.order, told)?;
        let mut units: BTreeMap<DeviceIdText, LotUnit<'t, 'r>> = BTreeMap::new();
        let mut plan = Vec::new();
        for one in told {
            let by_run = one.leaf.run.and_then(|run| devices.get(&run).copied());
            match one.leaf.device_id.or(by_run) {
                Some(device_id) => units
                    .entry(device_id)
                    .or_insert_with(|| LotUnit::new(device_id, report.format != FORMAT_FIRST))
                    .take(one)?,
                None => plan.push(one),
            }
        }
        let order = one_of(&plan, "order-added", |change| match change {
            Change::OrderAdded { order, .. } if order.id == report.order => Some(order),
            _ => None,
        })?;
        let product = one_of(&plan, "product-added", |change| match change {
            Change::ProductAdded { product, .. } if product.id == order.product => Some(product),
            _ => None,
        })?;
        let mut contents = Self {
            station: None,
            product,
            order,
            closed_at_ms: None,
            shipped: Vec::new(),
            plan: Vec::new(),
            units: units.into_values().collect(),
        };
        for one in plan {
            contents.take(one)?;
        }
        contents.check_window(report)?;
        Ok(contents)
    }

    /// An entry that belongs to no unit.
    fn take(&mut self, one: &'t Told<'r>) -> Result<(), String> {
        match &one.change {
            Change::HomeInitialised { station } if self.station.is_none() => {
                self.station = Some(*station);
            }
            Change::OrderClosed { order, .. } if *order == self.order.id => {
                self.closed_at_ms = Some(one.leaf.wall_ms);
            }
            Change::OrderShipped {
                order, device_ids, ..
            } if *order == self.order.id => self.shipped.extend(device_ids),
            Change::OrderAdded { order, .. } if order.id == self.order.id => {}
            Change::ProductAdded { product, .. } if product.id == self.product.id => {}
            Change::LogKeyAdded { .. } | Change::LogKeyRetired { .. } => {}
            other => return Err(out_of_place(one, other)),
        }
        self.plan.push(one);
        Ok(())
    }

    fn check_window(&self, report: &Report) -> Result<(), String> {
        let outside = |unit: &&LotUnit<'_, '_>| {
            let began = unit.started_at_ms.unwrap_or(unit.at_ms);
            !report.window.takes(began)
        };
        match self.units.iter().find(outside) {
            Some(unit) => Err(format!(
                "the last run of unit {} did not begin in the time of the report",
                unit.device_id.0
            )),
            None => Ok(()),
        }
    }
}

/// Whose each run is. Each began once, and in this order.
fn devices_of_runs(
    order: OrderId,
    told: &[Told<'_>],
) -> Result<BTreeMap<RunId, DeviceIdText>, String> {
    let mut began: BTreeMap<RunId, Option<DeviceIdText>> = BTreeMap::new();
    for one in told {
        let Some(run) = one.leaf.run else { continue };
        match (&one.change, began.get_mut(&run)) {
            (Change::RunStarted { order: of, .. }, None) if *of == order => {
                began.insert(run, None);
            }
            (Change::RunStarted { .. }, _) => {
                let words = "expected a run of this order that begins once";
                return Err(about(one.index, words));
            }
            (_, None) => {
                let words = "expected the begin of its run before it";
                return Err(about(one.index, words));
            }
            (_, Some(known)) => {
                let other = known.zip(one.leaf.device_id).is_some_and(|(a, b)| a != b);
                if other {
                    return Err(about(one.index, "its run is another unit's"));
                }
                *known = known.or(one.leaf.device_id);
            }
        }
    }
    let known = began.into_iter().map(|(run, device_id)| {
        let device_id = device_id.ok_or_else(|| format!("run {run} is on no unit"))?;
        Ok((run, device_id))
    });
    known.collect()
}

fn one_of<'t, T>(
    plan: &[&'t Told<'_>],
    kind: &str,
    pick: impl Fn(&'t Change) -> Option<&'t T>,
) -> Result<&'t T, String> {
    let mut found = plan.iter().filter_map(|one| pick(&one.change));
    match (found.next(), found.next()) {
        (Some(only), None) => Ok(only),
        (None, _) => Err(format!("expected a leaf {kind} of the order, found none")),
        (Some(_), Some(_)) => Err(format!("expected one leaf {kind} of the order, found two")),
    }
}

fn out_of_place(one: &Told<'_>, change: &Change) -> String {
    let words = format!(
        "a {} of this kind has no place in a report of this order",
        change.kind()
    );
    about(one.index, &words)
}

impl<'t, 'r> LotUnit<'t, 'r> {
    const fn new(device_id: DeviceIdText, revoked_fails: bool) -> Self {
        Self {
            device_id,
            revoked_fails,
            told: Vec::new(),
            serial: None,
            state: UnitState::InProgress,
            key: None,
            proof: None,
            pin: PinWord::No,
            leaf_last: 0,
            at_ms: 0,
            started_at_ms: None,
        }
    }

    const fn set_apart(&self) -> bool {
        matches!(self.state, UnitState::Quarantined | UnitState::Scrapped)
    }

    /// Takes the next entry, and follows the unit's state as the journal does.
    fn take(&mut self, one: &'t Told<'r>) -> Result<(), String> {
        match &one.change {
            Change::RunStarted { serial, .. } => {
                self.serial = serial.as_deref().or(self.serial);
                self.started_at_ms = Some(one.leaf.wall_ms);
                if !self.set_apart() {
                    self.state = UnitState::InProgress;
                }
            }
            Change::StepDone { evidence, .. } => self.weigh(evidence, one)?,
            Change::RunEnded { result, .. } => {
                if !self.set_apart() {
                    self.state = state_after(*result);
                }
            }
            Change::HeldReleased {
                fingerprint, weak, ..
            } => {
                self.show_key(*fingerprint);
                self.pin = PinWord::Yes;
                if self.state == UnitState::Held {
                    self.state = if *weak {
                        UnitState::Weak
                    } else {
                        UnitState::Passed
                    };
                }
            }
            Change::HeldRefused { .. } if self.state == UnitState::Held => {
                self.state = UnitState::Failed;
            }
            Change::UnitQuarantined { .. } if self.state != UnitState::Scrapped => {
                self.state = UnitState::Quarantined;
            }
            Change::UnitReleased { .. } if self.state == UnitState::Quarantined => {
                self.state = UnitState::Failed;
            }
            Change::UnitScrapped { .. } => self.state = UnitState::Scrapped,
            Change::PinRevoked { fingerprint, .. } => {
                if self.key == Some(*fingerprint) {
                    self.pin = PinWord::Revoked;
                }
                if self.revoked_fails && self.state.is_finished() {
                    self.state = UnitState::Failed;
                }
            }
            // What a step was about to do says whose an unfinished run is.
            Change::StepIntended { .. }
            | Change::CloneAlarm { .. }
            | Change::HeldRefused { .. }
            | Change::UnitQuarantined { .. }
            | Change::UnitReleased { .. } => {}
            other => return Err(out_of_place(one, other)),
        }
        self.leaf_last = one.index;
        self.at_ms = one.leaf.wall_ms;
        self.told.push(one);
        Ok(())
    }

    /// What was known of another key says nothing of this one.
    fn show_key(&mut self, key: [u8; 32]) {
        if self.key != Some(key) {
            self.key = Some(key);
            self.proof = None;
            self.pin = PinWord::No;
        }
    }

    fn weigh(&mut self, evidence: &Evidence, one: &Told<'_>) -> Result<(), String> {
        match evidence {
            Evidence::Keyed { public_key, .. } => self.show_key(fingerprint(public_key)),
            Evidence::Proven {
                transcript, weak, ..
            } => {
                let proof = parse_proof_transcript(transcript)
                    .ok_or_else(|| about(one.index, "expected a proof's transcript"))?;
                self.show_key(fingerprint(proof.public_key));
                self.proof = Some(if *weak {
                    ProofKind::Weak
                } else {
                    ProofKind::Signed
                });
            }
            Evidence::Pinned { fingerprint, .. } => {
                self.show_key(*fingerprint);
                self.pin = PinWord::Yes;
            }
            _ => {}
        }
        Ok(())
    }
}

const fn state_after(result: RunResult) -> UnitState {
    match result {
        RunResult::Passed => UnitState::Passed,
        RunResult::Weak => UnitState::Weak,
        RunResult::Held => UnitState::Held,
        RunResult::Failed => UnitState::Failed,
    }
}
