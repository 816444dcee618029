//! What a witness does with a checkpoint: every check of C2SP `tlog-witness`, in its order, then the step to the new checkpoint.

use super::evidence::Suspicion;
use super::log_file::{Cosigned, LogFile, origin_hash};
use super::store::TrackedLog;
use super::{AddCheckpoint, Refusal, WitnessStore, WitnessStoreError};
use crate::audit::{
    Checkpoint, NoteSignature, SignedNote, VerifierKey, consistency_length, empty_root,
    verify_consistency,
};

/// 2026-01-01T00:00:00Z in seconds since 1970: a clock that stands before this program was written is wrong.
const CLOCK_MIN_S: u64 = 1_767_225_600;

impl WitnessStore {
    /// Checks a checkpoint against the latest one that was cosigned of its log, puts it in its place, and cosigns it.
    ///
    /// When this returns a cosignature, its checkpoint is on disk. It blocks on that; calls for one log wait for each other.
    /// `now_ms` is the time, in milliseconds since 1970.
    ///
    /// # Errors
    /// [`Refusal`]; then nothing was cosigned. After [`Refusal::Store`] the checkpoint may or may not be in the store: the next call reads it
    /// again.
    pub fn add_checkpoint(
        &self,
        request: &AddCheckpoint,
        now_ms: u64,
    ) -> Result<NoteSignature, Refusal> {
        let note = SignedNote::parse(&request.note).map_err(Refusal::NoCheckpoint)?;
        let claimed = Checkpoint::parse(&note.text).map_err(Refusal::NoCheckpoint)?;
        let unknown = || Refusal::UnknownLog {
            origin: claimed.origin.clone(),
        };
        let log = self
            .logs
            .get(&origin_hash(&claimed.origin))
            .ok_or_else(unknown)?;
        let (checkpoint, note) = verified(&note, &log.keys)?;
        if request.old_size > checkpoint.size {
            return Err(Refusal::OldLarger {
                old_size: request.old_size,
                size: checkpoint.size,
            });
        }
        self.advance(log, request, &checkpoint, note, now_ms)
    }

    /// Compares and sets, under the log's lock from the first look to the last flush.
    fn advance(
        &self,
        log: &TrackedLog,
        request: &AddCheckpoint,
        checkpoint: &Checkpoint,
        mut note: SignedNote,
        now_ms: u64,
    ) -> Result<NoteSignature, Refusal> {
        let directory = self.logs_directory();
        let mut held = log.lock();
        let file = held.settle(&directory, &checkpoint.origin, self.key())?;
        let latest = file.latest.as_ref();
        if let Err((refusal, suspicion)) = check_tree(request, checkpoint, latest) {
            if let Some(suspicion) = suspicion {
                let refused = (checkpoint, &note);
                self.evidence
                    .keep(suspicion, refused, request, latest, now_ms);
            }
            return Err(refusal);
        }
        if let Some(latest) = latest.filter(|latest| !hands_over(&latest.note, &note, &file.keys)) {
            let refused = (checkpoint, &note);
            self.evidence
                .keep(Suspicion::OtherKey, refused, request, Some(latest), now_ms);
            return Err(Refusal::OtherKey);
        }
        let time_s = now_ms / 1_000;
        if time_s < CLOCK_MIN_S {
            return Err(Refusal::Clock { now_ms });
        }
        let line = self.signer.cosign(&note.text, time_s);
        note.signatures.push(line.clone());
        let next = LogFile {
            origin: file.origin.clone(),
            keys: file.keys.clone(),
            distrusted: file.distrusted.clone(),
            latest: Some(Cosigned {
                checkpoint: checkpoint.clone(),
                note,
                time_s,
            }),
        };
        held.replace(&directory, next)?;
        drop(held);
        Ok(line)
    }

