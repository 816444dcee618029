//! The keys of the audit log: listed, made, added and retired. Which of them sign is for the log to say.

use std::path::Path;

use super::act::Act;
use super::read::unknown;
use super::{CommandError, Permit, lower};
use crate::app::{App, AppError, ConfiguredKey};
use crate::audit::{CheckpointSigner, FileSigner, TokenKey, TokenSigner};
use crate::event::{Event, EventSink, LogKeyState, LogKeyView};
use crate::home::LogKeyConfig;
use crate::journal::{JournalReader, LogKey};
use crate::record::Change;

/// A key that is to be made, outside of any log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NewKey {
    /// In a file, relative to the home.
    File(std::path::PathBuf),
    /// In a token.
    Token(TokenKey),
}

/// Makes a key pair and tells what to configure.
pub(super) async fn make(
    home: &Path,
    new: NewKey,
    sink: &dyn EventSink,
) -> Result<(), CommandError> {
    let (place, signer) = match new {
        NewKey::File(path) => (
            LogKeyConfig::File { path: path.clone() },
            FileSigner::generate(&home.join(path)).map(CheckpointSigner::File),
        ),
        NewKey::Token(key) => (
            LogKeyConfig::Token {
                module: key.module.clone(),
                token: key.token.clone(),
                label: key.label.clone(),
                pin_file: key.pin_file.clone(),
            },
            TokenSigner::generate(key)
                .await
                .map(CheckpointSigner::Token),
        ),
    };
    let signer = signer.map_err(|source| AppError::AuditKey { source })?;
    let lines = toml::to_string(&place).map_err(|error| CommandError::Usage {
        message: error.to_string(),
    })?;
    sink.emit(Event::Document {
        text: format!("[[audit.key]]\n{lines}"),
    });
    sink.emit(Event::Notice {
        message: format!(
            "Made an Ed25519 key pair; its public key is {}.\nIt signs nothing yet. Add the block on standard output to {}, after the [[audit.key]] that is there.\nThen have the log take it in: keyline --home {} audit key add {}",
            hex::encode(signer.public_key()),
            home.join(crate::home::CONFIG_FILE).display(),
            home.display(),
            name(&place),
        ),
    });
    Ok(())
}

/// Lists the log's keys, the oldest first, and then those that are only configured.
pub(super) async fn list(
    journal: &JournalReader,
    configured: &[ConfiguredKey],
    sink: &dyn EventSink,
) -> Result<(), CommandError> {
    let of_log = journal.log_keys().await?;
    for known in &of_log {
        let place = configured.iter().find(|key| key.key == known.key);
        sink.emit(Event::LogKey(Box::new(view(known, place))));
    }
    for waiting in configured {
        if of_log.iter().all(|known| known.key != waiting.key) {
            sink.emit(Event::LogKey(Box::new(LogKeyView {
                key_id: key_id(waiting),
                key: waiting.key.to_string(),
                state: LogKeyState::Configured,
                place: Some(waiting.place.clone()),
                added_at: None,
                retired_at: None,
            })));
        }
    }
    Ok(())
}

fn view(known: &LogKey, place: Option<&ConfiguredKey>) -> LogKeyView {
    LogKeyView {
        key_id: format!("{:08x}", known.key.key_id()),
        key: known.key.to_string(),
        state: if known.in_force() {
            LogKeyState::InForce
        } else {
            LogKeyState::Retired
        },
        place: place.map(|key| key.place.clone()),
        added_at: known.added_at,
        retired_at: known.retired_at,
    }
}

fn key_id(key: &ConfiguredKey) -> String {
    format!("{:08x}", key.key.key_id())
}

/// What people call a key: its label, or its file.
fn name(place: &LogKeyConfig) -> String {
    match place {
        LogKeyConfig::File { path } => path.display().to_string(),
        LogKeyConfig::Token { label, .. } => label.clone(),
    }
}

/// The configured key of this id, label or file. A key in force is always configured.
fn configured<'a>(app: &'a App, wanted: &str) -> Result<&'a ConfiguredKey, CommandError> {
    let mut found = app.log_keys().iter().filter(|key| {
        key_id(key) == wanted || key.key.to_string() == wanted || name(&key.place) == wanted
    });
    let first = found.next().ok_or_else(|| unknown("key", wanted))?;
    match found.next() {
        None => Ok(first),
        Some(_) => Err(CommandError::Usage {
            message: format!(
                "expected the name of one key, two are called \"{wanted}\": give the key id"
            ),
        }),
    }
}

impl Act<'_> {
    pub(super) async fn add_log_key(&self, wanted: &str) -> Result<(), CommandError> {
        let key = configured(self.app, wanted)?;
        self.commit(Change::LogKeyAdded {
            key: key.key.to_string(),
            operator: self.operator(),
        })
        .await?;
        let witnesses = if self.app.home().config().audit.witnesses.is_empty() {
            String::new()
        } else {
            format!(
                "\nHave each witness trust it before you retire the old key: stop the witness, then\n  keyline witness trust --store DIR '{}'\nand start it again.",
                key.key
            )
        };
        self.say(format!(
            "The key {} signs every checkpoint from now on, beside those that did before. Give auditors its verifier key:\n  {}{witnesses}",
            key_id(key),
            key.key
        ));
        Ok(())
    }

    pub(super) async fn retire_log_key(
        &self,
        wanted: &str,
        reason: String,
        permit: &[Permit],
    ) -> Result<(), CommandError> {
        let key = configured(self.app, wanted)?;
        let reason = lower::checked_reason(&reason)?;
        super::act::require(
            permit,
            Permit::RetireKey,
            "a retired key never signs this log again",
        )?;
        self.refuse_unwitnessed(key, permit).await?;
        self.commit(Change::LogKeyRetired {
            key: key.key.to_string(),
            operator: self.operator(),
            reason,
        })
        .await?;
        self.say(format!(
            "The key {} has signed its last checkpoint. Remove its [[audit.key]] from the configuration; auditors keep its verifier key for what it signed.",
            key_id(key)
        ));
        Ok(())
    }

    /// Refuses to retire a key without which too few witnesses would cosign: the line would stop soon after.
    async fn refuse_unwitnessed(
        &self,
        key: &ConfiguredKey,
        permit: &[Permit],
    ) -> Result<(), CommandError> {
        if permit.contains(&Permit::RetireKeyUnwitnessed) {
            return Ok(());
        }
        let silent = self.app.cosigner().silent_without(&key.key).await?;
        if silent.is_empty() {
            return Ok(());
        }
        Err(CommandError::NotReady {
            message: format!(
                "expected enough witnesses that cosign without the key {}, got: {}",
                key_id(key),
                silent.join("; ")
            ),
            next: "Have each witness trust the key that stays (stop it, `keyline witness trust --store DIR KEY`, start it again), then retire. In an emergency: `--permit retire-key-unwitnessed` as well; nothing is cosigned then until they trust it.".to_owned(),
        })
    }
}
