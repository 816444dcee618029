//! Deep verification of a station: its log, the tables of its journal and the registry, held against each other, every gap explained.
//!
//! Nothing is written but a scratch database in a temporary directory, and nothing is believed but the keys that the caller trusts. The
//! station may be running: the journal is read in one snapshot, and what the registry got later is told apart by its time.
//!
//! 1. *The tree.* Every entry is hashed, every commitment opened, the public envelope held against the body; the root is held against every
//!    stored checkpoint, each checkpoint against the keys that were in force then (`walk`, `page`, `keys`), and what others have seen of the
//!    log against the tree (`witness`).
//! 2. *Time.* The wall clock is held against the time since the machine's start (`time`).
//! 3. *The tables.* The log is replayed by the journal's own rules into the scratch database, which is then compared table by table
//!    (`tables`).
//! 4. *Evidence.* Signatures, nonces and transcripts are checked again (`evidence`, `proofs`).
//! 5. *The registry.* Units, keys, claims, pins, proofs, alarms and orders (`units`, `entered`, `claims`, `serials`, `orders`), and what
//!    came from people and files (`by_people`).
//!
//! What is held in memory does not grow with the log, and findings are told at once.

mod by_people;
mod claims;
mod code;
mod entered;
mod error;
mod evidence;
mod finding;
mod keys;
mod orders;
mod page;
mod proofs;
mod serials;
mod tables;
mod time;
mod units;
mod walk;
mod witness;

use std::path::Path;

pub use code::Code;
pub use error::ReconcileError;
pub use finding::{Finding, Report, Severity};

use crate::audit::VerifierKey;
use crate::journal::{JournalReader, LogKey, Replay, Replayed};
use crate::record::StationId;
use crate::registry::Registry;
use finding::Findings;
use keys::Ring;
use walk::Walk;
use witness::Witness;

/// How much is verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The tree, its checkpoints and its times: as fast as the machine hashes.
    Tree,
    /// Everything.
    Everything,
}

/// A checkpoint of the log that somebody else has kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownCheckpoint {
    /// Where it comes from: a file, a witness. Findings name it.
    pub source: String,
    /// The signed note, whole.
    pub note: String,
    /// A witness whom the caller trusts has cosigned it: where no key of the log has signed it, that speaks against the log.
    pub cosigned: bool,
}

/// What is verified, and against what.
#[derive(Clone, Copy)]
pub struct Inputs<'a> {
    /// The station's journal.
    pub journal: &'a JournalReader,
    /// The keys that the caller trusts: the log's first one, from which others join by leaves, or one that signs it now, which vouches
    /// for the whole log and so for the first one that its leaves retire.
    pub keys: &'a [VerifierKey],
    /// The log's name.
    pub origin: &'a str,
    /// The station whose log it is.
    pub station: StationId,
    /// The registry; `None` where it is not at hand, which is told as a gap.
    pub registry: Option<&'a Registry>,
    /// Checkpoints from elsewhere.
    pub known: &'a [KnownCheckpoint],
    /// How much is verified.
    pub scope: Scope,
    /// Where the scratch database may lie; `None` for the system's place. It takes about a third of the journal's size.
    pub scratch: Option<&'a Path>,
}

/// Verifies a station. `tell` gets each finding as it is found: at most 1,000 of a code, the rest is counted. Must be called inside a
/// tokio runtime, from a task that may take as long as the log is.
///
/// # Errors
/// [`ReconcileError`] where the verification could not be carried out. What is wrong with the station is a finding, never an error.
pub async fn deep(
    inputs: Inputs<'_>,
    tell: &mut (dyn FnMut(Finding) + Send),
) -> Result<Report, ReconcileError> {
    let mut findings = Findings::new(tell);
    findings.report.registry_asked = inputs.registry.is_some();
    let directory = match inputs.scratch {
        Some(path) => tempfile::tempdir_in(path),
        None => tempfile::tempdir(),
    };
    let directory = directory.map_err(ReconcileError::Scratch)?;
    let scratch = directory.path().join("replay.db");
    let mut keys = inputs.journal.log_keys().await?;
    keys.retain(|key| key.added_at.is_none());
    let first = keys.pop();
    let inherited = first.clone().filter(|key| key.retired_at.is_some());
    let replay = match inputs.scope {
        Scope::Tree => None,
        Scope::Everything => {
            // The table says what became of this key since; a replay begins where it still signed.
            let first = first.map(|key| LogKey {
                retired_at: None,
                ..key
            });
            Some(Replay::begin(&scratch, first).await?)
        }
    };
    // Before the snapshot: what the registry got in between is in the log, and looked at all the same where it is told as later.
    let snapshot_ms = crate::clock::wall_ms();
    let compared = replay.as_ref().map(|_| scratch.as_path());
    let mut snapshot = inputs.journal.snapshot(compared).await?;

    let (witness, begun) =
        Witness::begin(inputs.registry, inputs.origin, inputs.known, snapshot_ms).await;
    findings.extend(begun);
    let ring = Ring::new(
        inputs.origin,
        inputs.keys,
        inherited.map(|inherited| inherited.key),
    );
    let walk = Walk::new(ring, witness, replay, &mut findings);
    let walked = walk.run(&inputs, &mut snapshot).await?;

    if let Some(registry) = inputs.registry {
        match witness::standing(registry, inputs.origin, inputs.station).await {
            Ok(found) => findings.extend(found),
            Err(error) => findings.add(witness::refused("the registry", &error)),
        }
    } else {
        let message = "units, pins and checkpoints are held against the log only";
        findings.add(Code::RegistryNotAsked.at("the registry", message));
    }
    if !walked.replayed {
        return Ok(findings.report);
    }
    tables::compare(&mut snapshot, &mut findings).await?;
    findings.report.tables_compared = true;
    let mut log = Replayed::open(&scratch).await?;
    units::check_causes(&mut log, &mut findings).await?;
    units::check(&mut log, &inputs, snapshot_ms, &mut findings).await?;
    entered::check(&mut log, &inputs, &mut findings).await?;
    let trusted = claims::check(&mut log, &inputs, snapshot_ms, &mut findings).await?;
    serials::check(&mut log, &inputs, snapshot_ms, &mut findings).await?;
    let said = (&walked.by_people, &walked.proofs);
    by_people::check(&mut log, said, &inputs, snapshot_ms, &mut findings).await?;
    orders::check(&mut log, &walked.proofs, trusted.as_ref(), &mut findings).await?;
    Ok(findings.report)
}
