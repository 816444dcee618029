//! Collects what a report is made from.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::{FORMAT, OpenedEntry, Report, ReportError, UNITS_MAX, Window};
use crate::audit::Leaf;
use crate::dossier::{DossierError, HashPath, make as dossier};
use crate::journal::{Entry, JournalError, JournalReader, LotRun};
use crate::record::{Change, DeviceIdText, Evidence, OrderId, Run, RunId};
use crate::tiles::LogReader;

/// The most runs of an order that are looked at.
const RUNS_MAX: u32 = 1_000_000;

/// The most runs of a unit that are searched for its proof, and among which the owner of an event is looked for.
const RUNS_OF_UNIT_MAX: u32 = 1_000;

/// Which of the station's own entries belong into every report, or into one of that product or order.
const STATION_KINDS: [&str; 7] = [
    "home-initialised",
    "product-added",
    "order-added",
    "order-closed",
    "order-shipped",
    "log-key-added",
    "log-key-retired",
];

/// Collects an order's report under the log's latest checkpoint that is cosigned, or where none of those covers its units, under the
/// latest one. It reads beside the owner of the home and changes nothing.
///
/// # Errors
/// [`ReportError`] where there is no such order, it has more units than a page holds, or journal and tree contradict each other.
pub async fn make(
    journal: &JournalReader,
    log: &LogReader,
    order: OrderId,
    window: Window,
) -> Result<Report, ReportError> {
    let mut collected = Collected {
        journal,
        order,
        entries: BTreeMap::new(),
    };
    collected.plan().await?;
    let runs = journal
        .runs_of_order(order, RUNS_MAX)
        .await
        .map_err(DossierError::from)?;
    let units: Vec<&[LotRun]> = runs
        .chunk_by(|a, b| a.device_id == b.device_id)
        .filter(|runs| taken(runs, window))
        .collect();
    if units.len() > UNITS_MAX || runs.len() == RUNS_MAX as usize {
        return Err(ReportError::TooManyUnits(units.len()));
    }
    for runs in units {
        collected.unit(runs).await.map_err(DossierError::from)?;
    }
    let entries = collected.entries;
    let needed = entries.keys().next_back().map_or(0, |last| last + 1);
    let note = dossier::head(journal, needed).await?;
    let size = dossier::size_of(&note).map_err(DossierError::from)?;
    let earlier = dossier::earlier(journal, log, &entries, size).await?;
    let indexes: Vec<u64> = entries.keys().copied().collect();
    let proof = log
        .shared_inclusion(&indexes, size)
        .await
        .map_err(DossierError::from)?;
    let opened = |entry: Entry| OpenedEntry {
        index: entry.index,
        leaf: entry.leaf,
        salt: entry.salt,
        body: entry.body,
    };
    Ok(Report {
        format: FORMAT.to_owned(),
        order,
        window,
        checkpoint: note,
        entries: entries.into_values().map(opened).collect(),
        proof: HashPath(proof),
        earlier,
    })
}

/// Whether a unit's last run began in this time. One without a run is listed only where no time is asked for.
fn taken(runs: &[LotRun], window: Window) -> bool {
    let last = runs.first().and_then(|newest| newest.run);
    last.map_or(window.is_open(), |(_, began)| window.takes(began))
}

/// The entries so far, by index.
struct Collected<'j> {
    journal: &'j JournalReader,
    order: OrderId,
    entries: BTreeMap<u64, Entry>,
}

