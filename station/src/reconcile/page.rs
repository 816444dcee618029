//! Checks a page of entries and checkpoints by themselves: everything that needs no other page, on a thread of its own. This is where
//! the time goes: hashing, reading bodies, verifying signatures.

use std::borrow::Cow;
use std::sync::Arc;

use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::keys::{Line, lines};
use super::time::Times;
use super::{Code, Finding, Scope, evidence};
use crate::audit::{Checkpoint, Hash, Leaf, SignedNote, VerifierKey, commitment, leaf_hash};
use crate::journal::{KeyLeaf, StoredEntry};
use crate::record::{Change, DeviceIdText, RunId, StationId};

/// A page, as it was read.
pub(super) struct Page {
    pub(super) entries: Vec<StoredEntry>,
    /// Size and text of the checkpoints that end among the entries.
    pub(super) notes: Vec<(u64, String)>,
    pub(super) keys: Arc<[VerifierKey]>,
    pub(super) scope: Scope,
    pub(super) station: StationId,
}

/// A page that was checked.
pub(super) struct CheckedPage {
    pub(super) entries: Vec<CheckedEntry>,
    pub(super) notes: Vec<CheckedNote>,
    pub(super) findings: Vec<Finding>,
}

/// An entry, as far as it could be read.
pub(super) struct CheckedEntry {
    pub(super) index: i64,
    pub(super) hash: Hash,
    pub(super) times: Option<Times>,
    /// `None` where it can't be read, or is not needed.
    pub(super) change: Option<Change>,
    pub(super) key_leaf: Option<KeyLeaf>,
}

/// A checkpoint, as far as it could be read.
pub(super) struct CheckedNote {
    /// By its row.
    pub(super) size: u64,
    pub(super) text: String,
    /// SHA-256 of the text: what proofs name.
    pub(super) digest: Hash,
    /// What it says, and its lines by the keys that were known when the page was read.
    pub(super) read: Result<(Checkpoint, SignedNote, Vec<Line>), String>,
}

/// The public part of a body: as much as the envelope repeats.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    kind: Cow<'a, str>,
    #[serde(default)]
    run: Option<RunId>,
    #[serde(default)]
    device_id: Option<DeviceIdText>,
}

/// Checks a page.
pub(super) fn check(page: Page) -> CheckedPage {
    let mut findings = Vec::new();
    let Page {
        entries,
        notes,
        keys,
        scope,
        station,
    } = page;
    let entries = entries
        .iter()
        .map(|entry| check_entry(entry, scope, station, &mut findings))
        .collect();
    let notes = notes
        .into_iter()
        .map(|(size, text)| read_note(size, text, &keys))
        .collect();
    CheckedPage {
        entries,
        notes,
        findings,
    }
}

fn check_entry(
    entry: &StoredEntry,
    scope: Scope,
    station: StationId,
    findings: &mut Vec<Finding>,
) -> CheckedEntry {
    let mut checked = CheckedEntry {
        index: entry.index,
        hash: leaf_hash(&entry.leaf),
        times: None,
        change: None,
        key_leaf: None,
    };
    let place = || format!("leaf {}", entry.index);
    let leaf = match Leaf::decode(&entry.leaf) {
        Ok(leaf) => leaf,
        Err(error) => {
            findings.push(Code::LeafUnreadable.at(place(), error.to_string()));
            return checked;
        }
    };
    checked.times = Some(Times {
        wall_ms: leaf.wall_ms,
        monotonic_ms: leaf.monotonic_ms,
        boot_id: leaf.boot_id,
        stepped: leaf.kind == "clock-stepped",
    });
    let opened = <&[u8; 32]>::try_from(&entry.salt[..])
        .ok()
        .map(|salt| commitment(salt, &entry.body));
    if opened != Some(leaf.commitment) {
        let message = format!(
            "expected a body and a salt for the commitment {}, found {}",
            hex::encode(leaf.commitment),
            opened.map_or_else(|| "a salt of another length".to_owned(), hex::encode)
        );
        findings.push(Code::BodyChanged.at(place(), message));
        return checked;
    }
    findings.extend(check_envelope(entry, &leaf).into_iter().map(|finding| {
        let (code, message) = finding;
        code.at(place(), message)
    }));
    let needed = scope == Scope::Everything || leaf.kind.starts_with("log-key-");
    if let Ok(index) = u64::try_from(entry.index)
        && needed
    {
        read_body(&mut checked, index, entry, station, findings);
    }
    checked
}

fn read_body(
    checked: &mut CheckedEntry,
    index: u64,
    entry: &StoredEntry,
    station: StationId,
    findings: &mut Vec<Finding>,
) {
    match serde_json::from_slice::<Change>(&entry.body) {
        Ok(change) => {
            findings.extend(evidence::check(index, &change, station));
            checked.key_leaf = evidence::key_leaf(index, &change);
            checked.change = Some(change);
        }
        Err(error) => {
            let message = format!("expected a body that this software knows: {error}");
            findings.push(Code::BodyUnreadable.at(format!("leaf {index}"), message));
        }
    }
}

/// Holds the public envelope, and the column beside it, against the body.
fn check_envelope(entry: &StoredEntry, leaf: &Leaf<'_>) -> Vec<(Code, String)> {
    let mut differs = Vec::new();
    let run = leaf.run.map(|run| run.as_bytes().to_vec());
    if entry.run != run {
        let message = format!(
            "expected the run {} in the entry's column, found {}",
            shown(run.as_deref()),
            shown(entry.run.as_deref())
        );
        differs.push((Code::RowChanged, message));
    }
    let body: Envelope<'_> = match serde_json::from_slice(&entry.body) {
        Ok(body) => body,
        Err(error) => {
            let message = format!("expected a body of a known form: {error}");
            differs.push((Code::BodyUnreadable, message));
            return differs;
        }
    };
    let device = |id: Option<DeviceIdText>| id.map(|id| id.0.as_bytes().to_vec());
    let mut hold = |what: &str, public: String, inside: String| {
        if public != inside {
            let message =
                format!("expected the {what} {inside} of the body in the leaf, found {public}");
            differs.push((Code::EnvelopeDiffers, message));
        }
    };
    hold("kind", leaf.kind.to_owned(), body.kind.into_owned());
    hold(
        "run",
        shown(run.as_deref()),
        shown(body.run.as_ref().map(|run| &run.as_bytes()[..])),
    );
    hold(
        "unit",
        shown(device(leaf.device_id).as_deref()),
        shown(device(body.device_id).as_deref()),
    );
    differs
}

fn shown(bytes: Option<&[u8]>) -> String {
    bytes.map_or_else(|| "none".to_owned(), hex::encode)
}

/// Reads a note and verifies its lines.
pub(super) fn read_note(size: u64, text: String, keys: &[VerifierKey]) -> CheckedNote {
    let read = SignedNote::parse(&text).and_then(|note| {
        let checkpoint = Checkpoint::parse(&note.text)?;
        let lines = lines(&note, keys);
        Ok((checkpoint, note, lines))
    });
    CheckedNote {
        size,
        digest: Sha256::digest(&text).into(),
        text,
        read: read.map_err(|error| error.to_string()),
    }
}
