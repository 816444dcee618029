//! Walks through the log once, from its first entry to its last: pages are checked ahead by other threads, and what depends on what
//! came before is checked here, in order.

use std::collections::VecDeque;

use tokio::task::JoinHandle;

use super::by_people::ByPeople;
use super::finding::Findings;
use super::keys::{Line, Ring, lines};
use super::page::{self, CheckedEntry, CheckedNote, CheckedPage, Page};
use super::proofs::{Proofs, unknown_checkpoint};
use super::time::TimeCheck;
use super::witness::Witness;
use super::{Code, Inputs, ReconcileError};
use crate::audit::Frontier;
use crate::journal::{JournalError, Logged, Refused, Replay, Snapshot, StoredHead};
use crate::record::Change;

/// How many entries are read and checked at a time.
const PAGE: u32 = 1_024;

/// The walk, and what it carries along.
pub(super) struct Walk<'a, 'f> {
    findings: &'a mut Findings<'f>,
    ring: Ring,
    frontier: Frontier,
    /// The entries so far are those that were signed.
    whole: bool,
    /// The index that comes next.
    next: u64,
    time: TimeCheck,
    witness: Witness<'a>,
    proofs: Proofs,
    by_people: ByPeople,
    replay: Option<Replay>,
    batch: Vec<Logged>,
    /// Wall time of the batch, and the index of its first leaf.
    batch_began: Option<(u64, u64)>,
    /// The last stored checkpoint.
    note: Option<(u64, String)>,
}

/// What is known at the end of the walk.
pub(super) struct Walked {
    pub(super) proofs: Proofs,
    /// Acts and imports.
    pub(super) by_people: ByPeople,
    /// The replay is whole.
    pub(super) replayed: bool,
}

impl<'a, 'f> Walk<'a, 'f> {
    pub(super) fn new(
        ring: Ring,
        witness: Witness<'a>,
        replay: Option<Replay>,
        findings: &'a mut Findings<'f>,
    ) -> Self {
        Self {
            findings,
            ring,
            frontier: Frontier::default(),
            whole: true,
            next: 0,
            time: TimeCheck::default(),
            witness,
            proofs: Proofs::default(),
            by_people: ByPeople::default(),
            replay,
            batch: Vec::new(),
            batch_began: None,
            note: None,
        }
    }

    /// Walks to the end.
    pub(super) async fn run(
        mut self,
        inputs: &Inputs<'a>,
        snapshot: &mut Snapshot,
    ) -> Result<Walked, ReconcileError> {
        let ahead = std::thread::available_parallelism().map_or(2, usize::from) + 1;
        let mut pages: VecDeque<JoinHandle<CheckedPage>> = VecDeque::new();
        let mut reader = Reader::default();
        loop {
            while pages.len() < ahead
                && let Some(page) = reader.next(snapshot, inputs, &self.ring).await?
            {
                pages.push_back(tokio::task::spawn_blocking(move || page::check(page)));
            }
            let Some(page) = pages.pop_front() else { break };
            let checked = page.await.map_err(ReconcileError::Thread)?;
            self.take(checked).await;
        }
        self.end(snapshot, &reader).await
    }

    async fn take(&mut self, page: CheckedPage) {
        self.findings.extend(page.findings);
        let mut notes = page.notes.into_iter().peekable();
        for entry in page.entries {
            let Ok(index) = u64::try_from(entry.index) else {
                let message = "expected indexes from 0 on, found a negative one";
                let place = format!("leaf {}", entry.index);
                self.findings.add(Code::EntryMisplaced.at(place, message));
                continue;
            };
            while let Some(note) = notes.next_if(|note| note.size <= index) {
                self.checkpoint(note).await;
            }
            self.entry(index, entry).await;
        }
        for note in notes {
            self.checkpoint(note).await;
        }
    }

    async fn entry(&mut self, index: u64, entry: CheckedEntry) {
        if index != self.next {
            let message = format!(
                "expected entry {}, found entry {index}: {} are missing",
                self.next,
                index - self.next
            );
            let place = between(self.next, index - 1);
            self.findings.add(Code::EntryMissing.at(place, message));
            self.whole = false;
        }
        self.ask_witness(index).await;
        self.frontier.append(entry.hash);
        self.next = index + 1;
        self.findings.report.leaves += 1;
        if let Some(times) = entry.times {
            self.findings.extend(self.time.take(index, times));
            self.batch_time(index, times.wall_ms).await;
        }
        if let (Some(leaf), Some(replay)) = (entry.key_leaf, &mut self.replay) {
            replay.note(leaf);
        }
        let Some(change) = entry.change else { return };
        match &change {
            Change::LogKeyAdded { key, .. } => self.findings.extend(self.ring.join(index, key)),
            Change::LogKeyRetired { key, .. } => self.findings.extend(self.ring.leave(index, key)),
            _ => {}
        }
        if self.replay.is_some() {
            self.findings.extend(self.proofs.take(index, &change));
            self.by_people.take(index, &change);
            let wall_ms = entry.times.map_or(0, |times| times.wall_ms);
            self.batch.push(Logged {
                index,
                wall_ms,
                change,
            });
        }
    }