impl Collected<'_> {
    fn keep(&mut self, entry: Entry) {
        self.entries.insert(entry.index, entry);
    }

    /// What belongs to no unit.
    async fn plan(&mut self) -> Result<(), ReportError> {
        let journal = self.journal;
        let order = journal
            .order(self.order)
            .await
            .map_err(DossierError::from)?;
        let order = order.ok_or(ReportError::UnknownOrder(self.order))?;
        let entries = journal
            .station_entries(&STATION_KINDS)
            .await
            .map_err(DossierError::from)?;
        for entry in entries {
            let belongs = match serde_json::from_str(&entry.body) {
                Ok(Change::ProductAdded { product, .. }) => product.id == order.product,
                Ok(Change::OrderAdded { order: added, .. }) => added.id == order.id,
                Ok(
                    Change::OrderClosed { order: of, .. } | Change::OrderShipped { order: of, .. },
                ) => of == order.id,
                Ok(_) => true,
                Err(_) => false,
            };
            if belongs {
                self.keep(entry);
            }
        }
        Ok(())
    }

    /// A unit: its last run, the run that has its proof, and what befell it while it was in this order. `runs` are its own in this
    /// order, the newest first.
    async fn unit(&mut self, runs: &[LotRun]) -> Result<(), JournalError> {
        let Some(device_id) = runs.first().map(|one| one.device_id) else {
            return Ok(());
        };
        let ids: Vec<RunId> = runs
            .iter()
            .filter_map(|one| one.run)
            .map(|(id, _)| id)
            .collect();
        for (place, run) in ids.iter().take(RUNS_OF_UNIT_MAX as usize).enumerate() {
            let entries = self.journal.entries_of_run(*run).await?;
            let proven = entries.iter().any(is_proof);
            if place == 0 || proven {
                self.run(entries)?;
            }
            if proven {
                break;
            }
        }
        self.events(device_id, &ids).await
    }

    /// What is told of a run, and whose it is: of one without an end, only what it was about to do may say that.
    fn run(&mut self, entries: Vec<Entry>) -> Result<(), JournalError> {
        let mut named = false;
        let mut other = None;
        for entry in entries {
            let names = Leaf::decode(&entry.leaf)?.device_id.is_some();
            if is_told(&entry) {
                named |= names;
                self.keep(entry);
            } else if names {
                other = other.or(Some(entry));
            }
        }
        if let Some(entry) = other.filter(|_| !named) {
            self.keep(entry);
        }
        Ok(())
    }

    async fn events(&mut self, device_id: DeviceIdText, ids: &[RunId]) -> Result<(), JournalError> {
        let events = self.journal.events_about(device_id).await?;
        if events.is_empty() {
            return Ok(());
        }
        let owners = self.owners(device_id).await?;
        let mut in_runs: BTreeSet<RunId> = BTreeSet::new();
        for entry in events {
            let (run, at_ms) = {
                let leaf = Leaf::decode(&entry.leaf)?;
                (leaf.run, leaf.wall_ms)
            };
            let belongs = match run {
                Some(run) => ids.contains(&run) || self.is_ours(run).await?,
                None => owner_at(&owners, at_ms).is_none_or(|order| order == self.order),
            };
            if belongs {
                in_runs.extend(run);
                self.keep(entry);
            }
        }
        // An event of a run stands in a report with the run's begin and end.
        for run in in_runs {
            for entry in self.journal.entries_of_run(run).await? {
                let kind = Leaf::decode(&entry.leaf)?.kind.to_owned();
                if matches!(kind.as_str(), "run-started" | "run-ended") {
                    self.keep(entry);
                }
            }
        }
        Ok(())
    }

    async fn is_ours(&self, run: RunId) -> Result<bool, JournalError> {
        let run = self.journal.run(run).await?;
        Ok(run.is_some_and(|run| run.order == self.order))
    }

    /// Every run of a unit, in whatever order, the newest first.
    async fn owners(&self, device_id: DeviceIdText) -> Result<Vec<Run>, JournalError> {
        let last = self.journal.last_run_of(device_id).await?;
        let mut runs = self.journal.runs_of(device_id, RUNS_OF_UNIT_MAX).await?;
        let known: HashSet<RunId> = runs.iter().map(|run| run.id).collect();
        runs.extend(last.filter(|run| !known.contains(&run.id)));
        runs.sort_by_key(|run| std::cmp::Reverse(run.id));
        Ok(runs)
    }
}

/// In which order a unit was at a time: none of another customer's history is told.
fn owner_at(runs: &[Run], at_ms: u64) -> Option<OrderId> {
    let before = runs.iter().find(|run| run.started_at_ms <= at_ms);
    before.or(runs.last()).map(|run| run.order)
}

fn is_proof(entry: &Entry) -> bool {
    matches!(serde_json::from_str(&entry.body),
        Ok(Change::StepDone { evidence, .. }) if matches!(*evidence, Evidence::Proven { .. }))
}

/// Whether a report tells of it: how the run began and ended, and the evidence that a pass stands on.
fn is_told(entry: &Entry) -> bool {
    match serde_json::from_str(&entry.body) {
        Ok(Change::StepDone { evidence, .. }) => matches!(
            *evidence,
            Evidence::Identified { .. }
                | Evidence::Keyed { .. }
                | Evidence::Proven { .. }
                | Evidence::Pinned { .. }
        ),
        Ok(Change::StepIntended { .. }) | Err(_) => false,
        Ok(_) => true,
    }
}
