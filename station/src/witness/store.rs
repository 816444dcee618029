//! A witness's store: one directory, owned by one process.
//!
//! ```text
//! DIR/                     0700
//!   config.toml            0600  the witness's name; written last by `init`, so that a store that has one is whole
//!   key.pem                0600  the key that cosigns; it signs nothing else
//!   keyline.lock           0600  locked by the process that owns the store; holds its process id
//!   logs/<SHA-256 of origin>     one file a log: its trusted keys, the latest checkpoint that was cosigned
//!   evidence/                    notes that a log signed and should not have
//! ```

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};

use serde::{Deserialize, Serialize};

use super::WitnessStoreError;
use super::evidence::{self, Evidence};
use super::log_file::{Cosigned, LogFile, origin_hash};
use crate::audit::{AuditError, CosignatureSigner, VerifierKey, WitnessKey};
use crate::home::{
    HomeError, HomeLock, check_private_directory, check_private_file, create_private_directory,
    write_private,
};

const CONFIG_FILE: &str = "config.toml";
const KEY_FILE: &str = "key.pem";
const LOGS: &str = "logs";
const EVIDENCE: &str = "evidence";

/// The longest name, in bytes: it stands in every cosignature.
const NAME_LENGTH_MAX: usize = 128;

/// The most logs: each has its state in memory and is read at every start.
const LOGS_MAX: usize = 1_000;

/// The most keys of one log: two during a roll-over, and its past.
const LOG_KEYS_MAX: usize = 16;

/// `config.toml`
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// The witness's name; it stands in its key and in every cosignature, so it never changes.
    name: String,
}

/// An open store. Holding one proves that this process owns it and that everything in it verified.
pub struct WitnessStore {
    pub(super) path: PathBuf,
    pub(super) signer: CosignatureSigner,
    /// By [`origin_hash`].
    pub(super) logs: BTreeMap<String, TrackedLog>,
    pub(super) evidence: Evidence,
    _lock: HomeLock,
}

/// A log and the one place that may move it on.
pub(super) struct TrackedLog {
    /// The keys that may sign for it.
    pub(super) keys: Vec<VerifierKey>,
    held: Mutex<Held>,
}

/// What is in memory of what is on disk.
pub(super) enum Held {
    /// Nothing that counts: the store was just opened, or a write failed and nobody knows which content a power cut would leave.
    Unsettled,
    /// What is on disk, for certain.
    Settled(Box<LogFile>),
}

/// What a store says of itself.
#[derive(Clone, Debug)]
pub struct WitnessStoreView {
    /// The witness's key.
    pub key: WitnessKey,
    /// The logs, by origin.
    pub logs: Vec<TrackedLogView>,
    /// How many notes are kept as evidence against logs.
    pub evidence_count: usize,
}

/// What a witness knows of a log.
#[derive(Clone, Debug)]
pub struct TrackedLogView {
    /// The log's name.
    pub origin: String,
    /// The keys that may sign for it.
    pub keys: Vec<VerifierKey>,
    /// The size and root of the latest cosigned checkpoint and when it was cosigned, in seconds since 1970.
    pub latest: Option<(u64, crate::audit::Hash, u64)>,
}

impl WitnessStore {
    /// Makes a store with a new key in a new or empty directory.
    ///
    /// Where the making stops in the middle, the next one goes on with the key that is there: it never cosigned anything.
    ///
    /// # Errors
    /// [`WitnessStoreError`]: there is one already, the name can't stand in a note, the directory has other things in it or can't be written.
    pub fn init(path: &Path, name: &str) -> Result<Self, WitnessStoreError> {
        if name.len() > NAME_LENGTH_MAX || name.contains(char::is_control) {
            return Err(WitnessStoreError::Key(AuditError::Format {
                expected: "a witness's name of at most 128 bytes without control characters",
                got: format!("{} bytes", name.len()),
            }));
        }
        CosignatureSigner::check_name(name).map_err(WitnessStoreError::Key)?;
        create_private_directory(path)?;
        if path.join(CONFIG_FILE).exists() {
            return Err(WitnessStoreError::Exists {
                path: path.to_owned(),
            });
        }
        let own = [KEY_FILE, crate::home::LOCK_FILE, LOGS, EVIDENCE];
        if let Some(found) = foreign_entry(path, &own)? {
            return Err(WitnessStoreError::NotEmpty {
                path: path.to_owned(),
                found,
            });
        }
        let lock = HomeLock::take(path)?;
        for directory in [LOGS, EVIDENCE] {
            create_private_directory(&path.join(directory))?;
        }
        let key = path.join(KEY_FILE);
        let signer = if key.exists() {
            CosignatureSigner::open(&key, name)
        } else {
            CosignatureSigner::generate(&key, name)
        };
        let signer = signer.map_err(WitnessStoreError::Key)?;
        let config = path.join(CONFIG_FILE);
        let text = toml::to_string(&Config {
            name: name.to_owned(),
        })
        .map_err(|error| damaged(&config, error.to_string()))?;
        write_private(&config, text.as_bytes())?;
        Ok(Self {
            path: path.to_owned(),
            signer,
            logs: BTreeMap::new(),
            evidence: Evidence::open(path.join(EVIDENCE))?,
            _lock: lock,
        })
    }

