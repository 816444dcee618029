//! What others have seen of the log: the checkpoints in the registry, and those that the caller brings. Their roots are held against the
//! tree while it grows, so that they are never in memory together.

use std::collections::{BTreeMap, VecDeque};

use super::keys::Ring;
use super::{Code, Finding, KnownCheckpoint};
use crate::audit::{Checkpoint, Hash, SignedNote};
use crate::record::StationId;
use crate::registry::{EnteredCheckpoint, Registry, RegistryError};

/// How many checkpoints are read at a time.
const PAGE: u32 = 1_000;

/// How many refused checkpoints are told.
const ALARMS_MAX: u32 = 1_000;

/// Checkpoints that others have, by size.
pub(super) struct Witness<'a> {
    registry: Option<&'a Registry>,
    origin: &'a str,
    page: VecDeque<EnteredCheckpoint>,
    after: u64,
    known: BTreeMap<u64, Vec<(&'a KnownCheckpoint, Checkpoint, SignedNote)>>,
    /// Before the journal's snapshot was taken, in milliseconds since 1970.
    snapshot_ms: u64,
    /// A fork was told: what follows differs as well.
    forked: bool,
    /// The size from which on somebody has to be asked.
    due: u64,
}

impl<'a> Witness<'a> {
    pub(super) async fn begin(
        registry: Option<&'a Registry>,
        origin: &'a str,
        known: &'a [KnownCheckpoint],
        snapshot_ms: u64,
    ) -> (Self, Vec<Finding>) {
        let mut findings = Vec::new();
        let mut witness = Self {
            registry,
            origin,
            page: VecDeque::new(),
            after: 0,
            known: BTreeMap::new(),
            snapshot_ms,
            forked: false,
            due: 0,
        };
        for given in known {
            let read = SignedNote::parse(&given.note)
                .and_then(|note| Ok((Checkpoint::parse(&note.text)?, note)));
            match read {
                Ok((checkpoint, note)) if checkpoint.origin == origin => {
                    let of_size = witness.known.entry(checkpoint.size).or_default();
                    of_size.push((given, checkpoint, note));
                }
                Ok((checkpoint, _)) => {
                    let message = format!(
                        "expected a checkpoint of {origin}, found one of {}",
                        checkpoint.origin
                    );
                    findings.push(Code::KnownCheckpointUnusable.at(&given.source, message));
                }
                Err(error) => {
                    let finding =
                        Code::KnownCheckpointUnusable.at(&given.source, error.to_string());
                    findings.push(finding);
                }
            }
        }
        findings.extend(witness.read_on().await);
        (witness, findings)
    }

    /// Reads the next page where this one is used up, and finds out who is next.
    async fn read_on(&mut self) -> Option<Finding> {
        let mut finding = None;
        if self.page.is_empty()
            && let Some(registry) = self.registry
        {
            match registry.checkpoints(self.origin, self.after, PAGE).await {
                Ok(page) => {
                    self.page = page.into();
                    match self.page.back() {
                        Some(last) => self.after = last.size,
                        None => self.registry = None,
                    }
                }
                Err(error) => {
                    self.registry = None;
                    finding = Some(refused("the log's checkpoints in the registry", &error));
                }
            }
        }
        let entered = self.page.front().map(|entered| entered.size);
        let known = self.known.first_key_value().map(|(size, _)| *size);
        self.due = entered.into_iter().chain(known).min().unwrap_or(u64::MAX);
        finding
    }

    /// Whether somebody has seen the tree at this size, or should have been passed by now.
    pub(super) const fn is_due(&self, size: u64) -> bool {
        self.due <= size
    }

    /// Holds what others have seen at this size against `root`; `None` where the entries are not whole, so that there is none.
    pub(super) async fn at(&mut self, size: u64, root: Option<Hash>, ring: &Ring) -> Vec<Finding> {
        let mut findings = Vec::new();
        while self.due <= size {
            while let Some(entered) = self.page.pop_front_if(|entered| entered.size <= size) {
                let place = format!("the registry's checkpoint of {} leaves", entered.size);
                findings.extend(check_note(&place, &entered, self.origin, ring));
                if entered.size == size {
                    findings.extend(self.hold(place, entered.root, root));
                }
            }
            while let Some(of_size) = self
                .known
                .first_entry()
                .filter(|first| *first.key() <= size)
            {
                for (given, checkpoint, note) in of_size.remove() {
                    if let Some(finding) = check_known(given, &note, ring) {
                        findings.push(finding);
                    } else if checkpoint.size == size {
                        findings.extend(self.hold(given.source.clone(), checkpoint.root, root));
                    }
                }
            }
            findings.extend(self.read_on().await);
        }
        findings
    }

