//! How an export carries the hand-over from one key of the log to the next, so that who trusts an earlier key can check it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::verify::VerifyError;
use super::{CHECKPOINT_FILE, ExportError};
use crate::audit::{TrustPolicy, VerifierKey, leaf_hash, verify_inclusion};
use crate::dossier::finding::Finding;
use crate::dossier::log::{self, read_head};
use crate::dossier::make::earlier;
use crate::dossier::{EarlierCheckpoint, HashPath, ProvenEntry};
use crate::journal::{Entry, JournalReader};
use crate::tiles::LogReader;

/// The file's name. It is there where the log has changed its key, and it proves itself: the manifest does not name it.
pub const HAND_OVER_FILE: &str = "log-keys.json";

/// The longest such file that is read, in bytes: some thousand hand-overs.
const LENGTH_MAX: u64 = 16 * 1024 * 1024;

/// The leaves that add keys, and the checkpoints that cover them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct HandOver {
    entries: Vec<ProvenEntry>,
    earlier: Vec<EarlierCheckpoint>,
}

/// The file's content for an export under the checkpoint of `size` leaves; `None` where the log has its first key still.
pub(super) async fn collect(
    journal: &JournalReader,
    log: &LogReader,
    size: u64,
) -> Result<Option<String>, ExportError> {
    let added = journal.station_entries(&["log-key-added"]).await?;
    let added: BTreeMap<u64, Entry> = added
        .into_iter()
        .filter(|entry| entry.index < size)
        .map(|entry| (entry.index, entry))
        .collect();
    if added.is_empty() {
        return Ok(None);
    }
    let earlier = earlier(journal, log, &added, size).await?;
    let mut entries = Vec::with_capacity(added.len());
    for entry in added.into_values() {
        let path = log.inclusion(entry.index, size).await;
        entries.push(ProvenEntry {
            index: entry.index,
            path: HashPath(path.map_err(crate::dossier::DossierError::from)?),
            leaf: entry.leaf,
            salt: entry.salt,
            body: entry.body,
        });
    }
    let text = serde_json::to_string_pretty(&HandOver { entries, earlier });
    text.map(Some).map_err(|error| ExportError::Encoding {
        path: HAND_OVER_FILE.into(),
        format: "JSON",
        source: error.into(),
    })
}

/// The keys that a reader who trusts `keys` can trust in this export: with those that one of them handed over to.
pub(super) fn follow(
    directory: &Path,
    keys: &[VerifierKey],
) -> Result<Vec<VerifierKey>, VerifyError> {
    let Some(text) = read(directory, HAND_OVER_FILE)? else {
        return Ok(keys.to_vec());
    };
    let wrong = |words: String| VerifyError::HandOver { words };
    let hand_over: HandOver =
        serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
    let Some(note) = read(directory, CHECKPOINT_FILE)? else {
        return Ok(keys.to_vec());
    };
    let head = read_head(&note).map_err(wrong)?;
    let mut told = Vec::with_capacity(hand_over.entries.len());
    for entry in &hand_over.entries {
        let about = |words: &str| wrong(format!("leaf {}: {words}", entry.index));
        let leaf = leaf_hash(&entry.leaf);
        verify_inclusion(&leaf, entry.index, head.size, &head.root, &entry.path.0)
            .map_err(|error| about(&crate::error_text::chain(&error)))?;
        let one = log::open(entry.index, &entry.leaf, &entry.salt, &entry.body);
        told.push(one.map_err(|words| about(&words))?);
    }
    let Ok(policy) = TrustPolicy::of_station(keys, &[], 0) else {
        return Ok(keys.to_vec());
    };
    let mut findings: Vec<Finding> = Vec::new();
    let shown = log::check(
        &note,
        &head,
        &hand_over.earlier,
        &told,
        &policy,
        &mut findings,
    );
    let mut all = keys.to_vec();
    all.extend(shown.keys.into_iter().filter(|key| !keys.contains(key)));
    Ok(all)
}

fn read(directory: &Path, name: &str) -> Result<Option<String>, VerifyError> {
    let path = directory.join(name);
    let mut text = String::new();
    let read = File::open(&path).and_then(|file| file.take(LENGTH_MAX).read_to_string(&mut text));
    match read {
        Ok(_) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(source) => Err(VerifyError::Unreadable { path, source }),
    }
}
