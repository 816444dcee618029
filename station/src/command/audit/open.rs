//! A station's log, opened for reading beside its owner.

use std::path::{Path, PathBuf};

use super::super::CommandError;
use crate::audit::{AuditError, TrustPolicy, VerifierKey};
use crate::cosign::policy_of;
use crate::home::{self, Config, registry_url_in};
use crate::journal::JournalReader;
use crate::registry::{Registry, RegistryError};
use crate::tiles::{LogReader, TILE_DIRECTORY, TileDirectory};

/// How long a registry may take to answer an auditor.
const REGISTRY_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(10);

/// What an auditor's command reads.
pub(super) struct OpenLog {
    pub(super) home: PathBuf,
    pub(super) config: Config,
    pub(super) journal: JournalReader,
    pub(super) log: LogReader,
    /// The keys in force, as the journal has them.
    pub(super) keys: Vec<VerifierKey>,
}

impl OpenLog {
    pub(super) async fn open(home: &Path) -> Result<Self, CommandError> {
        let config = home::read_config(home)?;
        let journal = JournalReader::open(&home.join(&config.journal.path)).await?;
        let mut keys: Vec<VerifierKey> = Vec::new();
        for key in journal.log_keys().await? {
            if key.in_force() {
                keys.push(key.key);
            }
        }
        let directory = TileDirectory::new(home.join(TILE_DIRECTORY));
        let log = LogReader::new(directory, journal.clone());
        Ok(Self {
            home: home.to_owned(),
            config,
            journal,
            log,
            keys,
        })
    }

    /// What an auditor has to trust, as configuration and journal have it.
    pub(super) fn policy(&self) -> Result<TrustPolicy, CommandError> {
        policy_of(&self.config.audit, &self.keys).map_err(log_refused)
    }

    /// Every key that signs the log or has signed it, the oldest first.
    pub(super) async fn every_key(&self) -> Result<Vec<VerifierKey>, CommandError> {
        let keys = self.journal.log_keys().await?;
        Ok(keys.into_iter().map(|key| key.key).collect())
    }

    /// As [`policy`](Self::policy), for files that may be under a checkpoint from before a roll-over.
    pub(super) async fn policy_with_every_key(&self) -> Result<TrustPolicy, CommandError> {
        policy_of(&self.config.audit, &self.every_key().await?).map_err(log_refused)
    }

    /// The policy as a file, with a comment for each key that signs no more: no reader trusts it by that.
    pub(super) async fn policy_text(&self) -> Result<String, CommandError> {
        let policy = self.policy()?;
        let mut text = String::new();
        for key in self.journal.log_keys().await? {
            if let Some(retired_at) = key.retired_at {
                let comment = format!(
                    "# Retired by leaf {retired_at}: {}\n# Files from before are checked with the policy of then.\n",
                    key.key
                );
                text.push_str(&comment);
            }
        }
        Ok(text + &String::from_utf8_lossy(&policy.to_bytes()))
    }

    /// The latest checkpoint, or the latest one with the cosignatures that the configuration asks for.
    pub(super) async fn checkpoint(&self, witnessed: bool) -> Result<String, CommandError> {
        if !witnessed {
            return Ok(self.journal.latest_checkpoint().await?);
        }
        let policy = self.policy()?;
        let found = self
            .journal
            .witnessed_checkpoint(|note| policy.check(note).is_ok())
            .await?;
        found.ok_or_else(|| CommandError::NotReady {
            message: "expected a checkpoint with the cosignatures that the configuration asks for, there is none"
                .to_owned(),
            next: "Bring the witnesses in reach (`keyline doctor` names those that do not answer) and let the station run.".to_owned(),
        })
    }

    /// The registry, if it answers; the reason where it does not.
    pub(super) async fn registry(&self) -> Result<Registry, String> {
        let url = registry_url_in(&self.home, &self.config.registry.url);
        if let Some(path) = url.strip_prefix("sqlite:")
            && !Path::new(path).exists()
        {
            return Err(format!("there is none yet at {path}"));
        }
        let reached = async {
            let registry = Registry::open(self.config.registry.address(&self.home)?).await?;
            registry.ping().await?;
            Ok::<_, RegistryError>(registry)
        };
        match tokio::time::timeout(REGISTRY_TIMEOUT, reached).await {
            Ok(Ok(registry)) => Ok(registry),
            Ok(Err(error)) => Err(crate::error_text::chain(&error)),
            Err(_) => Err(format!("no answer within {} s", REGISTRY_TIMEOUT.as_secs())),
        }
    }
}

pub(super) fn log_refused(error: AuditError) -> CommandError {
    crate::journal::JournalError::Audit(error).into()
}