    /// All leaves of a batch carry one wall time: another one begins another batch, and a checkpoint stood between them.
    async fn batch_time(&mut self, index: u64, wall_ms: u64) {
        match self.batch_began {
            None => self.batch_began = Some((index, wall_ms)),
            Some((first, began)) if began != wall_ms => {
                let message = format!(
                    "the leaves from {first} on were committed at {began}, leaf {index} at {wall_ms}: expected a checkpoint of {index} leaves between them"
                );
                let place = format!("checkpoint of {index} leaves");
                self.findings
                    .add(Code::CheckpointMissing.at(place, message));
                self.carry_out().await;
                self.batch_began = Some((index, wall_ms));
            }
            Some(_) => {}
        }
    }

    async fn checkpoint(&mut self, note: CheckedNote) {
        self.findings.report.checkpoints += 1;
        self.carry_out().await;
        self.batch_began = None;
        let late = self.time.next_batch();
        self.findings.extend(late);
        self.proofs.checkpoint(note.digest, note.size);
        let place = format!("checkpoint of {} leaves", note.size);
        match note.read {
            Err(message) => self
                .findings
                .add(Code::CheckpointUnreadable.at(place, message)),
            Ok((said, signed, seen)) => {
                let current = self.ring.keys();
                // A key joined while this page was on its way.
                let seen: Vec<Line> = if seen.len() == current.len() {
                    seen
                } else {
                    lines(&signed, &current)
                };
                self.findings.extend(self.ring.judge(note.size, &seen));
                if said.size != note.size || said.origin != self.ring.origin() {
                    let message = format!(
                        "expected {} leaves of {}, the note says {} of {}",
                        note.size,
                        self.ring.origin(),
                        said.size,
                        said.origin
                    );
                    self.findings
                        .add(Code::CheckpointUnreadable.at(&place, message));
                }
                if self.whole
                    && self.frontier.size() == note.size
                    && self.frontier.root() != said.root
                {
                    self.whole = false;
                    let since = self.note.as_ref().map_or(0, |(size, _)| *size);
                    let message = format!(
                        "expected the signed root {}, found {} over the entries: {} changed, removed or put in. Later roots are not compared",
                        hex::encode(said.root),
                        hex::encode(self.frontier.root()),
                        one_of(since, note.size.saturating_sub(1))
                    );
                    self.findings.add(Code::RootDiffers.at(&place, message));
                }
            }
        }
        // After the log's own root was looked at: where that one is wrong already, nobody else has to be asked.
        self.ask_witness(note.size).await;
        self.note = Some((note.size, note.text));
    }

    async fn ask_witness(&mut self, size: u64) {
        if self.witness.is_due(size) {
            let root = (self.whole && self.frontier.size() == size).then(|| self.frontier.root());
            let found = self.witness.at(size, root, &self.ring).await;
            self.findings.extend(found);
        }
    }

    /// Carries out the batch in the replay. A replay that fails is given up: the tables are then not compared.
    async fn carry_out(&mut self) {
        let batch = std::mem::take(&mut self.batch);
        let Some(replay) = self.replay.as_mut().filter(|_| !batch.is_empty()) else {
            return;
        };
        match replay.batch(batch).await {
            Ok(refused) => self.refused(refused),
            Err(error) => {
                self.replay = None;
                self.given_up(&error);
            }
        }
    }

    fn refused(&mut self, refused: Vec<Refused>) {
        for Refused {
            index,
            kind,
            refusal,
        } in refused
        {
            let message = format!("the journal would have refused this {kind}: {refusal}");
            self.findings
                .add(Code::RuleBroken.at(format!("leaf {index}"), message));
        }
    }

    fn given_up(&mut self, error: &JournalError) {
        let cause =
            std::error::Error::source(error).map_or_else(String::new, |cause| format!(": {cause}"));
        let message = format!("the log could not be replayed: {error}{cause}");
        self.findings
            .add(Code::TablesNotCompared.at("the replay", message));
    }

    async fn end(
        mut self,
        snapshot: &mut Snapshot,
        reader: &Reader,
    ) -> Result<Walked, ReconcileError> {
        self.beyond(snapshot, reader).await?;
        let uncovered = self.note.as_ref().map_or(0, |(size, _)| *size);
        if self.next > uncovered {
            let message = format!(
                "expected a stored checkpoint of {} leaves, found none",
                self.next
            );
            let place = between(uncovered, self.next - 1);
            self.findings
                .add(Code::CheckpointMissing.at(place, message));
        }
        self.findings.extend(self.ring.vouched());
        self.carry_out().await;
        let late = self.time.give_up();
        self.findings.extend(late);
        let head = snapshot.head().await?;
        self.check_head(head);
        self.ask_witness(self.next).await;
        if self.whole {
            self.findings.report.root = Some(self.frontier.root());
        }
        let unresolved = self.proofs.take_unresolved();
        if !unresolved.is_empty() {
            self.search(snapshot, unresolved).await?;
        }
        let mut replayed = false;
        if let Some(replay) = self.replay.take() {
            match replay.finish().await {
                Ok(refused) => {
                    replayed = true;
                    self.refused(refused);
                }
                Err(error) => self.given_up(&error),
            }
        }
        self.findings
            .extend(self.witness.end(self.next, &self.ring).await);
        Ok(Walked {
            proofs: self.proofs,
            by_people: self.by_people,
            replayed,
        })
    }

