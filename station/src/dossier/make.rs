//! Makes a unit's dossier from the journal, the log's tree and what the registry said.

use std::collections::{BTreeMap, HashSet};

use sha2::{Digest as _, Sha256};

use super::{Dossier, EarlierCheckpoint, FORMAT, HashPath, ProvenEntry, RegistryRecord};
use crate::audit::{AuditError, Checkpoint, Hash, SignedNote};
use crate::journal::{Entry, JournalError, JournalReader};
use crate::record::{Change, DeviceIdText, Evidence, OrderId, ProductId};
use crate::tiles::{LogReader, TilesError};

/// The most runs of a unit that a dossier holds, the latest ones.
const RUNS_MAX: u32 = 1_000;

/// How far before a proof its checkpoint is looked for. A proof is bound to the latest checkpoint at the moment of the reset; from
/// there to its leaf is as many commits as the other slots make in that time.
const CHECKPOINTS_BACK_MAX: u32 = 65_536;

/// Which of the station's own entries belong into every dossier, or into one of a unit of that product or order.
const STATION_KINDS: [&str; 6] = [
    "home-initialised",
    "product-added",
    "order-added",
    "order-shipped",
    "log-key-added",
    "log-key-retired",
];

/// Why a dossier could not be made.
#[derive(Debug, thiserror::Error)]
pub enum DossierError {
    /// The log has nothing of such a unit.
    #[error("expected a unit that this station has had on its bench, got {}", .0.0)]
    UnknownUnit(DeviceIdText),
    /// The journal.
    #[error("the journal could not be read")]
    Journal(#[from] JournalError),
    /// The tree.
    #[error("the proofs could not be made")]
    Tree(#[from] TilesError),
    /// A stored checkpoint or leaf is damaged.
    #[error("what the log holds can't be read")]
    Log(#[from] AuditError),
}

/// Makes the dossier of a unit under the log's latest checkpoint that is cosigned, or where none of those covers the unit, under the
/// latest one.
///
/// # Errors
/// [`DossierError`] where the unit is not known, or journal and tree contradict each other.
pub async fn make(
    journal: &JournalReader,
    log: &LogReader,
    device_id: DeviceIdText,
    registry: Option<RegistryRecord>,
) -> Result<Dossier, DossierError> {
    let entries = collect(journal, device_id).await?;
    let needed = entries.keys().next_back().map_or(0, |last| last + 1);
    let note = head(journal, needed).await?;
    let size = size_of(&note)?;
    let earlier = earlier(journal, log, &entries, size).await?;
    let mut proven = Vec::with_capacity(entries.len());
    for entry in entries.into_values() {
        proven.push(ProvenEntry {
            index: entry.index,
            path: HashPath(log.inclusion(entry.index, size).await?),
            leaf: entry.leaf,
            salt: entry.salt,
            body: entry.body,
        });
    }
    Ok(Dossier {
        format: FORMAT.to_owned(),
        device_id,
        made_at_ms: crate::clock::wall_ms(),
        checkpoint: note,
        entries: proven,
        earlier,
        registry,
    })
}

/// How many leaves a note's checkpoint covers.
pub(crate) fn size_of(note: &str) -> Result<u64, AuditError> {
    Ok(Checkpoint::parse(&SignedNote::parse(note)?.text)?.size)
}

/// Everything in the log that concerns the unit, by index.
async fn collect(
    journal: &JournalReader,
    device_id: DeviceIdText,
) -> Result<BTreeMap<u64, Entry>, DossierError> {
    let mut entries = BTreeMap::new();
    let mut keep = |found: Vec<Entry>| {
        entries.extend(found.into_iter().map(|entry| (entry.index, entry)));
    };
    let last = journal.last_run_of(device_id).await?;
    let runs = journal.runs_of(device_id, RUNS_MAX).await?;
    let mut orders: HashSet<OrderId> = HashSet::new();
    for run in runs.iter().chain(&last) {
        orders.insert(run.order);
        keep(journal.entries_of_run(run.id).await?);
    }
    keep(journal.entries_about(device_id).await?);
    let mut products: HashSet<ProductId> = HashSet::new();
    for order in &orders {
        products.extend(journal.order(*order).await?.map(|order| order.product));
    }
    if orders.is_empty() {
        return Err(DossierError::UnknownUnit(device_id));
    }
    let mut of_station = journal.station_entries(&STATION_KINDS).await?;
    of_station.retain(|entry| match serde_json::from_str(&entry.body) {
        Ok(Change::ProductAdded { product, .. }) => products.contains(&product.id),
        Ok(Change::OrderAdded { order, .. }) => orders.contains(&order.id),
        Ok(Change::OrderShipped { order, .. }) => orders.contains(&order),
        Ok(_) => true,
        Err(_) => false,
    });
    keep(of_station);
    Ok(entries)
}

/// The checkpoint that a file is under: the latest one that the most witnesses have signed, if it covers `needed` leaves.
pub(crate) async fn head(journal: &JournalReader, needed: u64) -> Result<String, DossierError> {
    /// Enough for the latest checkpoints of 32 witnesses.
    const COSIGNATURES_MAX: u32 = 256;
    let mut by_size: BTreeMap<u64, Vec<String>> = BTreeMap::new();
    for cosignature in journal.latest_cosignatures(COSIGNATURES_MAX).await? {
        let lines = by_size.entry(cosignature.tree_size).or_default();
        lines.push(cosignature.line);
    }
    let covering = by_size.range(needed..);
    let best = covering.max_by_key(|(size, lines)| (lines.len(), **size));
    if let Some((size, lines)) = best
        && let Some(mut note) = journal.checkpoint_of(*size).await?
    {
        for line in lines {
            note.push_str(line);
            note.push('\n');
        }
        return Ok(note);
    }
    Ok(journal.latest_checkpoint().await?)
}

/// The checkpoints in the nonces of the unit's proofs, and the ones that hand over to the log's later keys.
pub(crate) async fn earlier(
    journal: &JournalReader,
    log: &LogReader,
    entries: &BTreeMap<u64, Entry>,
    size: u64,
) -> Result<Vec<EarlierCheckpoint>, DossierError> {
    let mut notes: BTreeMap<u64, String> = BTreeMap::new();
    for entry in entries.values() {
        let found = match serde_json::from_str(&entry.body) {
            Ok(Change::StepDone { evidence, .. }) => match *evidence {
                Evidence::Proven {
                    nonce_checkpoint_digest,
                    ..
                } => with_digest(journal, entry.index, nonce_checkpoint_digest).await?,
                _ => None,
            },
            Ok(Change::LogKeyAdded { .. }) => match journal.checkpoint_covering(entry.index).await?
            {
                Some(note) => Some((size_of(&note)?, note)),
                None => None,
            },
            _ => None,
        };
        notes.extend(found.filter(|(old, _)| *old <= size));
    }
    let mut earlier = Vec::with_capacity(notes.len());
    for (old, note) in notes {
        let consistency = HashPath(log.consistency(old, size).await?);
        earlier.push(EarlierCheckpoint { note, consistency });
    }
    Ok(earlier)
}

/// The checkpoint with this SHA-256 from before the leaf at `index`.
async fn with_digest(
    journal: &JournalReader,
    index: u64,
    digest: Hash,
) -> Result<Option<(u64, String)>, JournalError> {
    /// Most proofs follow their checkpoint closely.
    const PAGE: u32 = 256;
    let (mut upper, mut left) = (index, CHECKPOINTS_BACK_MAX);
    loop {
        let page = journal.checkpoints_before(upper, PAGE.min(left)).await?;
        let Some((lowest, _)) = page.last() else {
            return Ok(None);
        };
        let lowest = *lowest;
        left -= PAGE.min(left);
        let found = page
            .into_iter()
            .find(|(_, note)| Hash::from(Sha256::digest(note)) == digest);
        if found.is_some() || left == 0 || lowest == 0 {
            return Ok(found);
        }
        upper = lowest - 1;
    }
}