    /// Opens a store and takes ownership of it.
    ///
    /// # Errors
    /// [`WitnessStoreError`]: there is none, another process owns it, others can look into it, something in it doesn't verify.
    pub fn open(path: &Path) -> Result<Self, WitnessStoreError> {
        existing(path)?;
        let lock = HomeLock::take(path)?;
        let signer = read_signer(path)?;
        let logs = read_logs(path, signer.key())?
            .into_iter()
            .map(|log| (origin_hash(&log.origin), TrackedLog::unsettled(log.keys)))
            .collect();
        Ok(Self {
            path: path.to_owned(),
            signer,
            logs,
            evidence: Evidence::open(path.join(EVIDENCE))?,
            _lock: lock,
        })
    }

    /// Reads a store without owning it: a process may be serving from it.
    ///
    /// # Errors
    /// As [`open`](Self::open), but for the owner.
    pub fn view(path: &Path) -> Result<WitnessStoreView, WitnessStoreError> {
        existing(path)?;
        let signer = read_signer(path)?;
        let logs = read_logs(path, signer.key())?.into_iter().map(|log| {
            let summary = |latest: Cosigned| {
                let checkpoint = latest.checkpoint;
                (checkpoint.size, checkpoint.root, latest.time_s)
            };
            TrackedLogView {
                origin: log.origin,
                keys: log.keys,
                latest: log.latest.map(summary),
            }
        });
        let mut logs: Vec<_> = logs.collect();
        logs.sort_by(|first, second| first.origin.cmp(&second.origin));
        Ok(WitnessStoreView {
            key: signer.key().clone(),
            logs,
            evidence_count: evidence::count_in(&path.join(EVIDENCE))?,
        })
    }

    /// Trusts a log's key for the log of its name, beside those that are trusted already. Says whether it is new.
    ///
    /// # Errors
    /// [`WitnessStoreError`] where there are too many, or it can't be written.
    pub fn trust(&mut self, key: &VerifierKey) -> Result<bool, WitnessStoreError> {
        let hash = origin_hash(key.name());
        let path = LogFile::path(&self.logs_directory(), key.name());
        let mut log = if self.logs.contains_key(&hash) {
            LogFile::read(&path, self.signer.key())?
        } else {
            within("logs", self.logs.len(), LOGS_MAX)?;
            LogFile {
                origin: key.name().to_owned(),
                keys: Vec::new(),
                distrusted: Vec::new(),
                latest: None,
            }
        };
        let known = |other: &VerifierKey| other.public_key() == key.public_key();
        if log.keys.iter().any(known) {
            return Ok(false);
        }
        let keys = log.keys.len() + log.distrusted.iter().filter(|other| !known(other)).count();
        within("keys of one log", keys, LOG_KEYS_MAX)?;
        log.distrusted.retain(|other| !known(other));
        log.keys.push(key.clone());
        log.write(&self.logs_directory())?;
        self.logs.insert(hash, TrackedLog::unsettled(log.keys));
        Ok(true)
    }

    /// Trusts a log's key no more: it was retired, or somebody has stolen it. What was cosigned under it stays. Says whether it was trusted.
    ///
    /// # Errors
    /// [`WitnessStoreError`] where the log is not known or would have no key left, or it can't be written.
    pub fn distrust(&mut self, key: &VerifierKey) -> Result<bool, WitnessStoreError> {
        let hash = origin_hash(key.name());
        if !self.logs.contains_key(&hash) {
            return Err(WitnessStoreError::UnknownLog {
                origin: key.name().to_owned(),
            });
        }
        let path = LogFile::path(&self.logs_directory(), key.name());
        let mut log = LogFile::read(&path, self.signer.key())?;
        let known = |other: &VerifierKey| other.public_key() == key.public_key();
        let Some(at) = log.keys.iter().position(known) else {
            return Ok(false);
        };
        if log.keys.len() == 1 {
            return Err(WitnessStoreError::LastKey { origin: log.origin });
        }
        let key = log.keys.remove(at);
        log.distrusted.push(key);
        log.write(&self.logs_directory())?;
        self.logs.insert(hash, TrackedLog::unsettled(log.keys));
        Ok(true)
    }

