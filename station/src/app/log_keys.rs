//! The keys that sign the audit log: made for a new station, opened as the configuration names them.

use std::path::{Path, PathBuf};

use crate::audit::{
    AuditError, CheckpointSigner, CheckpointSigners, FileSigner, TokenError, TokenKey, TokenSigner,
    VerifierKey,
};
use crate::home::{AuditConfig, LogKeyConfig};
use crate::record::StationId;

/// A key that the configuration names, and that was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfiguredKey {
    /// Where it is.
    pub place: LogKeyConfig,
    /// Its public half, under the log's name.
    pub key: VerifierKey,
}

/// The token in which a new station's key is, or is to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenOptions {
    /// The PKCS #11 module, an absolute path.
    pub module: PathBuf,
    /// The token's label.
    pub token: String,
    /// The file with the token's PIN, an absolute path.
    pub pin_file: PathBuf,
    /// The key's label; a key of this label that is there already is used. `None` for a new key under a label that is the station's own.
    pub label: Option<String>,
}

/// Opens one key as the configuration names it.
///
/// # Errors
/// [`AuditError`] where it can't be used.
pub async fn open_signer(home: &Path, key: &LogKeyConfig) -> Result<CheckpointSigner, AuditError> {
    match key {
        LogKeyConfig::File { path } => {
            FileSigner::open(&home.join(path)).map(CheckpointSigner::File)
        }
        LogKeyConfig::Token {
            module,
            token,
            label,
            pin_file,
        } => TokenSigner::open(TokenKey {
            module: module.clone(),
            token: token.clone(),
            label: label.clone(),
            pin_file: home.join(pin_file),
        })
        .await
        .map(CheckpointSigner::Token),
    }
}

/// Opens all keys that the configuration names. Which of them sign is for the log to say.
///
/// # Errors
/// [`AuditError`] where one of them can't be used, or there is none.
pub async fn open_signers(
    home: &Path,
    config: &AuditConfig,
) -> Result<CheckpointSigners, AuditError> {
    let mut signers = Vec::with_capacity(config.keys.len());
    for key in &config.keys {
        signers.push(open_signer(home, key).await?);
    }
    CheckpointSigners::new(signers)
}

/// The keys with their places.
pub(super) fn configured(
    signers: &CheckpointSigners,
    config: &AuditConfig,
    origin: &str,
) -> Result<Vec<ConfiguredKey>, AuditError> {
    let keys = signers.verifier_keys(origin)?;
    let places = config.keys.iter().cloned();
    Ok(places
        .zip(keys)
        .map(|(place, key)| ConfiguredKey { place, key })
        .collect())
}

/// Makes a new station's key, in its home or in a token, and says in the configuration where it is.
pub(super) async fn make(
    home: &Path,
    config: &mut AuditConfig,
    station: StationId,
    token: Option<TokenOptions>,
) -> Result<(), AuditError> {
    let Some(options) = token else {
        for key_file in config.key_files() {
            FileSigner::generate(&home.join(key_file))?;
        }
        return Ok(());
    };
    let own_label = || format!("keyline-{station}");
    let asked_for = options.label.is_some();
    let key = TokenKey {
        module: options.module,
        token: options.token,
        label: options.label.unwrap_or_else(own_label),
        pin_file: options.pin_file,
    };
    config.keys = vec![LogKeyConfig::Token {
        module: key.module.clone(),
        token: key.token.clone(),
        label: key.label.clone(),
        pin_file: key.pin_file.clone(),
    }];
    if asked_for {
        // Whoever keeps keys in a safe makes them there, with witnesses, before a station is set up.
        match TokenSigner::open(key.clone()).await {
            Err(AuditError::Token { source, .. })
                if matches!(*source, TokenError::KeyCount { count: 0, .. }) => {}
            found => return found.map(|_| ()),
        }
    }
    TokenSigner::generate(key).await.map(|_| ())
}