    /// The latest cosigned checkpoint of the log whose origin has this SHA-256 (lowercase hexadecimal), for monitors; `None` where there is none.
    ///
    /// # Errors
    /// [`WitnessStoreError`] where it can't be read.
    pub fn latest(&self, hash: &str) -> Result<Option<String>, WitnessStoreError> {
        let Some(log) = self.logs.get(hash) else {
            return Ok(None);
        };
        // All keys of a log have its name.
        let Some(origin) = log.keys.first().map(VerifierKey::name) else {
            return Ok(None);
        };
        let mut held = log.lock();
        let file = held.settle(&self.logs_directory(), origin, self.key())?;
        Ok(file.latest.as_ref().map(|latest| latest.note.to_string()))
    }
}

/// The checkpoint, and the note with nothing but the log's signatures that were verified: strangers' lines are not kept.
fn verified(note: &SignedNote, keys: &[VerifierKey]) -> Result<(Checkpoint, SignedNote), Refusal> {
    let (checkpoint, _) = Checkpoint::verified_by(note, keys).map_err(Refusal::NotSigned)?;
    let mut signatures: Vec<NoteSignature> = Vec::new();
    for key in keys {
        let lines = key.verified_lines(note).map_err(Refusal::NotSigned)?;
        signatures.extend(lines.first().map(|line| (*line).clone()));
    }
    Ok((
        checkpoint,
        SignedNote {
            text: note.text.clone(),
            signatures,
        },
    ))
}

/// Whether a trusted key signed both notes. A log's checkpoints from a key's joining to its retirement carry both keys' signatures, so a key
/// that no longer signs was retired: whoever still has it moves nothing. Where no trusted key signed the latest note, there is nobody left to
/// hand over.
fn hands_over(latest: &SignedNote, note: &SignedNote, keys: &[VerifierKey]) -> bool {
    let signed = |note: &SignedNote, key: &VerifierKey| {
        let by = |line: &NoteSignature| line.name == key.name() && line.key_id == key.key_id();
        note.signatures.iter().any(by)
    };
    let mut before = keys.iter().filter(|key| signed(latest, key)).peekable();
    before.peek().is_none() || before.any(|key| signed(note, key))
}

/// The checks against the latest cosigned checkpoint. What is refused may be suspicious, whatever else is wrong with the request.
fn check_tree(
    request: &AddCheckpoint,
    new: &Checkpoint,
    latest: Option<&Cosigned>,
) -> Result<(), (Refusal, Option<Suspicion>)> {
    let (size, root) = latest.map_or((0, empty_root()), |latest| {
        (latest.checkpoint.size, latest.checkpoint.root)
    });
    let suspicion =
        if new.size == size && new.root != root || new.size == 0 && new.root != empty_root() {
            Some(Suspicion::Fork)
        } else if new.size < size {
            Some(Suspicion::Smaller)
        } else {
            None
        };
    let inconsistent = |expected| Refusal::Inconsistent { expected };
    if request.old_size != size {
        return Err((Refusal::Conflict { size }, suspicion));
    }
    if new.size == 0 && new.root != empty_root() {
        let expected = "the root of the empty tree, SHA-256 of nothing, at size 0";
        return Err((inconsistent(expected), suspicion));
    }
    if size == 0 && !request.proof.is_empty() {
        let expected = "no proof from size 0: any tree is consistent with the empty one";
        return Err((inconsistent(expected), suspicion));
    }
    if size == new.size && new.root != root {
        let expected = "the root that was cosigned at this size";
        return Err((inconsistent(expected), suspicion));
    }
    verify_consistency(size, &root, new.size, &new.root, &request.proof).map_err(|_| {
        let expected = "a consistency proof from the latest cosigned checkpoint to this one";
        // A proof that can't be one says nothing of the tree.
        let whole = request.proof.len() == consistency_length(size, new.size);
        let suspicion = (size < new.size && whole).then_some(Suspicion::Inconsistent);
        (inconsistent(expected), suspicion)
    })
}