    /// The witness's key.
    #[must_use]
    pub const fn key(&self) -> &WitnessKey {
        self.signer.key()
    }

    /// The directory of the logs' files.
    pub(super) fn logs_directory(&self) -> PathBuf {
        self.path.join(LOGS)
    }
}

impl TrackedLog {
    const fn unsettled(keys: Vec<VerifierKey>) -> Self {
        Self {
            keys,
            held: Mutex::new(Held::Unsettled),
        }
    }

    /// What is in memory; nobody else moves this log on meanwhile.
    pub(super) fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(|poisoned| {
            // Whoever held it ended in the middle: only the disk knows.
            let mut held = poisoned.into_inner();
            *held = Held::Unsettled;
            self.held.clear_poison();
            held
        })
    }
}

impl Held {
    /// What is on disk, for certain. After a start or a failed write it is read, and written anew before anything is said of it: what was
    /// read may only be in the system's memory.
    pub(super) fn settle(
        &mut self,
        directory: &Path,
        origin: &str,
        own: &WitnessKey,
    ) -> Result<&LogFile, WitnessStoreError> {
        if matches!(self, Self::Unsettled) {
            let log = LogFile::read(&LogFile::path(directory, origin), own)?;
            log.write(directory)?;
            *self = Self::Settled(Box::new(log));
        }
        match self {
            Self::Settled(log) => Ok(log),
            Self::Unsettled => Err(damaged(directory, "nothing".to_owned())),
        }
    }

    /// Puts a new state on disk; where that fails, nothing is certain until it is settled again.
    pub(super) fn replace(
        &mut self,
        directory: &Path,
        log: LogFile,
    ) -> Result<(), WitnessStoreError> {
        *self = Self::Unsettled;
        log.write(directory)?;
        *self = Self::Settled(Box::new(log));
        Ok(())
    }
}

fn existing(path: &Path) -> Result<(), WitnessStoreError> {
    if !path.join(CONFIG_FILE).exists() {
        return Err(WitnessStoreError::Missing {
            path: path.to_owned(),
        });
    }
    Ok(check_private_directory(path)?)
}

fn read_signer(path: &Path) -> Result<CosignatureSigner, WitnessStoreError> {
    let config = path.join(CONFIG_FILE);
    check_private_file(&config)?;
    let text = std::fs::read_to_string(&config)
        .map_err(|source| HomeError::from_io(&config, "read", source))?;
    let name = toml::from_str::<Config>(&text)
        .map_err(|error| damaged(&config, error.message().to_owned()))?
        .name;
    CosignatureSigner::open(&path.join(KEY_FILE), &name).map_err(WitnessStoreError::Key)
}

/// Every log's file. What a write that was cut short left behind (`….new`) is no log's.
fn read_logs(path: &Path, own: &WitnessKey) -> Result<Vec<LogFile>, WitnessStoreError> {
    let directory = path.join(LOGS);
    let failed = |source| HomeError::from_io(&directory, "listed", source);
    let mut logs = Vec::new();
    for entry in std::fs::read_dir(&directory).map_err(failed)? {
        let file = entry.map_err(failed)?.path();
        if file.extension().is_some_and(|extension| extension == "new") {
            continue;
        }
        within("logs", logs.len(), LOGS_MAX)?;
        logs.push(LogFile::read(&file, own)?);
    }
    Ok(logs)
}

/// Something in the directory that is none of these.
fn foreign_entry(path: &Path, own: &[&str]) -> Result<Option<String>, WitnessStoreError> {
    let failed = |source| HomeError::from_io(path, "listed", source);
    for entry in std::fs::read_dir(path).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        if !own.iter().any(|own| name == *own) {
            return Ok(Some(name.display().to_string()));
        }
    }
    Ok(None)
}

const fn within(what: &'static str, count: usize, limit: usize) -> Result<(), WitnessStoreError> {
    if count < limit {
        Ok(())
    } else {
        Err(WitnessStoreError::TooMany { what, limit })
    }
}

fn damaged(path: &Path, got: String) -> WitnessStoreError {
    WitnessStoreError::Damaged {
        path: path.to_owned(),
        expected: "what a witness writes there",
        got,
    }
}