    fn hold(&mut self, place: String, seen: Hash, root: Option<Hash>) -> Option<Finding> {
        let root = root.filter(|root| *root != seen && !self.forked)?;
        self.forked = true;
        let message = format!(
            "expected the root {}, which was shown there, found {} in this journal: its past is another one. Later checkpoints are not held against it",
            hex::encode(seen),
            hex::encode(root)
        );
        Some(Code::LogForked.at(place, message))
    }

    /// What is left has more leaves than the log.
    pub(super) async fn end(mut self, size: u64, ring: &Ring) -> Vec<Finding> {
        let mut findings = Vec::new();
        let beyond = |place: String, seen: u64, note: &str| {
            let message = format!(
                "{seen} leaves were shown there, the journal has {size}: {} are gone. What was shown: {}",
                seen - size,
                note.lines().take(3).collect::<Vec<_>>().join(" ")
            );
            Code::LogRolledBack.at(place, message)
        };
        for (given, checkpoint, note) in std::mem::take(&mut self.known).into_values().flatten() {
            match check_known(given, &note, ring) {
                Some(finding) => findings.push(finding),
                None => findings.push(beyond(given.source.clone(), checkpoint.size, &note.text)),
            }
        }
        // The first that is too large, and the largest: those between say nothing more.
        if let Some(first) = self.page.pop_front() {
            let latest = match self.registry {
                Some(registry) => registry.latest_checkpoint(self.origin).await.ok().flatten(),
                None => None,
            };
            let latest = latest.filter(|latest| latest.size != first.size);
            for entered in std::iter::once(first).chain(latest) {
                let place = format!("the registry's checkpoint of {} leaves", entered.size);
                findings.extend(check_note(&place, &entered, self.origin, ring));
                findings.push(if entered.at_ms >= self.snapshot_ms {
                    let message = "entered while this verification was running";
                    Code::AfterSnapshot.at(place, message)
                } else {
                    beyond(place, entered.size, &entered.note)
                });
            }
        }
        findings
    }
}

/// A checkpoint in the registry must be one that this log signed.
fn check_note(
    place: &str,
    entered: &EnteredCheckpoint,
    origin: &str,
    ring: &Ring,
) -> Option<Finding> {
    let read = SignedNote::parse(&entered.note)
        .and_then(|note| Ok((Checkpoint::parse(&note.text)?, note)));
    let message = match read {
        Err(error) => error.to_string(),
        Ok((said, _)) if (said.size, said.root) != (entered.size, entered.root) => {
            format!(
                "its row says {} leaves and root {}, its note {} and {}",
                entered.size,
                hex::encode(entered.root),
                said.size,
                hex::encode(said.root)
            )
        }
        Ok((said, note)) if said.origin != origin || !ring.has_signed(&note) => {
            "expected a signature by a key of this log, found none".to_owned()
        }
        Ok(_) => return None,
    };
    Some(Code::ForeignCheckpointNotSigned.at(place, message))
}

/// A given checkpoint counts only where a key of this log signed it.
fn check_known(given: &KnownCheckpoint, note: &SignedNote, ring: &Ring) -> Option<Finding> {
    if ring.has_signed(note) {
        return None;
    }
    let message = "expected a signature by a key of this log, found none";
    let code = if given.cosigned {
        Code::WitnessedUnknownKey
    } else {
        Code::KnownCheckpointUnusable
    };
    Some(code.at(&given.source, message))
}

/// Whose the log is, and which of its checkpoints the registry has refused.
pub(super) async fn standing(
    registry: &Registry,
    origin: &str,
    station: StationId,
) -> Result<Vec<Finding>, RegistryError> {
    let mut findings = Vec::new();
    let owner = registry.station_of_log(origin).await?;
    if let Some(owner) = owner.filter(|owner| *owner != station) {
        let message = format!(
            "expected the log of station {station}, the registry has it as that of station {owner}"
        );
        findings.push(Code::OriginOfAnother.at(format!("the log {origin}"), message));
    }
    for alarm in registry.log_alarms(origin, ALARMS_MAX).await? {
        let message = format!(
            "{}: at {} station {} showed {} leaves, {} were known; the refused note is kept there",
            alarm.kind.name(),
            alarm.at_ms,
            alarm.station,
            alarm.shown_size,
            alarm.known_size
        );
        findings.push(Code::LogAlarm.at(format!("the registry's alarms for {origin}"), message));
    }
    Ok(findings)
}

/// The registry gave no answer: out of reach, or damaged.
pub(super) fn refused(what: &str, error: &RegistryError) -> Finding {
    let mut message = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        message = format!("{message}: {cause}");
        source = cause.source();
    }
    if error.is_temporary() {
        Code::RegistryNotAsked.at(what, message)
    } else {
        Code::RegistryUnreadable.at(what, message)
    }
}