    /// Stored checkpoints of more leaves than there are.
    async fn beyond(
        &mut self,
        snapshot: &mut Snapshot,
        reader: &Reader,
    ) -> Result<(), ReconcileError> {
        let mut after = reader.noted;
        loop {
            let notes = snapshot.checkpoints(after, i64::MAX, PAGE).await?;
            let Some((last, _)) = notes.last() else {
                return Ok(());
            };
            after = Some(*last);
            self.findings.report.checkpoints += notes.len() as u64;
            for (size, _) in notes {
                let message = format!("the journal has {} entries", self.next);
                let place = format!("checkpoint of {size} leaves");
                self.findings
                    .add(Code::CheckpointBeyondLog.at(place, message));
            }
        }
    }

    fn check_head(&mut self, head: Option<StoredHead>) {
        let Some(head) = head else {
            let message = "expected a tree head, found none";
            self.findings
                .add(Code::TreeHeadDiffers.at("the tree head", message));
            return;
        };
        let mut differs = Vec::new();
        if u64::try_from(head.size) != Ok(self.next) {
            differs.push(format!(
                "expected {} leaves, as there are entries, found {}",
                self.next, head.size
            ));
        } else if self.whole && head.frontier != self.frontier.to_bytes() {
            differs.push("expected the right edge of the entries' tree, found another".to_owned());
        }
        if self.note.as_ref().map(|(_, text)| text) != Some(&head.note) {
            differs.push("expected the last stored checkpoint, found another".to_owned());
        }
        for message in differs {
            self.findings
                .add(Code::TreeHeadDiffers.at("the tree head", message));
        }
    }

    /// Looks through all checkpoints for those that proofs name and that were not among the latest.
    async fn search(
        &mut self,
        snapshot: &mut Snapshot,
        mut unresolved: Vec<super::proofs::Unresolved>,
    ) -> Result<(), ReconcileError> {
        use sha2::{Digest as _, Sha256};
        let mut after = None;
        loop {
            let notes = snapshot.checkpoints(after, i64::MAX, PAGE).await?;
            let Some((last, _)) = notes.last() else { break };
            after = Some(*last);
            for (size, note) in notes {
                let digest: [u8; 32] = Sha256::digest(&note).into();
                unresolved.retain(|proof| proof.digest != digest || size > proof.index);
            }
        }
        for proof in unresolved {
            self.findings
                .add(unknown_checkpoint(proof.index, proof.digest));
        }
        Ok(())
    }
}

/// The leaves from the first to the last, in words.
fn between(first: u64, last: u64) -> String {
    if first == last {
        format!("leaf {first}")
    } else {
        format!("leaves {first} to {last}")
    }
}

/// That one of the leaves from the first to the last was, in words.
fn one_of(first: u64, last: u64) -> String {
    if first == last {
        format!("leaf {first} was")
    } else {
        format!("one of the {} was", between(first, last))
    }
}

/// Where the reading is.
#[derive(Debug, Default)]
struct Reader {
    /// The index from which the next page is read; `None` at the beginning.
    from: Option<i64>,
    /// The size of the last checkpoint that was read.
    noted: Option<u64>,
    ended: bool,
}

impl Reader {
    async fn next(
        &mut self,
        snapshot: &mut Snapshot,
        inputs: &Inputs<'_>,
        ring: &Ring,
    ) -> Result<Option<Page>, JournalError> {
        if self.ended {
            return Ok(None);
        }
        let entries = snapshot
            .entries(self.from.unwrap_or(i64::MIN), PAGE)
            .await?;
        self.ended = entries.len() < PAGE as usize;
        let next = entries.last().map(|last| last.index.saturating_add(1));
        // The checkpoint of the empty log stands before the first entry.
        let covered = next.or(self.from).unwrap_or(0).max(0);
        let notes = snapshot.checkpoints(self.noted, covered, 2 * PAGE).await?;
        self.noted = notes.last().map(|(size, _)| *size).or(self.noted);
        self.from = next.or(self.from);
        if entries.is_empty() && notes.is_empty() {
            return Ok(None);
        }
        Ok(Some(Page {
            entries,
            notes,
            keys: ring.keys(),
            scope: inputs.scope,
            station: inputs.station,
        }))
    }
}
